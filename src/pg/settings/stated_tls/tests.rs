use super::*;
use crate::pg::settings::host::Host;
use tokio_postgres::config::SslMode;

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
fn the_home_directorys_revocation_list_belongs_to_roots_that_are_given() {
    let lists = |ssl, roots| {
        let home = HomeFiles { revocation: Some("crl".into()), ..HomeFiles::default() };
        let stated = StatedTls { ssl: Some(ssl), roots, ..StatedTls::default() };
        stated.resolve(home, None).unwrap().revocation
    };
    let given = || Some(Roots::Given(file("root")));
    assert_eq!(lists(Ssl::VerifyFull, given()), Some(Revocation { lists: Some(file("crl")), directory: None }));
    assert_eq!(lists(Ssl::VerifyFull, None), None);
    assert_eq!(lists(Ssl::Node, given()), None);
}

#[test]
fn a_certificate_that_has_to_be_shown_needs_tls_and_is_not_shown_in_clear() {
    let shows = |ssl| StatedTls {
        ssl: Some(ssl),
        certificate: Some(file("c")),
        key: Some(file("k")),
        showing: Some(Showing::Always),
        ..StatedTls::default()
    };
    for (ssl, mode) in [(Ssl::Allow, Mode::Require), (Ssl::Prefer, Mode::Require), (Ssl::VerifyFull, Mode::VerifyFull)]
    {
        let tls = resolved(shows(ssl));
        assert_eq!((tls.mode, tls.must_show), (mode, true), "{ssl:?}");
    }
    let told = |stated: StatedTls| stated.resolve(HomeFiles::default(), None).unwrap_err().message().to_owned();
    assert!(told(shows(Ssl::Off)).contains("needs TLS"));
    let without = StatedTls { certificate: None, key: None, ..shows(Ssl::Require) };
    assert!(told(without).contains("needs a client certificate"));
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
    let home = HomeFiles { key: Some("home".into()), ..HomeFiles::default() };
    let beside_key = stated(Some(true), None).resolve(home, None).unwrap().identity;
    assert_eq!(beside_key, Some(Identity { certificate: file("c"), key: file("home"), passphrase: None }));
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
