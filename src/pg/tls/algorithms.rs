//! The signatures that are understood: those of ring, and P-521, which ring lacks.

use std::sync::LazyLock;

use p521::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use rustls::{
    SignatureScheme,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
    pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id},
};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// ECDSA on P-521 over the digest of one hash function.
#[derive(Debug)]
struct P521 {
    digest: fn(&[u8]) -> Vec<u8>,
    signature: AlgorithmIdentifier,
}

const SHA512: &dyn SignatureVerificationAlgorithm =
    &P521 { digest: |message| Sha512::digest(message).to_vec(), signature: alg_id::ECDSA_SHA512 };
const SHA384: &dyn SignatureVerificationAlgorithm =
    &P521 { digest: |message| Sha384::digest(message).to_vec(), signature: alg_id::ECDSA_SHA384 };
const SHA256: &dyn SignatureVerificationAlgorithm =
    &P521 { digest: |message| Sha256::digest(message).to_vec(), signature: alg_id::ECDSA_SHA256 };

impl SignatureVerificationAlgorithm for P521 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        const FIELD: usize = 66;
        let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        // A digest is the number that it is: the crate takes none that is shorter than half of a field element.
        let digest = (self.digest)(message);
        let mut number = [0; FIELD];
        number[FIELD - digest.len()..].copy_from_slice(&digest);
        key.verify_prehash(&number, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

static SUPPORTED: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
    let of_ring = ring::default_provider().signature_verification_algorithms;
    let all = [of_ring.all, &[SHA512, SHA384, SHA256]].concat();
    let mapping = [of_ring.mapping, &[(SignatureScheme::ECDSA_NISTP521_SHA512, &[SHA512] as &[_])]].concat();
    WebPkiSupportedAlgorithms { all: Vec::leak(all), mapping: Vec::leak(mapping) }
});

pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { signature_verification_algorithms: *SUPPORTED, ..ring::default_provider() }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::pg::tls::{certificate::Certificate, samples};

    #[test]
    fn p521_is_offered_and_takes_no_signature_that_is_none() {
        let known = provider().signature_verification_algorithms;
        assert!(known.supported_schemes().contains(&SignatureScheme::ECDSA_NISTP521_SHA512));
        for algorithm in [SHA512, SHA384, SHA256] {
            assert!(algorithm.verify_signature(&[], b"message", &[]).is_err());
            assert_eq!(algorithm.public_key_alg_id(), alg_id::ECDSA_P521);
        }
        assert_eq!(SHA384.signature_alg_id(), alg_id::ECDSA_SHA384);
    }

    #[test]
    fn a_signature_is_its_issuers_by_name_and_by_key() {
        let known = provider().signature_verification_algorithms.all;
        let signed = |one: &CertificateDer<'_>, issuer: &CertificateDer<'_>| {
            Certificate::read(one).unwrap().is_signed_by(&Certificate::read(issuer).unwrap(), known)
        };
        let (listed, lists, bare) = (samples::kind("listed"), samples::kind("lists"), samples::kind("bare"));
        assert!(signed(&listed, &lists));
        assert!(!signed(&listed, &bare), "the same key, another name");
        assert!(!signed(&samples::der(samples::OLD_SIGNER), &bare), "the same name, another key");
        for name in ["p521-sha256", "p521-sha384", "p521-sha512"] {
            assert!(signed(&samples::kind(name), &samples::kind(name)), "{name}");
        }
        let ecdsa_with_sha256 = "1.2.840.10045.4.3.2";
        assert_eq!(Certificate::read(&listed).unwrap().signature_algorithm().oid.to_string(), ecdsa_with_sha256);
    }
}
