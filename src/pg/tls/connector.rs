//! TLS with rustls: what the server has to prove, and what is shown to it.

use std::{
    convert::Infallible,
    error, fs, io,
    sync::{Arc, OnceLock},
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use tokio_postgres::{Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    certificate::Certificate,
    verifier::{Trust, Verifier},
};
use crate::pg::settings::{Host, Identity, Invalid, Material, Mode, Roots, Tls, Version};

/// Makes TLS connections of plain ones.
#[derive(Clone)]
pub(in crate::pg) struct Connector {
    rustls: MakeRustlsConnect,
    server_name: Option<String>,
    checks_name: bool,
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Infallible> {
        let name = self.server_name.as_deref().unwrap_or(host);
        // A host that no certificate can name is reached all the same where none has to; an address is not sent.
        let name = if self.checks_name || ServerName::try_from(name).is_ok() { name } else { "0.0.0.0" };
        MakeTlsConnect::<Socket>::make_tls_connect(&mut self.rustls, name)
    }
}

/// The connector for one host. Reads the files that the settings name, so that renewed ones count for new connections.
pub(in crate::pg) fn connector(tls: &Tls, host: &Host) -> Result<Connector, Invalid> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let is_used = tls.mode != Mode::Disable && !matches!(host, Host::Unix { .. });
    let checks_name = is_used && tls.mode == Mode::VerifyFull;
    let verifier = match tls.mode {
        Mode::VerifyCa | Mode::VerifyFull if is_used => {
            let (roots, given) = roots(&tls.roots)?;
            Verifier { trust: Some(Trust { roots, given, checks_name }), algorithms }
        }
        _ => Verifier { trust: None, algorithms },
    };
    let mut config = if is_used { client(tls, &provider, verifier)? } else { plain(provider, verifier)? };
    config.enable_sni = tls.sends_server_name;
    if tls.is_direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(Connector { rustls: MakeRustlsConnect::new(config), server_name: tls.server_name.clone(), checks_name })
}

fn client(tls: &Tls, provider: &Arc<CryptoProvider>, verifier: Verifier) -> Result<ClientConfig, Invalid> {
    let versions: Vec<_> = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)]
        .into_iter()
        .filter(|(version, _)| (tls.minimum..=tls.maximum).contains(version))
        .map(|(_, version)| version)
        .collect();
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| Invalid::new(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match &tls.identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified(identity, provider)?)))
        }
        None => builder.with_no_client_auth(),
    })
}

/// The client's certificate and key; rustls itself would not take one of version 1.
fn certified(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, Invalid> {
    let certificates = certificates(&identity.certificate, "sslcert", "ssl.cert")?;
    let place = place(&identity.key, "sslkey", "ssl.key");
    let key = provider
        .key_provider
        .load_private_key(private_key(&identity.key)?)
        .map_err(|error| Invalid::new(format!("{place} cannot be used: {error}")))?;
    let public = key.public_key();
    let own = certificates.first().and_then(|certificate| Certificate::read(certificate));
    match (public, own) {
        (Some(public), Some(own)) if public.as_ref() != own.key.info => {
            Err(Invalid::new(format!("{place} is not the key of the client certificate")))
        }
        _ => Ok(CertifiedKey::new(certificates, key)),
    }
}

/// For connections that never come to TLS.
fn plain(provider: Arc<CryptoProvider>, verifier: Verifier) -> Result<ClientConfig, Invalid> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Invalid::new(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Where a certificate or a key was given, for a message.
fn place(material: &Material, file: &str, option: &str) -> String {
    match material {
        Material::File(path) => format!("`{file}` ({})", path.display()),
        Material::Text(_) => format!("option `{option}`"),
    }
}

fn bytes(material: &Material, file: &str) -> Result<Vec<u8>, Invalid> {
    match material {
        Material::File(path) => fs::read(path)
            .map_err(|error| Invalid::new(format!("`{file}`: {} cannot be read: {error}", path.display()))),
        Material::Text(text) => Ok(text.clone()),
    }
}

fn certificates(material: &Material, file: &str, option: &str) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes(material, file)?).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Invalid::new(format!("{} does not hold a PEM certificate", place(material, file, option)))),
    }
}

fn private_key(material: &Material) -> Result<PrivateKeyDer<'static>, Invalid> {
    let bytes = bytes(material, "sslkey")?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).ok().or_else(|| PrivateKeyDer::try_from(bytes.clone()).ok());
    key.ok_or_else(|| {
        let is_encrypted = bytes.windows(9).any(|window| window == b"ENCRYPTED");
        let advice = if is_encrypted {
            "is encrypted, which is not supported; decrypt it with openssl pkcs8 -topk8 -nocrypt"
        } else {
            "does not hold a private key in PEM or DER"
        };
        Invalid::new(format!("{} {advice}", place(material, "sslkey", "ssl.key")))
    })
}

/// The roots, and those of them that were given, as they are.
fn roots(roots: &Roots) -> Result<(Arc<RootCertStore>, Vec<CertificateDer<'static>>), Invalid> {
    let (mut store, given) = match roots {
        Roots::System { extra } => {
            let extra = extra.clone().map(Material::File);
            // As in Node a file that cannot be read changes nothing.
            match extra.and_then(|file| certificates(&file, "NODE_EXTRA_CA_CERTS", "").ok()) {
                Some(extra) => ((*system_roots()).clone(), extra),
                None => return Ok((system_roots(), Vec::new())),
            }
        }
        Roots::Given(material) => (RootCertStore::empty(), certificates(material, "sslrootcert", "ssl.ca")?),
    };
    store.add_parsable_certificates(given.iter().cloned());
    Ok((Arc::new(store), given))
}

