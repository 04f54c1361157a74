use std::time::Duration;

use ring::{rand::SystemRandom, signature};
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use super::*;
use crate::pg::{
    settings::{Material, Revocation, Roots},
    tls::{algorithms, roots::trusted, samples},
};

const IN_2030: u64 = 1_900_000_000;
const IN_2200: u64 = 7_258_118_400;

/// The roots, the server's certificate, the name to be found in it (`None` where any will do), the time.
type Case<'a> = (&'a [&'a str], &'a str, Option<&'a str>, u64);

fn verify((roots, presented, name, at): Case) -> Result<(), String> {
    let roots = Roots::Given(Material::Text(roots.concat().into_bytes()));
    let roots =
        if roots == Roots::Given(Material::Text(Vec::new())) { Arc::default() } else { trusted(&roots).unwrap() };
    let judge = Verifier {
        trust: Some(Trust { roots, lists: None, checks_name: name.is_some() }),
        algorithms: algorithms::provider().signature_verification_algorithms,
    };
    let name = ServerName::try_from(name.unwrap_or("anything")).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let answer = judge.verify_server_cert(&samples::der(presented), &[], &name, &[], now);
    answer.map(|_| ()).map_err(|error| format!("{error:?}"))
}

#[test]
fn certificates_are_judged_as_libpq_judges_them() {
    use samples::{AUTHORITY, NAMED, OLD, OTHER, SELF_SIGNED, SIGNER, UNNAMED};
    let by_authority: &[&str] = &[AUTHORITY];
    let table: [(Case, &str); 27] = [
        ((by_authority, NAMED, Some("db.example.com"), IN_2030), ""),
        ((by_authority, NAMED, Some("127.0.0.1"), IN_2030), ""),
        ((&[OTHER, AUTHORITY], NAMED, Some("db.example.com"), IN_2030), ""),
        ((by_authority, NAMED, Some("example.com"), IN_2030), "NotValidForName"),
        ((by_authority, NAMED, Some("127.0.0.2"), IN_2030), "NotValidForName"),
        ((by_authority, NAMED, None, IN_2030), ""),
        ((by_authority, NAMED, None, IN_2200), "Expired"),
        ((by_authority, NAMED, None, 0), "NotValidYet"),
        ((&[OTHER], NAMED, None, IN_2030), "UnknownIssuer"),
        ((&[], NAMED, None, IN_2030), "UnknownIssuer"),
        // Known by the common name only.
        ((by_authority, UNNAMED, Some("db.example.com"), IN_2030), ""),
        ((by_authority, UNNAMED, Some("other.example.com"), IN_2030), "NotValidForName"),
        ((&[OTHER], UNNAMED, Some("db.example.com"), IN_2030), "UnknownIssuer"),
        // Where there are alternative names the common name is none.
        ((&[SIGNER], SIGNER, Some("other.example.com"), IN_2030), ""),
        ((&[SIGNER], SIGNER, Some("db.example.com"), IN_2030), "NotValidForName"),
        // Of version 1.
        ((by_authority, OLD, Some("db.example.com"), IN_2030), ""),
        ((by_authority, OLD, Some("other.example.com"), IN_2030), "NotValidForName"),
        ((by_authority, OLD, None, IN_2200), "expired"),
        ((by_authority, OLD, None, 0), "not yet valid"),
        ((&[OTHER], OLD, None, IN_2030), "UnknownIssuer"),
        ((&[], OLD, None, IN_2030), "UnknownIssuer"),
        ((&[OLD], OLD, Some("db.example.com"), IN_2030), "UnknownIssuer"),
        // Its own authority, and given as that.
        ((&[SELF_SIGNED], SELF_SIGNED, Some("db.example.com"), IN_2030), ""),
        ((&[SELF_SIGNED], SELF_SIGNED, Some("other.example.com"), IN_2030), "NotValidForName"),
        ((&[SELF_SIGNED], SELF_SIGNED, None, IN_2200), "expired"),
        ((&[SELF_SIGNED], SELF_SIGNED, None, 0), "not yet valid"),
        ((by_authority, SELF_SIGNED, None, IN_2030), "UnknownIssuer"),
    ];
    for (index, (case, expected)) in table.into_iter().enumerate() {
        match verify(case) {
            Ok(()) => assert_eq!(expected, "", "row {index}"),
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "row {index}: {error}"),
        }
    }
}

