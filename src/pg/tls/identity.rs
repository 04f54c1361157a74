//! The client's certificate and its private key.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aes::cipher::{BlockModeDecrypt, KeyIvInit, common::Block};
use pkcs5::{
    EncryptionScheme,
    pbes2::{self, Kdf, Pbkdf2Prf},
};
use ring::pbkdf2;
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_cert::der::{self, Decode, Reader, SliceReader, asn1::OctetStringRef};

use super::{certificate::Certificate, material};
use crate::pg::{
    error::Error,
    settings::{Identity, Material},
};

/// Shows one certificate, or none, and remembers whether the server has asked.
#[derive(Debug)]
pub(super) struct Shown {
    certified: Option<Arc<CertifiedKey>>,
    was_asked: AtomicBool,
}

impl Shown {
    pub(super) fn new(certified: Option<CertifiedKey>) -> Self {
        Self { certified: certified.map(Arc::new), was_asked: AtomicBool::new(false) }
    }

    pub(super) fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked.store(true, Ordering::Relaxed);
        self.certified.clone().filter(|certified| certified.key.choose_scheme(schemes).is_some())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The client's certificate and key; rustls itself would not take one of version 1.
pub(super) fn certified(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let certificates = material::certificates(&identity.certificate, "sslcert", "ssl.cert")?;
    let place = material::place(&identity.key, "sslkey", "ssl.key");
    let key = provider
        .key_provider
        .load_private_key(private_key(identity)?)
        .map_err(|error| Error::invalid(format!("{place} cannot be used: {error}")))?;
    let public = key.public_key();
    let own = certificates.first().and_then(|certificate| Certificate::read(certificate)?.public_key());
    match (public, own) {
        (Some(public), Some(own)) if public.as_ref() != own => {
            Err(Error::invalid(format!("{place} is not the key of the client certificate")))
        }
        _ => Ok(CertifiedKey::new(certificates, key)),
    }
}

fn private_key(identity: &Identity) -> Result<PrivateKeyDer<'static>, Error> {
    if let Material::File(path) = &identity.key
        && is_exposed(path)
    {
        let advice = "run chmod 0600 on it (0640 where it is root's, for a group)";
        return Err(Error::invalid(format!("others may read the private key `sslkey` ({}); {advice}", path.display())));
    }
    let bytes = material::bytes(&identity.key, "sslkey")?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).ok().or_else(|| PrivateKeyDer::try_from(bytes.clone()).ok());
    if let Some(key) = key {
        return Ok(key);
    }
    let place = material::place(&identity.key, "sslkey", "ssl.key");
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        let Some(passphrase) = &identity.passphrase else {
            return Err(Error::invalid(format!("{place} is encrypted: add `sslpassword` (`ssl.passphrase`)")));
        };
        // Under this label the text is read as what it is inside: DER.
        let unlabelled = text.replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY");
        let wrapped = PrivatePkcs8KeyDer::from_pem_slice(unlabelled.as_bytes());
        let encrypted = wrapped.map_err(|_| Error::invalid(format!("{place} is not valid PEM")))?;
        return decrypted(encrypted.secret_pkcs8_der(), passphrase.reveal().as_bytes())
            .map_err(|problem| Error::invalid(format!("{place} {problem}")));
    }
    let advice = if text.contains("ENCRYPTED") {
        "is encrypted in an old way that is not supported; convert it with openssl pkcs8 -topk8"
    } else {
        "does not hold a private key in PEM or DER"
    };
    Err(Error::invalid(format!("{place} {advice}")))
}

/// Whether others may read the file, by libpq's rule: nobody but its owner may do anything with it, except that root's group
/// may read a file of root's.
#[cfg(unix)]
fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|data| data.mode() & if data.uid() == 0 { 0o037 } else { 0o077 } != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> bool {
    false
}

