//! TLS with rustls: what the server has to prove, and what is shown to it.

use std::{
    future::{Future, ready},
    io,
    pin::Pin,
    sync::Arc,
};

use rustls::{
    ClientConfig,
    crypto::CryptoProvider,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::TlsConnect;
use tokio_rustls::TlsConnector;

use super::{
    algorithms,
    identity::{self, Shown},
    revocation, roots,
    rules::Broken,
    stream::Stream,
    verifier::{Trust, Verifier},
};
use crate::pg::settings::{Host, Invalid, Mode, Tls, Version};

/// Registered for PostgreSQL; a server that is spoken to directly has to choose it, lest another protocol's server take
/// what is meant for this one.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
const PROTOCOL: &[u8] = b"postgresql";

/// Makes TLS connections of plain ones.
#[derive(Clone)]
pub(in crate::pg) struct Connector {
    config: Arc<ClientConfig>,
    shown: Arc<Shown>,
    server_name: Option<String>,
    checks_name: bool,
    is_direct: bool,
    must_show: bool,
}

/// A connector with the name of one server.
pub(in crate::pg) struct ToServer {
    connector: Connector,
    name: String,
}

impl Connector {
    pub(in crate::pg) fn to(&self, host: &Host) -> ToServer {
        let name = match (&self.server_name, host) {
            (Some(name), _) | (None, Host::Tcp { name, .. }) => name.as_str(),
            (None, Host::Unix { .. }) => "",
        };
        // A host that no certificate can name is reached all the same where none has to; an address is not sent.
        let name = if self.checks_name || ServerName::try_from(name).is_ok() { name } else { "0.0.0.0" };
        ToServer { connector: self.clone(), name: name.to_owned() }
    }

    /// What a handshake has to have brought beside a certificate that is accepted.
    fn check<S>(&self, stream: Stream<S>) -> io::Result<Stream<S>> {
        let refused = |code, text| Err(io::Error::new(io::ErrorKind::InvalidData, Broken::new(code, text)));
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

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for ToServer {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self { connector, name } = self;
        let name = match ServerName::try_from(name) {
            Ok(name) => name,
            Err(error) => return Box::pin(ready(Err(io::Error::new(io::ErrorKind::InvalidInput, error)))),
        };
        let handshake = TlsConnector::from(connector.config.clone()).connect(name, stream);
        Box::pin(async move { connector.check(Stream(handshake.await?)) })
    }
}

/// The connector for one host. Reads the files that the settings name, so that renewed ones count for new connections.
pub(in crate::pg) fn connector(tls: &Tls, host: &Host) -> Result<Connector, Invalid> {
    let provider = Arc::new(algorithms::provider());
    let algorithms = provider.signature_verification_algorithms;
    let is_used = tls.mode != Mode::Disable && !matches!(host, Host::Unix { .. });
    if tls.must_show && !is_used {
        return Err(Invalid::new("`sslcertmode` require needs TLS, which a unix socket does not have"));
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
        server_name: tls.server_name.clone(),
        checks_name,
        is_direct: tls.is_direct,
        must_show: tls.must_show,
    })
}

fn client(
    tls: &Tls,
    provider: Arc<CryptoProvider>,
    verifier: Verifier,
    shown: &Arc<Shown>,
) -> Result<ClientConfig, Invalid> {
    let versions: Vec<_> = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)]
        .into_iter()
        .filter(|(version, _)| (tls.minimum..=tls.maximum).contains(version))
        .map(|(_, version)| version)
        .collect();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| Invalid::new(format!("TLS cannot be set up: {error}")))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_client_cert_resolver(shown.clone()))
}

#[cfg(test)]
mod tests;
