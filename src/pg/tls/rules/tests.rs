use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::der::asn1::Ia5String;

use super::*;
use crate::pg::tls::samples;

const IN_2030: u64 = 1_900_000_000;

/// What is told of a path: the server's certificate, then its authorities up to the root.
fn told(path: &[CertificateDer<'_>], name: &str) -> String {
    let certificates: Vec<_> = path.iter().map(|der| Certificate::read(der).unwrap()).collect();
    let [leaf, intermediates @ .., root] = certificates.as_slice() else { panic!("a path has two ends") };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(IN_2030));
    let broken = check(&Path { leaf, intermediates, root: Some(root), now, names: &[name.to_owned()] });
    broken.err().map_or(String::new(), |error| error.message().to_owned())
}

#[test]
fn each_rule_is_asked_of_those_whom_it_is_for() {
    let table: [(&[&str], &str); 15] = [
        (&["leaf", "lists"], ""),
        (&["cipher", "lists"], ""),
        (&["agreement", "lists"], ""),
        (&["signs-only", "lists"], "of the server is not for TLS (keyUsage)"),
        (&["client", "lists"], "of the server is not for servers (extendedKeyUsage)"),
        (&["netscape-client", "lists"], "of the server is not for servers (nsCertType)"),
        (&["unknown-critical", "lists"], "of the server has a critical extension that is not known here"),
        (&["leaf", "called"], ""),
        (&["leaf", "bare"], "of an authority above the server's does not belong to an authority (basicConstraints)"),
        (
            &["leaf", "no-authority"],
            "of an authority above the server's does not belong to an authority (basicConstraints)",
        ),
        (&["leaf", "unusable"], "of an authority above the server's may not sign others (keyUsage)"),
        (&["leaf", "short"], ""),
        // Itself renewed.
        (&["leaf", "lists", "short"], ""),
        (
            &["leaf", "listed", "short"],
            "of an authority above the server's allows fewer authorities below itself (pathlen)",
        ),
        (&["leaf", "constrained"], ""),
    ];
    for (path, expected) in table {
        let ders: Vec<_> = path.iter().map(|name| samples::kind(name)).collect();
        let expected = if expected.is_empty() { String::new() } else { format!("the certificate {expected}") };
        assert_eq!(told(&ders, "db.example.com"), expected, "{path:?}");
    }
    let constrained = [samples::kind("leaf"), samples::kind("constrained")];
    for name in ["db.example.org", "db.secret.example.com"] {
        assert!(told(&constrained, name).ends_with("may not sign for this common name (nameConstraints)"), "{name}");
    }
    assert_eq!(told(&[samples::kind("leaf"), samples::der(samples::OLD_SIGNER)], "db.example.com"), "");
}

#[test]
fn a_name_is_within_what_is_permitted_and_not_excluded() {
    let subtrees = |names: &[&str]| {
        let subtree = |name: &&str| GeneralSubtree {
            base: GeneralName::DnsName(Ia5String::new(name).unwrap()),
            minimum: 0,
            maximum: None,
        };
        Some(names.iter().map(subtree).collect::<Vec<_>>())
    };
    let table: [(&[&str], &[&str], &str, bool); 12] = [
        (&[], &[], "db.example.com", true),
        (&["example.com"], &[], "example.com", true),
        (&["example.com"], &[], "db.example.com", true),
        (&["Example.com"], &[], "DB.example.COM", true),
        (&["example.com"], &[], "anexample.com", false),
        (&["example.com"], &[], "example.org", false),
        (&[".example.com"], &[], "db.example.com", true),
        (&[".example.com"], &[], "example.com", false),
        (&[""], &[], "db.example.com", true),
        (&[], &["example.com"], "db.example.com", false),
        (&[], &["example.com"], "db.example.org", true),
        (&["example.com"], &["secret.example.com"], "db.secret.example.com", false),
    ];
    for (permitted, excluded, name, expected) in table {
        let constraints =
            NameConstraints { permitted_subtrees: subtrees(permitted), excluded_subtrees: subtrees(excluded) };
        assert_eq!(is_within(name, &constraints), expected, "{permitted:?} {excluded:?} {name}");
    }
}