#[test]
fn without_trust_anything_will_do() {
    let algorithms = algorithms::provider().signature_verification_algorithms;
    let verifier = Verifier { trust: None, algorithms };
    let name = ServerName::try_from("anything").unwrap();
    let now = UnixTime::since_unix_epoch(Duration::ZERO);
    for presented in [samples::NAMED, samples::OLD, samples::SELF_SIGNED] {
        assert!(verifier.verify_server_cert(&samples::der(presented), &[], &name, &[], now).is_ok());
    }
}

#[test]
fn a_certificate_has_to_be_on_the_good_side_of_a_list() {
    let table = [
        (samples::LIST, "listed", ""),
        (samples::LIST, "revoked", "is revoked"),
        (samples::LIST_TO_COME, "listed", "there is no revocation list"),
        // Its own authority.
        (samples::LIST, "lists", "whether it is revoked is not looked up"),
    ];
    let algorithms = algorithms::provider().signature_verification_algorithms;
    for (list, presented, expected) in table {
        let mut roots = Trusted::default();
        roots.add(vec![samples::kind("lists")]);
        let list = Some(Material::Text(list.as_bytes().to_vec()));
        let lists = revocation::lists(&Revocation { lists: list, directory: None }).unwrap();
        let trust = Trust { roots: Arc::new(roots), lists: Some(lists), checks_name: false };
        let verifier = Verifier { trust: Some(trust), algorithms };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(IN_2030));
        let name = ServerName::try_from("db.example.com").unwrap();
        let answer = verifier.verify_server_cert(&samples::kind(presented), &[], &name, &[], now);
        let told = answer.err().map_or(String::new(), |error| format!("{error:?}"));
        assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{presented}: {told}");
    }
}

#[test]
fn without_lists_a_root_need_not_sign_any_and_its_name_may_be_spelled_in_another_way() {
    let mut roots = Trusted::default();
    roots.add(vec![samples::kind("signs-certificates")]);
    let algorithms = algorithms::provider().signature_verification_algorithms;
    let trust = Trust { roots: Arc::new(roots), lists: None, checks_name: true };
    let verifier = Verifier { trust: Some(trust), algorithms };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(IN_2030));
    let name = ServerName::try_from("db.example.com").unwrap();
    let answer = verifier.verify_server_cert(&samples::kind("respelled"), &[], &name, &[], now);
    assert_eq!(answer.map(|_| ()), Ok(()));
}

/// A handshake with a server that shows a certificate and has a key, where any certificate is trusted.
fn shake_hands(
    presented: &str,
    key: &PrivateKeyDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<(), Error> {
    let provider = Arc::new(algorithms::provider());
    let verifier = Verifier { trust: None, algorithms: provider.signature_verification_algorithms };
    let key = provider.key_provider.load_private_key(key.clone_key()).unwrap();
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![samples::der(presented)], key));
    let server = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
    let server = server.with_no_client_auth().with_cert_resolver(Arc::new(shown));
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let client = client.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from("anything").unwrap()).unwrap();
    while client.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_handshake_is_signed_with_the_key_of_the_certificate_of_whatever_version() {
    let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let another = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let another = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(another.as_ref().to_vec()));
    let own = PrivateKeyDer::from_pem_slice(samples::SIGNER_KEY.as_bytes()).unwrap();
    let refused = Err(CertificateError::BadSignature.into());
    for version in [&TLS12, &TLS13] {
        for presented in [samples::SIGNER, samples::OLD_SIGNER] {
            assert_eq!(shake_hands(presented, &own, version), Ok(()));
            assert_eq!(shake_hands(presented, &another, version), refused);
        }
    }
}