/// PKCS #8 by PBES2 with PBKDF2 and AES in CBC mode, as OpenSSL writes it.
/// <https://datatracker.ietf.org/doc/html/rfc8018#section-6.2>
fn decrypted(wrapped: &[u8], passphrase: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    const UNKNOWN: &str = "is encrypted in a way that is not supported; convert it with openssl pkcs8 -topk8";
    let (scheme, mut data) = encrypted_parts(wrapped).map_err(|_| UNKNOWN)?;
    let EncryptionScheme::Pbes2(parameters) = scheme else { return Err(UNKNOWN) };
    let Kdf::Pbkdf2(derivation) = &parameters.kdf else { return Err(UNKNOWN) };
    let hash = match derivation.prf {
        Pbkdf2Prf::HmacWithSha1 => pbkdf2::PBKDF2_HMAC_SHA1,
        Pbkdf2Prf::HmacWithSha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Pbkdf2Prf::HmacWithSha384 => pbkdf2::PBKDF2_HMAC_SHA384,
        Pbkdf2Prf::HmacWithSha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(UNKNOWN),
    };
    let rounds = NonZeroU32::new(derivation.iteration_count).ok_or(UNKNOWN)?;
    let derive = |key: &mut [u8]| pbkdf2::derive(hash, rounds, derivation.salt.as_ref(), passphrase, key);
    match parameters.encryption {
        pbes2::EncryptionScheme::Aes128Cbc { iv } => {
            let mut key = [0; 16];
            derive(&mut key);
            decrypt(cbc::Decryptor::<aes::Aes128>::new(&key.into(), &iv.into()), &mut data);
        }
        pbes2::EncryptionScheme::Aes192Cbc { iv } => {
            let mut key = [0; 24];
            derive(&mut key);
            decrypt(cbc::Decryptor::<aes::Aes192>::new(&key.into(), &iv.into()), &mut data);
        }
        pbes2::EncryptionScheme::Aes256Cbc { iv } => {
            let mut key = [0; 32];
            derive(&mut key);
            decrypt(cbc::Decryptor::<aes::Aes256>::new(&key.into(), &iv.into()), &mut data);
        }
        _ => return Err(UNKNOWN),
    }
    let wrong = "is encrypted, and `sslpassword` (`ssl.passphrase`) does not open it";
    // The last byte says how many the padding has; what is left under a wrong passphrase is no key.
    let padding = data.last().map_or(0, |last| usize::from(*last));
    data.truncate(data.len().checked_sub(padding).ok_or(wrong)?);
    PrivateKeyDer::try_from(data).map_err(|_| wrong)
}

fn encrypted_parts(wrapped: &[u8]) -> der::Result<(EncryptionScheme, Vec<u8>)> {
    SliceReader::new(wrapped)?.sequence(|reader| {
        let scheme = EncryptionScheme::decode(reader)?;
        Ok((scheme, <&OctetStringRef>::decode(reader)?.as_bytes().to_vec()))
    })
}

fn decrypt<D: BlockModeDecrypt>(mut decryptor: D, data: &mut [u8]) {
    for block in data.chunks_exact_mut(D::block_size()) {
        if let Ok(block) = <&mut Block<D>>::try_from(block) {
            decryptor.decrypt_block(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::{
        settings::Secret,
        tls::{algorithms, samples},
    };

    fn told(certificate: &str, key: &str, passphrase: Option<&str>) -> String {
        let text = |text: &str| Material::Text(text.as_bytes().to_vec());
        let passphrase = passphrase.map(|passphrase| Secret(passphrase.to_owned()));
        let identity = Identity { certificate: text(certificate), key: text(key), passphrase };
        certified(&identity, &algorithms::provider()).err().map_or(String::new(), |error| error.message().to_owned())
    }

    #[test]
    fn a_key_belongs_to_its_certificate_of_whatever_version() {
        assert_eq!(told(samples::SIGNER, samples::SIGNER_KEY, None), "");
        assert_eq!(told(samples::OLD_SIGNER, samples::SIGNER_KEY, None), "");
        let another = "option `ssl.key` is not the key of the client certificate";
        assert_eq!(told(samples::SELF_SIGNED, samples::SIGNER_KEY, None), another);
        assert_eq!(told(samples::OLD, samples::SIGNER_KEY, None), another);
    }

    #[test]
    fn a_key_is_opened_by_its_passphrase_alone() {
        let end = "-----END ENCRYPTED PRIVATE KEY-----\n";
        let keys: Vec<_> = samples::ENCRYPTED_KEYS.split_inclusive(end).collect();
        assert_eq!(keys.len(), 4);
        for key in keys {
            assert_eq!(told(samples::SIGNER, key, Some("hunter2")), "");
            assert!(told(samples::SIGNER, key, Some("hunter3")).starts_with("option `ssl.key` "));
            assert!(told(samples::SIGNER, key, None).ends_with("add `sslpassword` (`ssl.passphrase`)"));
        }
    }

    #[test]
    fn a_certificate_is_shown_only_where_its_key_can_sign_and_whether_it_was_asked_for_is_known() {
        let text = |text: &str| Material::Text(text.as_bytes().to_vec());
        let identity =
            Identity { certificate: text(samples::SIGNER), key: text(samples::SIGNER_KEY), passphrase: None };
        let shown = Shown::new(Some(certified(&identity, &algorithms::provider()).unwrap()));
        assert!(!shown.was_asked());
        assert!(shown.has_certs());
        assert!(shown.resolve(&[], &[SignatureScheme::ECDSA_NISTP256_SHA256]).is_some());
        assert!(shown.was_asked());
        assert!(shown.resolve(&[], &[SignatureScheme::ED25519]).is_none());
        assert!(Shown::new(None).resolve(&[], &[SignatureScheme::ECDSA_NISTP256_SHA256]).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_is_its_owners_alone_but_for_a_group_that_may_read_roots() {
        use std::{
            fs,
            os::unix::fs::{MetadataExt, PermissionsExt},
        };
        let path = std::env::temp_dir().join(format!("lucia-postgres-native-key-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let by_root = fs::metadata(&path).unwrap().uid() == 0;
        for (mode, exposed) in [(0o600, false), (0o640, !by_root), (0o644, true), (0o620, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_exposed(&path), exposed, "{mode:o}");
        }
        fs::remove_file(path).unwrap();
    }
}
