use futures_util::future::join;
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier, sign::SingleCertAndKey};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::pg::{
    settings::{HomeFiles, Identity, Material, Roots, Ssl, StatedTls},
    tls::samples,
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
    connector(tls, &host()).err().map(|invalid| invalid.message().to_owned()).unwrap_or_default()
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
    let with_key =
        |certificate, key| settings(Ssl::Require, None, Some(Identity { certificate, key, passphrase: None }));
    assert!(message(&with_key(missing(), text(""))).starts_with("`sslcert`: /does/not/exist"));
    assert!(message(&with_key(text(samples::NAMED), missing())).starts_with("`sslkey`: /does/not/exist"));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(message(&with_key(text(samples::NAMED), text(encrypted))).contains("option `ssl.key` is encrypted"));
    assert!(message(&with_key(text(samples::NAMED), text("hunter2"))).contains("does not hold a private key"));
}

#[test]
fn files_are_read_only_where_tls_is_spoken() {
    let missing = || Some(Roots::Given(Material::File("/does/not/exist".into())));
    assert_eq!(message(&settings(Ssl::Off, missing(), None)), "");
    let socket = Host::Unix { directory: "/tmp".into(), port: 5432 };
    assert!(connector(&settings(Ssl::VerifyFull, missing(), None), &socket).is_ok());
    let missing = || Material::File("/does/not/exist".into());
    let identity = Identity { certificate: missing(), key: missing(), passphrase: None };
    assert!(connector(&settings(Ssl::Require, None, Some(identity)), &socket).is_ok());
}

#[test]
fn versions_and_the_name_in_clear_are_those_of_the_settings() {
    let any = || settings(Ssl::Require, None, None);
    assert_eq!(versions(&any()), [&TLS12, &TLS13]);
    assert_eq!(versions(&Tls { minimum: Version::Tls13, ..any() }), [&TLS13]);
    assert_eq!(versions(&Tls { maximum: Version::Tls12, ..any() }), [&TLS12]);
    let config = |tls: &Tls| connector(tls, &host()).unwrap().config;
    assert!(config(&any()).enable_sni);
    assert!(!config(&Tls { sends_server_name: false, ..any() }).enable_sni);
    assert_eq!(config(&any()).alpn_protocols, [b"postgresql"]);
}

#[test]
fn a_name_that_no_certificate_can_have_is_sent_to_nobody() {
    let any = || settings(Ssl::Require, None, None);
    let odd = Host::Tcp { name: "not a name".into(), port: 5432, address: None };
    assert_eq!(server_name(&any(), &host(), false), "db.example.com");
    assert_eq!(server_name(&any(), &host(), true), "db.example.com");
    assert_eq!(server_name(&any(), &odd, false), "0.0.0.0");
    assert_eq!(server_name(&any(), &odd, true), "not a name");
    let of_mode = |ssl| connector(&settings(ssl, Some(Roots::Given(text(samples::AUTHORITY))), None), &odd).unwrap();
    assert_eq!(of_mode(Ssl::VerifyCa).server_name, "0.0.0.0");
    assert_eq!(of_mode(Ssl::VerifyFull).server_name, "not a name");
    let stated = Tls { server_name: Some("other.example.com".into()), ..any() };
    assert_eq!(server_name(&stated, &host(), false), "other.example.com");
}

#[test]
fn what_has_to_be_shown_is_no_use_on_a_unix_socket() {
    let must_show = Tls { must_show: true, ..settings(Ssl::Require, None, None) };
    assert_eq!(message(&must_show), "");
    let socket = Host::Unix { directory: "/tmp".into(), port: 5432 };
    let told = connector(&must_show, &socket).err().unwrap();
    assert_eq!(told.message(), "`sslcertmode` require needs TLS, which a unix socket does not have");
    let is_direct =
        |is_direct| connector(&Tls { is_direct, ..settings(Ssl::Require, None, None) }, &host()).unwrap().is_direct();
    assert!(is_direct(true) && !is_direct(false));
}

/// Whether a handshake is accepted with a server that has these protocols, and may ask for a certificate.
async fn accepts(tls: &Tls, protocols: &[&[u8]], asks: bool) -> bool {
    let provider = Arc::new(algorithms::provider());
    let identity = Identity { certificate: text(samples::SIGNER), key: text(samples::SIGNER_KEY), passphrase: None };
    let shown = Arc::new(SingleCertAndKey::from(identity::certified(&identity, &provider).unwrap()));
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(samples::der(samples::SIGNER)).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.allow_unauthenticated().build().unwrap();
    let server = if asks { server.with_client_cert_verifier(verifier) } else { server.with_no_client_auth() };
    let mut server = server.with_cert_resolver(shown);
    server.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let connector = connector(tls, &host()).unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let (answer, _) = join(connector.handshake(near), TlsAcceptor::from(Arc::new(server)).accept(far)).await;
    answer.is_ok()
}

#[test]
fn a_direct_handshake_chooses_the_protocol_and_one_that_must_show_is_asked() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let accepts = |tls: &Tls, protocols, asks| runtime.block_on(accepts(tls, protocols, asks));
    let any = || settings(Ssl::Require, None, None);
    let (ours, none): (&[&[u8]], &[&[u8]]) = (&[PROTOCOL], &[]);
    assert!(accepts(&any(), none, false));
    let direct = Tls { is_direct: true, ..any() };
    assert!(accepts(&direct, ours, false));
    assert!(!accepts(&direct, none, false));
    let must_show = Tls { must_show: true, ..any() };
    assert!(accepts(&must_show, none, true));
    assert!(!accepts(&must_show, none, false));
}
