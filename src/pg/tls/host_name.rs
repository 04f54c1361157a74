//! Whether a certificate is for a host.

use rustls::{
    CertificateError, Error,
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};
use x509_cert::ext::pkix::{SubjectAltName, name::GeneralName};

use super::{certificate::Certificate, distinguished_name};

/// The common name, where it is what the name was found in: no alternative name is of the same kind as the host.
pub(super) fn verify(
    presented: &CertificateDer<'_>,
    leaf: &Certificate<'_>,
    name: &ServerName<'_>,
) -> Result<Option<String>, Error> {
    let host = name.to_str();
    let no_name = || Error::from(CertificateError::NotValidForName);
    if host.ends_with('.') {
        return Err(no_name());
    }
    let is_address = matches!(name, ServerName::IpAddress(_));
    let has_alternative = match leaf.extension::<SubjectAltName>() {
        Ok(names) => names.iter().flat_map(|names| &names.0).any(|name| match name {
            GeneralName::DnsName(_) => !is_address,
            GeneralName::IpAddress(_) => is_address,
            _ => false,
        }),
        Err(_) => true,
    };
    if has_alternative {
        return verify_server_name(&ParsedCertificate::try_from(presented)?, name).map(|()| None);
    }
    let common_name = distinguished_name::common_names(leaf.fields().subject()).next();
    if common_name.is_some_and(|common_name| is_name_of(&common_name, &host)) {
        Ok(Some(host.into_owned()))
    } else {
        Err(no_name())
    }
}

/// A star at the start stands for one label.
fn is_name_of(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(label, rest)| {
            !label.is_empty() && domain.contains('.') && rest.eq_ignore_ascii_case(domain)
        }),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// Common names that look like those of hosts are constrained even where no name is asked for, as OpenSSL has it.
pub(super) fn constrained(leaf: &Certificate<'_>) -> Vec<String> {
    let names = leaf.extension::<SubjectAltName>().ok().flatten();
    if names.iter().flat_map(|names| &names.0).any(|name| matches!(name, GeneralName::DnsName(_))) {
        return Vec::new();
    }
    let is_host = |name: &String| {
        name.contains('.') && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    };
    distinguished_name::common_names(leaf.fields().subject()).filter(is_host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::tls::samples;

    #[test]
    fn a_star_stands_for_one_label() {
        let table = [
            ("db.example.com", "DB.example.com", true),
            ("db.example.com", "example.com", false),
            ("*.example.com", "db.EXAMPLE.com", true),
            ("*.example.com", "one.db.example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "example.com", false),
            ("*.com", "example.com", false),
        ];
        for (name, host, expected) in table {
            assert_eq!(is_name_of(name, host), expected, "{name} {host}");
        }
    }

    #[test]
    fn an_alternative_address_leaves_the_common_name_to_hosts_alone() {
        let presented = samples::kind("address");
        let leaf = Certificate::read(&presented).unwrap();
        let found = |host| verify(&presented, &leaf, &ServerName::try_from(host).unwrap());
        assert_eq!(found("127.0.0.1"), Ok(None));
        assert!(found("127.0.0.2").is_err());
        let presented = samples::der(samples::UNNAMED);
        let leaf = Certificate::read(&presented).unwrap();
        let found = |host| verify(&presented, &leaf, &ServerName::try_from(host).unwrap());
        assert_eq!(found("db.example.com"), Ok(Some("db.example.com".into())));
        assert!(found("db.example.com.").is_err());
    }

    #[test]
    fn a_common_name_that_looks_like_a_hosts_is_constrained_where_there_is_no_other() {
        let names = |pem| constrained(&Certificate::read(&samples::der(pem)).unwrap());
        assert_eq!(names(samples::UNNAMED), ["db.example.com"]);
        assert_eq!(names(samples::NAMED), [""; 0]);
        assert_eq!(names(samples::AUTHORITY), [""; 0]);
    }
}
