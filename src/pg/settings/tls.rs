//! How a connection is encrypted and what the server has to prove, as settings.

use std::{fmt, path::PathBuf};

use tokio_postgres::config::SslMode;

use super::{host::Host, option_value::Invalid, password::Secret};

/// What libpq's `sslmode` says.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg) enum Mode {
    Disable,
    /// Plain; with TLS if the server refuses that.
    Allow,
    /// With TLS; plain if the server refuses that.
    Prefer,
    /// With TLS, whoever answers.
    Require,
    /// The server's certificate is signed by a root that is trusted.
    VerifyCa,
    /// And it is for the host that was asked for.
    VerifyFull,
}

/// Certificates, or a private key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::pg) enum Material {
    File(PathBuf),
    Text(Vec<u8>),
}

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => fmt::Debug::fmt(path, formatter),
            Self::Text(_) => formatter.write_str("***"),
        }
    }
}

/// Who may vouch for the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg) enum Roots {
    /// Whom the operating system trusts, and the certificates of this file (`NODE_EXTRA_CA_CERTS`).
    System {
        extra: Option<PathBuf>,
    },
    Given(Material),
}

/// The client's own certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg) struct Identity {
    pub(in crate::pg) certificate: Material,
    pub(in crate::pg) key: Material,
    /// Opens an encrypted key.
    pub(in crate::pg) passphrase: Option<Secret>,
}

/// Where the lists of certificates are that their authorities have revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::pg) struct Revocation {
    pub(in crate::pg) lists: Option<Material>,
    /// Files with the names that `openssl rehash` gives.
    pub(in crate::pg) directory: Option<PathBuf>,
}

/// `sslcertmode`: whether the client's certificate is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Showing {
    Never,
    IfAsked,
    /// And a server that does not ask is left.
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::pg) enum Version {
    Tls12,
    Tls13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tls {
    pub(in crate::pg) mode: Mode,
    pub(in crate::pg) roots: Roots,
    pub(in crate::pg) revocation: Option<Revocation>,
    pub(in crate::pg) identity: Option<Identity>,
    /// A server that does not ask for the client's certificate is left.
    pub(in crate::pg) must_show: bool,
    /// The name to ask for and to find in the certificate, in place of the host's.
    pub(in crate::pg) server_name: Option<String>,
    /// The server's name is sent in clear at the start, for proxies that choose by it.
    pub(in crate::pg) sends_server_name: bool,
    /// TLS begins at once, without asking first: `sslnegotiation=direct`.
    pub(in crate::pg) is_direct: bool,
    pub channel_binding: ChannelBinding,
    pub(in crate::pg) minimum: Version,
    pub(in crate::pg) maximum: Version,
}

impl Tls {
    /// What to try on one host, in this order; the second only where the first failed after the host had answered.
    /// Unix sockets are never encrypted.
    pub(in crate::pg) fn attempts(&self, host: &Host) -> &'static [SslMode] {
        match (host, self.mode) {
            (Host::Unix { .. }, _) | (_, Mode::Disable) => &[SslMode::Disable],
            (_, Mode::Allow) => &[SslMode::Disable, SslMode::Require],
            (_, Mode::Prefer) => &[SslMode::Prefer, SslMode::Disable],
            (_, Mode::Require | Mode::VerifyCa | Mode::VerifyFull) => &[SslMode::Require],
        }
    }
}

/// What `ssl` or `sslmode` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Ssl {
    Off,
    Allow,
    Prefer,
    Require,
    /// TLS without any proof, even where a root is given.
    NoVerify,
    VerifyCa,
    VerifyFull,
    /// `true`, or an object: verified as Node does it, without a look into the home directory.
    Node,
}

impl Ssl {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "disable" | "false" | "off" | "no" | "0" => Self::Off,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "no-verify" => Self::NoVerify,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            "true" | "on" | "yes" | "1" => Self::Node,
            _ => return None,
        })
    }
}