/// Whom the operating system trusts; read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || Arc::new(store(rustls_native_certs::load_native_certs().certs));
    ROOTS.get_or_init(read).clone()
}

/// Where the system has no certificates, as in small containers, those of Mozilla's, which are Node's too.
fn store(of_system: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(of_system);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// Node's code for what went wrong with TLS, and what to do about it. `error` is the source of the driver's error.
pub(in crate::pg) fn explain(error: &(dyn error::Error + 'static)) -> Option<(&'static str, &'static str)> {
    if error.to_string() == "server does not support TLS" {
        return Some((
            "TLS_NOT_SUPPORTED",
            "switch on `ssl` in the server's configuration, or connect with sslmode=disable",
        ));
    }
    let error = error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some(("CERT_HAS_EXPIRED", "the server needs a new certificate"))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Some(("CERT_NOT_YET_VALID", "check the clocks of both machines"))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Some((
                "ERR_TLS_CERT_ALTNAME_INVALID",
                "connect to a name that the certificate holds, or say with `ssl.servername` which name to expect",
            )),
            CertificateError::UnknownIssuer => Some((
                "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
                "name the certificate of the authority that signed it: sslrootcert=FILE, or the option `ssl: { ca }`",
            )),
            _ => None,
        },
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnknownCA,
        ) => Some((
            "TLS_CLIENT_CERTIFICATE_REFUSED",
            "the server wants a client certificate that it trusts: sslcert and sslkey, or the option \
             `ssl: { cert, key }`",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::{
        settings::{HomeFiles, Ssl, StatedTls},
        tls::certificate::samples,
    };

    fn host() -> Host {
        Host::Tcp { name: "db.example.com".into(), port: 5432, address: None }
    }

    fn settings(ssl: Ssl, roots: Option<Roots>, identity: Option<Identity>) -> Tls {
        let stated = StatedTls { ssl: Some(ssl), roots, ..StatedTls::default() };
        Tls { identity, ..stated.resolve(HomeFiles::default(), None).unwrap() }
    }

    fn text(text: &str) -> Material {
        Material::Text(text.as_bytes().to_vec())
    }

    fn message(tls: &Tls) -> String {
        connector(tls, &host()).err().map(|invalid| invalid.message).unwrap_or_default()
    }

    #[test]
    fn every_mode_has_a_connector() {
        let given = || Some(Roots::Given(text(samples::AUTHORITY)));
        for ssl in
            [Ssl::Off, Ssl::Allow, Ssl::Prefer, Ssl::Require, Ssl::NoVerify, Ssl::VerifyCa, Ssl::VerifyFull, Ssl::Node]
        {
            assert_eq!(message(&settings(ssl, given(), None)), "", "{ssl:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = || Material::File("/does/not/exist".into());
        let with_root = |root| settings(Ssl::VerifyFull, Some(Roots::Given(root)), None);
        assert!(message(&with_root(missing())).starts_with("`sslrootcert`: /does/not/exist cannot be read"));
        assert_eq!(message(&with_root(text("hunter2"))), "option `ssl.ca` does not hold a PEM certificate");
        let with_key = |certificate, key| settings(Ssl::Require, None, Some(Identity { certificate, key }));
        assert!(message(&with_key(missing(), text(""))).starts_with("`sslcert`: /does/not/exist"));
        assert!(message(&with_key(text(samples::NAMED), missing())).starts_with("`sslkey`: /does/not/exist"));
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(message(&with_key(text(samples::NAMED), text(encrypted))).contains("option `ssl.key` is encrypted"));
        assert!(message(&with_key(text(samples::NAMED), text("hunter2"))).contains("does not hold a private key"));
    }

    #[test]
    fn mozillas_roots_stand_in_where_the_system_has_none() {
        let built_in = store(Vec::new());
        let is_of = |name: &str| {
            built_in.roots.iter().any(|root| root.subject.windows(name.len()).any(|part| part == name.as_bytes()))
        };
        assert!(is_of("ISRG Root X1") && is_of("DigiCert Global Root G2") && !is_of("Nobody"));
        let own = CertificateDer::from_pem_slice(samples::AUTHORITY.as_bytes()).unwrap();
        assert_eq!(store(vec![own]).len(), 1);
    }

    #[test]
    fn files_are_read_only_where_tls_is_spoken() {
        let missing = || Some(Roots::Given(Material::File("/does/not/exist".into())));
        assert_eq!(message(&settings(Ssl::Off, missing(), None)), "");
        let socket = Host::Unix { directory: "/tmp".into(), port: 5432 };
        assert!(connector(&settings(Ssl::VerifyFull, missing(), None), &socket).is_ok());
    }

    #[test]
    fn failures_have_the_codes_of_node() {
        let code =
            |error: rustls::Error| explain(&io::Error::new(io::ErrorKind::InvalidData, error)).map(|(code, _)| code);
        let of = |problem: CertificateError| code(rustls::Error::InvalidCertificate(problem));
        assert_eq!(of(CertificateError::Expired), Some("CERT_HAS_EXPIRED"));
        assert_eq!(of(CertificateError::NotValidForName), Some("ERR_TLS_CERT_ALTNAME_INVALID"));
        assert_eq!(of(CertificateError::UnknownIssuer), Some("UNABLE_TO_VERIFY_LEAF_SIGNATURE"));
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(code(alert), Some("TLS_CLIENT_CERTIFICATE_REFUSED"));
        assert_eq!(explain(&io::Error::other("else")), None);
    }
}
