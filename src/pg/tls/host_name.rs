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
