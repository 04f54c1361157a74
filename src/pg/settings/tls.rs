//! How a connection is encrypted and what the server has to prove, as settings.

use std::{fmt, path::PathBuf};

use tokio_postgres::config::SslMode;

use super::{host::Host, password::Secret};

/// What libpq's `sslmode` says.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg) enum Mode {
    Disable,
    /// Plain; with TLS if the server refuses that.
    Allow,
    /// With TLS; plain where the server refuses TLS.
    Prefer,
    /// With TLS, whoever answers.
    Require,
    /// The server's certificate is signed by a root that is trusted.
    VerifyCa,
    /// The server's certificate is verified, and is for the host that was asked for.
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
    /// What is tried on one host, in this order: the second attempt only where the first failed after the host had
    /// answered. A unix socket is never encrypted.
    pub(in crate::pg) fn attempts(&self, host: &Host) -> &'static [SslMode] {
        match (host, self.mode) {
            (Host::Unix { .. }, _) | (_, Mode::Disable) => &[SslMode::Disable],
            (_, Mode::Allow) => &[SslMode::Disable, SslMode::Require],
            (_, Mode::Prefer) => &[SslMode::Prefer, SslMode::Disable],
            (_, Mode::Require | Mode::VerifyCa | Mode::VerifyFull) => &[SslMode::Require],
        }
    }
}
