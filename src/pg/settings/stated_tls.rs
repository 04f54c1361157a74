//! What one source states about TLS, and what all of them come to.

use std::path::PathBuf;

use super::{
    password::Secret,
    tls::{ChannelBinding, Identity, Material, Mode, Revocation, Roots, Tls, Version},
};
use crate::pg::error::Error;

/// `sslcertmode`: whether the client's certificate is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Showing {
    Never,
    IfAsked,
    /// It is shown, and a server that does not ask for it is left.
    Always,
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

    /// What all sources come to. Where none says anything about TLS the connection is plain, as `postgres` has it
    /// (libpq would `prefer` TLS); where one names a certificate but no mode, the server's certificate is verified.
    /// `extra` is the file of `NODE_EXTRA_CA_CERTS`. Rejects settings that exclude one another.
    pub(in crate::pg) fn resolve(mut self, home: HomeFiles, extra: Option<PathBuf>) -> Result<Tls, Error> {
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
            return Err(Error::invalid(message));
        }
        let must_show = self.showing == Some(Showing::Always);
        if must_show && ssl == Ssl::Off {
            return Err(Error::invalid(
                "`sslcertmode` require needs TLS: add sslmode=require, verify-ca or verify-full",
            ));
        }
        let identity = if ssl == Ssl::Off { None } else { self.identity(ssl, &home)? };
        if must_show && identity.is_none() {
            return Err(Error::invalid("`sslcertmode` require needs a client certificate: add `sslcert` and `sslkey`"));
        }
        let minimum = self.minimum.unwrap_or(Version::Tls12);
        let maximum = self.maximum.unwrap_or(Version::Tls13);
        if minimum > maximum {
            return Err(Error::invalid("the lowest TLS version that is allowed is above the highest"));
        }
        let asks_system = matches!(self.roots, Some(Roots::System { .. }));
        let roots = self.take_roots(home.root, ssl);
        let mode = self.mode(ssl, asks_system, roots.is_some());
        let from_home = home.revocation.filter(|_| ssl != Ssl::Node && roots.is_some());
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

    /// The roots that were given, or those of the home directory; `None` where the system's roots count.
    fn take_roots(&mut self, home: Option<PathBuf>, ssl: Ssl) -> Option<Roots> {
        match (self.roots.take(), home) {
            // libpq's `require` asks for no proof where the file of roots is not there.
            (Some(Roots::Given(Material::File(path))), _)
                if ssl == Ssl::Require && self.is_strict.is_none() && !path.exists() =>
            {
                None
            }
            (Some(Roots::Given(roots)), _) => Some(Roots::Given(roots)),
            (None, Some(path)) if ssl != Ssl::Node => Some(Roots::Given(Material::File(path))),
            _ => None,
        }
    }

    /// The mode that `ssl` comes to where the system's roots were asked for, or others are given.
    fn mode(&self, ssl: Ssl, asks_system: bool, has_roots: bool) -> Mode {
        match ssl {
            Ssl::Off => Mode::Disable,
            // Anybody may have a certificate from a public authority: without the name it proves nothing.
            Ssl::Allow | Ssl::Prefer | Ssl::Require | Ssl::VerifyCa if asks_system => Mode::VerifyFull,
            Ssl::Allow | Ssl::Prefer | Ssl::Require | Ssl::VerifyCa if self.is_strict == Some(true) => Mode::VerifyFull,
            // Over a plain connection no server can ask for the certificate.
            Ssl::Allow | Ssl::Prefer if self.showing == Some(Showing::Always) => Mode::Require,
            Ssl::Allow => Mode::Allow,
            Ssl::Prefer => Mode::Prefer,
            // In libpq `require` with a file of roots means `verify-ca`, as it did before there was such a mode.
            Ssl::Require if has_roots && self.is_strict.is_none() => Mode::VerifyCa,
            Ssl::VerifyCa if has_roots => Mode::VerifyCa,
            Ssl::Require | Ssl::NoVerify => Mode::Require,
            Ssl::VerifyCa | Ssl::VerifyFull | Ssl::Node => Mode::VerifyFull,
        }
    }

    /// Prisma calls the server's root `sslcert`; libpq the client's certificate, which is of no use without its key.
    fn take_prisma_certificate(&mut self, home: &HomeFiles) {
        let has_key = self.key.is_some() || home.key.is_some();
        if self.is_strict.is_some() && !has_key && self.roots.is_none() {
            self.roots = self.certificate.take().map(Roots::Given);
        }
    }

    fn identity(&mut self, ssl: Ssl, home: &HomeFiles) -> Result<Option<Identity>, Error> {
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
                None => Err(Error::invalid(
                    "a client certificate needs its private key: add `sslkey` (`ssl.key`); the root that the \
                     server's certificate is checked with is `sslrootcert` (`ssl.ca`)",
                )),
            },
            (None, Some(key)) => match from_home(&home.certificate) {
                Some(certificate) => Ok(Some(Identity { certificate, key, passphrase })),
                None => Err(Error::invalid("a private key needs its certificate: add `sslcert` (`ssl.cert`)")),
            },
        }
    }
}

#[cfg(test)]
mod tests;
