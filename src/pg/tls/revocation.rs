//! Revocation lists: where they are named, every certificate of a path has to be on the good side of one.

use std::fs;

use rustls::pki_types::{CertificateRevocationListDer, UnixTime, pem::PemObject};
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_cert::{
    certificate::Raw,
    crl::CertificateList,
    der::{Decode, Encode},
    ext::pkix::KeyUsage,
};

use super::{certificate::Certificate, material};
use crate::pg::{
    error::Error,
    settings::{Material, Revocation},
};

/// The lists that the settings name, those that are not yet valid left out.
pub(super) fn lists(revocation: &Revocation) -> Result<Vec<CertRevocationList<'static>>, Error> {
    let mut files: Vec<Material> = revocation.lists.clone().into_iter().collect();
    if let Some(directory) = &revocation.directory {
        let cannot = |error| Error::invalid(format!("`sslcrldir`: {} cannot be read: {error}", directory.display()));
        for entry in fs::read_dir(directory).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            if path.extension().is_some_and(|extension| is_hashed(&extension.to_string_lossy())) {
                files.push(Material::File(path));
            }
        }
    }
    let mut lists = Vec::new();
    for file in files {
        let bytes = material::bytes(&file, "sslcrl")?;
        let wrong = || {
            Error::invalid(format!(
                "{} does not hold a revocation list in PEM",
                material::place(&file, "sslcrl", "ssl.crl")
            ))
        };
        let found: Vec<_> =
            CertificateRevocationListDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|_| wrong())?;
        if found.is_empty() {
            return Err(wrong());
        }
        for der in found.iter().filter(|der| has_begun(der)) {
            let list = OwnedCertRevocationList::from_der(der).map_err(|error| {
                let place = material::place(&file, "sslcrl", "ssl.crl");
                Error::invalid(format!("{place} holds a revocation list that cannot be used: {error}"))
            })?;
            lists.push(list.into());
        }
    }
    Ok(lists)
}

/// The names that `openssl rehash` gives: eight digits of a hash, then `.r` and a number.
fn is_hashed(extension: &str) -> bool {
    extension.strip_prefix('r').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|digit| digit.is_ascii_digit()))
}

fn has_begun(der: &[u8]) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a list has a date, which only the system's clock can be held against"
    )]
    let now = UnixTime::now().as_secs();
    CertificateList::<Raw>::from_der(der)
        .is_ok_and(|list| list.tbs_cert_list.this_update.to_unix_duration().as_secs() <= now)
}

/// The options under which webpki checks as OpenSSL does with `X509_V_FLAG_CRL_CHECK_ALL`, which libpq sets. `None` without a
/// list.
pub(super) fn options<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        builder
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build(),
    )
}

/// webpki asks the lists of everything below a root; OpenSSL asks them of the root too, and whether it may sign lists.
pub(super) fn check_root(root: &Certificate<'_>, lists: &[&CertRevocationList<'_>]) -> Result<(), Error> {
    if root.extension::<KeyUsage>().is_ok_and(|usage| usage.is_some_and(|usage| !usage.crl_sign())) {
        let text = "the certificate of an authority above the server's may not sign revocation lists (keyUsage)";
        return Err(Error::failure("UNABLE_TO_GET_CRL", text));
    }
    let subject = root.fields().subject().to_der().unwrap_or_default();
    let serial = root.fields().serial_number().as_bytes();
    let mut own = lists.iter().filter(|list| subject.ends_with(list.issuer()));
    if own.any(|list| !matches!(list.find_serial(serial), Ok(None))) {
        return Err(Error::failure("CERT_REVOKED", "the certificate of an authority above the server's is revoked"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::tls::samples;

    fn given(text: &str) -> Vec<CertRevocationList<'static>> {
        lists(&Revocation { lists: Some(Material::Text(text.as_bytes().to_vec())), directory: None }).unwrap()
    }

    #[test]
    fn files_of_a_directory_are_those_that_are_called_as_lists_are() {
        for (extension, expected) in [("r0", true), ("r12", true), ("r", false), ("0", false), ("r1x", false)] {
            assert_eq!(is_hashed(extension), expected, "{extension}");
        }
    }

    #[test]
    fn a_list_that_has_not_begun_is_none() {
        assert_eq!(given(samples::LIST).len(), 1);
        assert_eq!(given(samples::LIST_TO_COME).len(), 0);
    }

    #[test]
    fn a_root_may_sign_lists_and_is_on_none_of_its_own() {
        let lists = given(samples::LIST);
        let lists: Vec<_> = lists.iter().collect();
        let told = |name| check_root(&Certificate::read(&samples::kind(name)).unwrap(), &lists);
        assert!(told("lists").is_ok());
        assert!(told("bare").is_ok());
        assert!(told("called").is_err_and(|error| error.message().contains("may not sign revocation lists")));
    }
}
