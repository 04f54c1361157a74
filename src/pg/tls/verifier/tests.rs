use std::time::Duration;

use super::*;
use crate::pg::{
    settings::{Material, Roots},
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
    use samples::{AUTHORITY, NAMED, OLD, OTHER, SELF_SIGNED, UNNAMED};
    let by_authority: &[&str] = &[AUTHORITY];
    let table: [(Case, &str); 25] = [
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
