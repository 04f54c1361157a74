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
