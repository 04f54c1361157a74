use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::{algorithms, certificate::Certificate, host_name, identity, material, revocation, rules};
use crate::pg::settings::{Identity, Material, Revocation};

/// A certificate as a server shows it, in DER: one that is its own authority.
pub(in crate::pg) fn certificate(bytes: &[u8]) {
    let Some(certificate) = Certificate::read(bytes) else { return };
    certificate.is_self_issued();
    certificate.public_key();
    let known = algorithms::provider().signature_verification_algorithms;
    certificate.is_signed_by(&certificate, known.all);
    for host in ["db.example.com", "127.0.0.1"] {
        if let Ok(name) = ServerName::try_from(host) {
            drop(host_name::verify(&CertificateDer::from(bytes), &certificate, &name));
        }
    }
    let names = host_name::constrained(&certificate);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1 << 31));
    drop(rules::check(&rules::Path {
        leaf: &certificate,
        intermediates: &[],
        root: Some(&certificate),
        now,
        names: &names,
    }));
    drop(revocation::check_root(&certificate, &[]));
}

/// A file that the user names: certificates, a key with its certificate, lists of revoked certificates.
pub(in crate::pg) fn pem(bytes: &[u8]) {
    let file = || Material::Text(bytes.to_vec());
    drop(material::certificates(&file(), "", ""));
    drop(revocation::lists(&Revocation { lists: Some(file()), directory: None }));
    let identity = Identity { certificate: file(), key: file(), passphrase: None };
    drop(identity::certified(&identity, &algorithms::provider()));
}