/// The settings about TLS that a source states.
#[derive(Default)]
pub(in crate::pg) struct StatedTls {
    pub(in crate::pg) ssl: Option<Ssl>,
    pub(in crate::pg) roots: Option<Roots>,
    pub(in crate::pg) certificate: Option<Material>,
    pub(in crate::pg) key: Option<Material>,
    pub(in crate::pg) passphrase: Option<Secret>,
    pub(in crate::pg) revocation: Option<Revocation>,
    pub(in crate::pg) server_name: Option<String>,
    pub(in crate::pg) sends_server_name: Option<bool>,
    pub(in crate::pg) showing: Option<Showing>,
    pub(in crate::pg) is_direct: Option<bool>,
    pub channel_binding: Option<ChannelBinding>,
    pub(in crate::pg) minimum: Option<Version>,
    pub(in crate::pg) maximum: Option<Version>,
    /// Prisma's `sslaccept`: whether certificates are verified, beside a `sslmode` that does not say it.
    pub(in crate::pg) is_strict: Option<bool>,
}

/// What libpq looks for in the home directory; only files that are there.
#[derive(Default)]
pub(in crate::pg) struct HomeFiles {
    pub(super) root: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) revocation: Option<PathBuf>,
}

impl StatedTls {
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            ssl: self.ssl.or(lower.ssl),
            roots: self.roots.or(lower.roots),
            certificate: self.certificate.or(lower.certificate),
            key: self.key.or(lower.key),
            passphrase: self.passphrase.or(lower.passphrase),
            revocation: self.revocation.or(lower.revocation),
            server_name: self.server_name.or(lower.server_name),
            sends_server_name: self.sends_server_name.or(lower.sends_server_name),
            showing: self.showing.or(lower.showing),
            is_direct: self.is_direct.or(lower.is_direct),
            channel_binding: self.channel_binding.or(lower.channel_binding),
            minimum: self.minimum.or(lower.minimum),
            maximum: self.maximum.or(lower.maximum),
            is_strict: self.is_strict.or(lower.is_strict),
        }
    }

    /// Without a word about TLS the connection is plain, as `postgres` has it; libpq would `prefer` TLS. Who names a
    /// certificate but no mode wants it verified.
    pub(in crate::pg) fn resolve(mut self, home: HomeFiles, extra: Option<PathBuf>) -> Result<Tls, Invalid> {
        self.take_prisma_certificate(&home);
        let names_certificates = self.roots.is_some() || self.certificate.is_some();
        let is_direct = self.is_direct == Some(true);
        let ssl = match self.ssl {
            Some(ssl) => ssl,
            None if names_certificates => Ssl::VerifyFull,
            None => Ssl::Off,
        };
        let weak = match ssl {
            Ssl::Allow | Ssl::Prefer => true,
            Ssl::Off => self.ssl.is_none(),
            _ => false,
        };
        if is_direct && weak {
            let message = "`sslnegotiation` direct needs TLS that is not optional: add sslmode=require, \
                           verify-ca or verify-full (or the option `ssl`)";
            return Err(Invalid::new(message));
        }
        let must_show = self.showing == Some(Showing::Always);
        if must_show && ssl == Ssl::Off {
            return Err(Invalid::new("`sslcertmode` require needs TLS: add sslmode=require, verify-ca or verify-full"));
        }
        let identity = if ssl == Ssl::Off { None } else { self.identity(ssl, &home)? };
        if must_show && identity.is_none() {
            return Err(Invalid::new("`sslcertmode` require needs a client certificate: add `sslcert` and `sslkey`"));
        }
        let minimum = self.minimum.unwrap_or(Version::Tls12);
        let maximum = self.maximum.unwrap_or(Version::Tls13);
        if minimum > maximum {
            return Err(Invalid::new("the lowest TLS version that is allowed is above the highest"));
        }
        let asks_system = matches!(self.roots, Some(Roots::System { .. }));
        let roots = match (self.roots, home.root) {
            // libpq asks for no proof then.
            (Some(Roots::Given(Material::File(path))), _)
                if ssl == Ssl::Require && self.is_strict.is_none() && !path.exists() =>
            {
                None
            }
            (Some(Roots::Given(roots)), _) => Some(Roots::Given(roots)),
            (None, Some(path)) if ssl != Ssl::Node => Some(Roots::Given(Material::File(path))),
            _ => None,
        };
        let mode = match ssl {
            Ssl::Off => Mode::Disable,
            // Anybody may have a certificate from a public authority: without the name it proves nothing.
            Ssl::Allow | Ssl::Prefer | Ssl::Require | Ssl::VerifyCa if asks_system => Mode::VerifyFull,
            Ssl::Allow | Ssl::Prefer | Ssl::Require | Ssl::VerifyCa if self.is_strict == Some(true) => Mode::VerifyFull,
            // Without TLS nobody can ask for the certificate.
            Ssl::Allow | Ssl::Prefer if must_show => Mode::Require,
            Ssl::Allow => Mode::Allow,
            Ssl::Prefer => Mode::Prefer,
            // libpq has it so since a time when it knew no other mode that verifies.
            Ssl::Require if roots.is_some() && self.is_strict.is_none() => Mode::VerifyCa,
            Ssl::VerifyCa if roots.is_some() => Mode::VerifyCa,
            Ssl::Require | Ssl::NoVerify => Mode::Require,
            Ssl::VerifyCa | Ssl::VerifyFull | Ssl::Node => Mode::VerifyFull,
        };
        let from_home = home.revocation.filter(|_| ssl != Ssl::Node && matches!(roots, Some(Roots::Given(_))));
        let from_home = from_home.map(|path| Revocation { lists: Some(Material::File(path)), directory: None });
        Ok(Tls {
            mode,
            roots: roots.unwrap_or(Roots::System { extra }),
            revocation: self.revocation.or(from_home),
            identity,
            must_show,
            server_name: self.server_name,
            sends_server_name: self.sends_server_name.unwrap_or(true),
            is_direct,
            channel_binding: self.channel_binding.unwrap_or(ChannelBinding::Prefer),
            minimum,
            maximum,
        })
    }

    /// Prisma calls the server's root `sslcert`; libpq the client's certificate, which is of no use without its key.
    fn take_prisma_certificate(&mut self, home: &HomeFiles) {
        let has_key = self.key.is_some() || home.key.is_some();
        if self.is_strict.is_some() && !has_key && self.roots.is_none() {
            self.roots = self.certificate.take().map(Roots::Given);
        }
    }

    fn identity(&mut self, ssl: Ssl, home: &HomeFiles) -> Result<Option<Identity>, Invalid> {
        if self.showing == Some(Showing::Never) {
            return Ok(None);
        }
        let from_home = |path: &Option<PathBuf>| path.clone().filter(|_| ssl != Ssl::Node).map(Material::File);
        let (certificate, key) = (self.certificate.take(), self.key.take());
        let passphrase = self.passphrase.take();
        match (certificate, key) {
            (None, None) => Ok(from_home(&home.certificate)
                .zip(from_home(&home.key))
                .map(|(certificate, key)| Identity { certificate, key, passphrase })),
            (Some(certificate), key) => match key.or_else(|| from_home(&home.key)) {
                Some(key) => Ok(Some(Identity { certificate, key, passphrase })),
                None => Err(Invalid::new(
                    "a client certificate needs its private key: add `sslkey` (`ssl.key`); the root that the \
                     server's certificate is checked with is `sslrootcert` (`ssl.ca`)",
                )),
            },
            (None, Some(key)) => match from_home(&home.certificate) {
                Some(certificate) => Ok(Some(Identity { certificate, key, passphrase })),
                None => Err(Invalid::new("a private key needs its certificate: add `sslcert` (`ssl.cert`)")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(stated: StatedTls) -> Tls {
        stated.resolve(HomeFiles::default(), None).unwrap()
    }

    fn file(name: &str) -> Material {
        Material::File(name.into())
    }

    #[test]
    fn every_mode_means_what_libpq_says_with_and_without_a_root() {
        let table = [
            (Ssl::Off, Mode::Disable, Mode::Disable, Mode::Disable),
            (Ssl::Allow, Mode::Allow, Mode::Allow, Mode::VerifyFull),
            (Ssl::Prefer, Mode::Prefer, Mode::Prefer, Mode::VerifyFull),
            (Ssl::Require, Mode::Require, Mode::VerifyCa, Mode::VerifyFull),
            (Ssl::NoVerify, Mode::Require, Mode::Require, Mode::Require),
            (Ssl::VerifyCa, Mode::VerifyFull, Mode::VerifyCa, Mode::VerifyFull),
            (Ssl::VerifyFull, Mode::VerifyFull, Mode::VerifyFull, Mode::VerifyFull),
            (Ssl::Node, Mode::VerifyFull, Mode::VerifyFull, Mode::VerifyFull),
        ];
        for (ssl, bare, with_root, with_system) in table {
            let mode = |roots| resolved(StatedTls { ssl: Some(ssl), roots, ..StatedTls::default() }).mode;
            assert_eq!(mode(None), bare, "{ssl:?}");
            assert_eq!(mode(Some(Roots::Given(Material::Text(Vec::new())))), with_root, "{ssl:?} with a root");
            assert_eq!(mode(Some(Roots::System { extra: None })), with_system, "{ssl:?} with the system's roots");
        }
    }

    #[test]
    fn a_root_that_is_not_there_is_missed_only_where_proof_is_asked_for() {
        let mode = |ssl| {
            let roots = Some(Roots::Given(file("/does/not/exist")));
            resolved(StatedTls { ssl: Some(ssl), roots, ..StatedTls::default() }).mode
        };
        assert_eq!([Ssl::Require, Ssl::VerifyCa].map(mode), [Mode::Require, Mode::VerifyCa]);
    }

    #[test]
    fn naming_certificates_without_a_mode_asks_for_verification() {
        let tls = resolved(StatedTls { roots: Some(Roots::Given(file("ca"))), ..StatedTls::default() });
        assert_eq!(tls.mode, Mode::VerifyFull);
        assert_eq!(resolved(StatedTls::default()).mode, Mode::Disable);
    }

    #[test]
    fn the_home_directory_serves_libpq_modes_only() {
        let home = || HomeFiles {
            root: Some("root".into()),
            certificate: Some("c".into()),
            key: Some("k".into()),
            revocation: Some("crl".into()),
        };
        let tls = |ssl| StatedTls { ssl: Some(ssl), ..StatedTls::default() }.resolve(home(), None).unwrap();
        assert_eq!(tls(Ssl::Require).mode, Mode::VerifyCa);
        assert_eq!(tls(Ssl::VerifyFull).roots, Roots::Given(file("root")));
        assert!(tls(Ssl::VerifyFull).identity.is_some());
        assert_eq!(tls(Ssl::Node).roots, Roots::System { extra: None });
        assert_eq!(tls(Ssl::Node).identity, None);
        assert_eq!(tls(Ssl::Off).identity, None);
    }

    #[test]
    fn a_certificate_needs_its_key_and_prisma_means_another_one() {
        let stated = |is_strict, key: Option<Material>| StatedTls {
            ssl: Some(Ssl::Require),
            certificate: Some(file("c")),
            key,
            is_strict,
            ..StatedTls::default()
        };
        assert!(stated(None, None).resolve(HomeFiles::default(), None).is_err());
        let prisma = resolved(stated(Some(true), None));
        assert_eq!((prisma.mode, prisma.roots), (Mode::VerifyFull, Roots::Given(file("c"))));
        assert_eq!(resolved(stated(Some(false), None)).mode, Mode::Require);
        let with_key = resolved(stated(None, Some(file("k"))));
        assert_eq!(with_key.identity, Some(Identity { certificate: file("c"), key: file("k"), passphrase: None }));
        assert!(
            StatedTls { key: Some(file("k")), ssl: Some(Ssl::Require), ..StatedTls::default() }
                .resolve(HomeFiles::default(), None)
                .is_err()
        );
    }

    #[test]
    fn direct_negotiation_needs_a_mode_that_insists() {
        let direct = |ssl| StatedTls { ssl, is_direct: Some(true), ..StatedTls::default() };
        for weak in [None, Some(Ssl::Allow), Some(Ssl::Prefer)] {
            assert!(direct(weak).resolve(HomeFiles::default(), None).is_err(), "{weak:?}");
        }
        for strong in [Ssl::Off, Ssl::Require, Ssl::VerifyCa, Ssl::VerifyFull, Ssl::Node, Ssl::NoVerify] {
            assert!(direct(Some(strong)).resolve(HomeFiles::default(), None).is_ok(), "{strong:?}");
        }
    }

    #[test]
    fn a_unix_socket_is_never_encrypted() {
        let tls = resolved(StatedTls { ssl: Some(Ssl::VerifyFull), ..StatedTls::default() });
        assert_eq!(tls.attempts(&Host::Unix { directory: "/tmp".into(), port: 1 }), [SslMode::Disable]);
        assert_eq!(tls.attempts(&Host::Tcp { name: "a".into(), port: 1, address: None }), [SslMode::Require]);
    }

    #[test]
    fn what_is_secret_does_not_print() {
        assert_eq!(format!("{:?}", Material::Text(b"-----BEGIN PRIVATE KEY-----".to_vec())), "***");
    }
}
