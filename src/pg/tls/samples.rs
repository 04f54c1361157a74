//! Certificates to test with, valid until the year 2126.

use rustls::pki_types::{CertificateDer, pem::PemObject};

pub(super) fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// `openssl req -x509`: may sign others.
pub(super) const AUTHORITY: &str = include_str!("samples/authority.pem");
/// Another authority.
pub(super) const OTHER: &str = include_str!("samples/other.pem");
/// Signed by the authority, for `*.example.com` and `127.0.0.1`.
pub(super) const NAMED: &str = include_str!("samples/named.pem");
/// Signed by the authority; only the common name says `db.example.com`.
pub(super) const UNNAMED: &str = include_str!("samples/unnamed.pem");
/// The same, of version 1: `openssl x509 -req` without a file of extensions.
pub(super) const OLD: &str = include_str!("samples/old.pem");
/// `openssl req -x509` with the subject `/CN=db.example.com`: its own authority.
pub(super) const SELF_SIGNED: &str = include_str!("samples/self_signed.pem");
/// `openssl req -x509` with the subject `/CN=db.example.com`, for `other.example.com`: its own authority.
pub(super) const SIGNER: &str = include_str!("samples/signer.pem");
/// The same key and subject, of version 1.
pub(super) const OLD_SIGNER: &str = include_str!("samples/old_signer.pem");
/// The private key of both.
pub(super) const SIGNER_KEY: &str = include_str!("samples/signer_key.pem");
/// The same key four times, encrypted by AES with 128, 192, 256 and 256 bits, with the hashes SHA-1 to SHA-512. The
/// passphrase is `hunter2`.
pub(super) const ENCRYPTED_KEYS: &str = include_str!("samples/encrypted_keys.pem");

/// Certificates by one key: its own authority each, for `db.example.com`, with the extensions that its name says; three of
/// P-521; two that `lists` has signed, of which a list of its revokes one; and `signs-certificates`, which may sign no lists,
/// by the key of `SIGNER_KEY`: `respelled` is signed by it as `Signs  CERTIFICATES`, whose own certificate is there too.
const KINDS: &str = include_str!("samples/kinds.pem");
pub(super) const LIST: &str = include_str!("samples/revoked.crl.pem");
/// A list of the same authority that begins in 2125.
pub(super) const LIST_TO_COME: &str = include_str!("samples/future.crl.pem");

pub(super) fn kind(name: &str) -> CertificateDer<'static> {
    let all = KINDS.split_inclusive("-----END CERTIFICATE-----\n");
    der(all.into_iter().find(|text| text.lines().next() == Some(name)).unwrap())
}
