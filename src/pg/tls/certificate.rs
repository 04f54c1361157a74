//! A certificate as it is read, in its own bytes where a signature is over them.
//! <https://datatracker.ietf.org/doc/html/rfc5280#section-4.1>

use rustls::pki_types::{SignatureVerificationAlgorithm, UnixTime};
use x509_cert::{
    Version,
    certificate::{CertificateInner, Raw, TbsCertificateInner},
    der::{
        self, Decode, Encode, Reader, SliceReader,
        asn1::{AnyRef, BitStringRef},
        oid::AssociatedOid,
    },
    ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier},
};

use super::distinguished_name;

/// A serial number may be of any length (`Raw`): servers show certificates that no public authority would make.
pub(super) type Fields = TbsCertificateInner<Raw>;

/// What is signed, by which algorithm, and the signature.
struct Signed<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

pub(super) struct Certificate<'a> {
    signed: Signed<'a>,
    parts: CertificateInner<Raw>,
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let parts = CertificateInner::<Raw>::from_der(der).ok()?;
        Some(Self { signed: signed(der).ok()?, parts })
    }

    pub(super) fn fields(&self) -> &Fields {
        self.parts.tbs_certificate()
    }

    /// The object identifier and the parameters of the algorithm that signed this certificate.
    pub(super) fn signature_algorithm(&self) -> &x509_cert::AlgorithmIdentifier {
        self.parts.signature_algorithm()
    }

    /// Versions before 3 have no extensions: neither alternative names nor a purpose.
    pub(super) fn has_extensions(&self) -> bool {
        self.fields().version() == Version::V3
    }

    /// The extension that `T` reads: an error where it cannot be read, or stands there twice.
    pub(super) fn extension<T: for<'b> Decode<'b> + AssociatedOid>(&self) -> der::Result<Option<T>> {
        let found = self.fields().get_extension::<T>().map_err(|_| der::ErrorKind::Failed)?;
        Ok(found.map(|(_, extension)| extension))
    }

    pub(super) fn has_begun(&self, now: UnixTime) -> bool {
        self.fields().validity().not_before.to_unix_duration().as_secs() <= now.as_secs()
    }

    pub(super) fn has_ended(&self, now: UnixTime) -> bool {
        self.fields().validity().not_after.to_unix_duration().as_secs() < now.as_secs()
    }

    /// Its own authority, by its names and key identifiers, as OpenSSL tells a root from what is below one.
    pub(super) fn is_self_issued(&self) -> bool {
        let identifier = |own: Option<SubjectKeyIdentifier>, authority: Option<AuthorityKeyIdentifier>| {
            own.zip(authority.and_then(|authority| authority.key_identifier))
        };
        let differs = match (self.extension(), self.extension()) {
            (Ok(own), Ok(authority)) => identifier(own, authority).is_some_and(|(own, authority)| own.0 != authority),
            _ => true,
        };
        distinguished_name::are_equal(self.fields().issuer(), self.fields().subject()) && !differs
    }

    /// `issuer` has this certificate's issuer for its subject, and its key made the signature.
    pub(super) fn is_signed_by(
        &self,
        issuer: &Certificate<'_>,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let Signed { message, algorithm, signature } = self.signed;
        let fitting = algorithms.iter().copied().filter(|known| known.signature_alg_id().as_ref() == algorithm);
        distinguished_name::are_equal(self.fields().issuer(), issuer.fields().subject())
            && issuer.has_signed(fitting, message, signature)
    }

    /// The key of this certificate made the signature, by one of the algorithms.
    pub(super) fn has_signed<'b>(
        &self,
        algorithms: impl IntoIterator<Item = &'b dyn SignatureVerificationAlgorithm>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = self.fields().subject_public_key_info();
        let (Ok(algorithm), Some(bits)) = (key.algorithm.to_der(), key.subject_public_key.as_bytes()) else {
            return false;
        };
        let Ok(algorithm) = AnyRef::from_der(&algorithm) else { return false };
        algorithms
            .into_iter()
            .filter(|known| known.public_key_alg_id().as_ref() == algorithm.value())
            .any(|known| known.verify_signature(bits, message, signature).is_ok())
    }

    /// The public key with its algorithm, as keys are compared.
    pub(super) fn public_key(&self) -> Option<Vec<u8>> {
        self.fields().subject_public_key_info().to_der().ok()
    }
}

fn signed(der: &[u8]) -> der::Result<Signed<'_>> {
    SliceReader::new(der)?.sequence(|reader| {
        let message = reader.tlv_bytes()?;
        let algorithm = AnyRef::decode(reader)?.value();
        let signature = BitStringRef::decode(reader)?.as_bytes().ok_or(der::ErrorKind::Failed)?;
        Ok(Signed { message, algorithm, signature })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pg::tls::samples;

    #[test]
    fn a_certificate_is_valid_from_its_first_second_to_its_last() {
        let der = samples::der(samples::NAMED);
        let certificate = Certificate::read(&der).unwrap();
        let validity = certificate.fields().validity();
        let at = |time: Duration| UnixTime::since_unix_epoch(time);
        let (first, last) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
        let second = Duration::from_secs(1);
        assert!(!certificate.has_begun(at(first.saturating_sub(second))) && certificate.has_begun(at(first)));
        assert!(certificate.has_begun(at(last)));
        assert!(!certificate.has_ended(at(last)) && certificate.has_ended(at(last + second)));
        assert!(!certificate.has_ended(at(first)));
    }

    #[test]
    fn its_own_authority_is_what_neither_a_name_nor_a_key_identifier_denies() {
        let is_own = |name| Certificate::read(&samples::kind(name)).unwrap().is_self_issued();
        assert!(is_own("bare") && is_own("lists"));
        assert!(!is_own("listed"));
        assert!(!is_own("foreign"));
    }
}
