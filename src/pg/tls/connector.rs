//! TLS with rustls: what the server has to prove, and what is shown to it.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::{
    algorithms,
    identity::{self, Shown},
    revocation, roots,
    stream::Stream,
    verifier::{Trust, Verifier},
};
use crate::pg::{
    error::Error,
    settings::{Host, Mode, Tls, Version},
};

/// Registered for PostgreSQL; a server that is spoken to directly has to choose it, lest another protocol's server take
/// what is meant for this one.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
const PROTOCOL: &[u8] = b"postgresql";

/// Makes TLS connections to one host of plain ones.
#[derive(Clone)]
pub(in crate::pg) struct Connector {
    config: Arc<ClientConfig>,
    shown: Arc<Shown>,
    /// The name that is sent in clear (SNI), and has to be found in the certificate.
    server_name: String,
    is_direct: bool,
    must_show: bool,
}

impl Connector {
    pub(super) fn is_direct(&self) -> bool {
        self.is_direct
    }

    pub(super) async fn handshake<S>(&self, stream: S) -> io::Result<Stream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(self.server_name.clone());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.check(Stream(TlsConnector::from(self.config.clone()).connect(name, stream).await?))
    }

    /// Rejects a handshake that has not chosen PostgreSQL's protocol, or not asked for a certificate that has to be shown.
    fn check<S>(&self, stream: Stream<S>) -> io::Result<Stream<S>> {
        let refused = |code, text| Err(io::Error::new(io::ErrorKind::InvalidData, Error::failure(code, text)));
        if self.is_direct && stream.0.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
            return refused(
                "TLS_NOT_SUPPORTED",
                "what answered TLS is no PostgreSQL: it has not chosen its protocol (ALPN)",
            );
        }
        if self.must_show && !self.shown.was_asked() {
            let text = "the server has not asked for a client certificate, as sslcertmode=require demands";
            return refused("TLS_CLIENT_CERTIFICATE_REFUSED", text);
        }
        Ok(stream)
    }
}

/// A host that no certificate can name is reached all the same where none has to; an address is not sent.
fn server_name(tls: &Tls, host: &Host, checks_name: bool) -> String {
    let name = match (&tls.server_name, host) {
        (Some(name), _) | (None, Host::Tcp { name, .. }) => name.as_str(),
        (None, Host::Unix { .. }) => "",
    };
    if checks_name || ServerName::try_from(name).is_ok() { name.to_owned() } else { "0.0.0.0".to_owned() }
}

/// The connector for one host. Reads the files that the settings name, so that renewed certificates count for new
/// connections. Rejects with `INVALID_OPTIONS` where a file cannot be read or used.
pub(in crate::pg) fn connector(tls: &Tls, host: &Host) -> Result<Connector, Error> {
    let provider = Arc::new(algorithms::provider());
    let algorithms = provider.signature_verification_algorithms;
    let is_used = tls.mode != Mode::Disable && !matches!(host, Host::Unix { .. });
    if tls.must_show && !is_used {
        return Err(Error::invalid("`sslcertmode` require needs TLS, which a unix socket does not have"));
    }
    let checks_name = is_used && tls.mode == Mode::VerifyFull;
    let trust = match tls.mode {
        Mode::VerifyCa | Mode::VerifyFull if is_used => {
            let lists = tls.revocation.as_ref().map(revocation::lists).transpose()?;
            Some(Trust { roots: roots::trusted(&tls.roots)?, lists, checks_name })
        }
        _ => None,
    };
    let certified = match &tls.identity {
        Some(identity) if is_used => Some(identity::certified(identity, &provider)?),
        _ => None,
    };
    let shown = Arc::new(Shown::new(certified));
    let mut config = client(tls, provider, Verifier { trust, algorithms }, &shown)?;
    config.enable_sni = tls.sends_server_name;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Connector {
        config: Arc::new(config),
        shown,
        server_name: server_name(tls, host, checks_name),
        is_direct: tls.is_direct,
        must_show: tls.must_show,
    })
}

fn versions(tls: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    let known = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)].into_iter();
    known.filter(|(version, _)| (tls.minimum..=tls.maximum).contains(version)).map(|(_, version)| version).collect()
}

fn client(
    tls: &Tls,
    provider: Arc<CryptoProvider>,
    verifier: Verifier,
    shown: &Arc<Shown>,
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(tls))
        .map_err(|error| Error::invalid(format!("TLS cannot be set up: {error}")))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_client_cert_resolver(shown.clone()))
}

#[cfg(test)]
mod tests;
