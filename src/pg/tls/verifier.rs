//! What a server's certificate has to prove.

use std::{cell::RefCell, ptr, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime},
};
use webpki::{CertRevocationList, EndEntityCert, KeyUsage, VerifiedPath};
use x509_cert::ext::pkix::{BasicConstraints, NameConstraints};

use super::{
    certificate::Certificate,
    host_name, revocation,
    roots::Trusted,
    rules::{self, Path},
};
use crate::pg::error;

/// Who is believed, and whether the name counts.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) roots: Arc<Trusted>,
    /// Every certificate has to be on one of these, where there are any.
    pub(super) lists: Option<Vec<CertRevocationList<'static>>>,
    pub(super) checks_name: bool,
}

/// Decides as libpq does with OpenSSL. webpki judges all that it reads; a certificate of version 1, one that is called an
/// authority, and one that is itself among the roots it does not: for these the path is the certificate, or the
/// certificate and a root.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` where the mode asks for no proof.
    pub(super) trust: Option<Trust>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    fn verify(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let leaf = Certificate::read(presented).ok_or(CertificateError::BadEncoding)?;
        let by_common_name = if self.checks_name { host_name::verify(presented, &leaf, name)? } else { None };
        let mut names = host_name::constrained(&leaf);
        names.extend(by_common_name);

        let is_root = leaf.is_self_issued() && self.certificates().any(|root| root == presented);
        let is_authority =
            leaf.extension::<BasicConstraints>().is_ok_and(|found| found.is_some_and(|constraints| constraints.ca));
        if is_root || is_authority || !leaf.has_extensions() {
            self.verify_directly(&leaf, is_root, now, &names, algorithms)
        } else {
            self.verify_chain(&leaf, presented, intermediates, now, &names, algorithms)
        }
    }

    fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.roots.certificates.iter().flatten()
    }

    fn verify_chain(
        &self,
        leaf: &Certificate<'_>,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        names: &[String],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let entity = EndEntityCert::try_from(presented).map_err(explained)?;
        let steps: Vec<CertificateDer<'_>> = intermediates.iter().chain(&self.roots.intermediates).cloned().collect();
        let shown: Vec<CertificateDer<'_>> = [presented].into_iter().chain(&steps).cloned().collect();
        let roots = self.roots.spelled_as(&shown);
        let lists: Vec<_> = self.lists.iter().flatten().collect();

        let broken = RefCell::new(None);
        let obeys_rules = |path: &VerifiedPath<'_>| {
            let steps: Vec<_> = path.intermediate_certificates().map(webpki::Cert::der).collect();
            let intermediates: Option<Vec<_>> = steps.iter().map(|der| Certificate::read(der)).collect();
            let intermediates = intermediates.ok_or(webpki::Error::BadDer)?;
            let index = roots.anchors.iter().position(|anchor| ptr::eq(anchor, path.anchor()));
            let root = index.and_then(|index| roots.certificates[index].as_deref());
            let root = root.map(|der| Certificate::read(der).ok_or(webpki::Error::BadDer)).transpose()?;
            let path = Path { leaf, intermediates: &intermediates, root: root.as_ref(), now, names };
            let listed =
                path.root.filter(|_| !lists.is_empty()).map_or(Ok(()), |root| revocation::check_root(root, &lists));
            rules::check(&path).and(listed).map_err(|rule| {
                *broken.borrow_mut() = Some(rule);
                webpki::Error::UnknownIssuer
            })
        };
        let revocation = self.lists.is_some().then(|| revocation::options(&lists));
        if revocation.as_ref().is_some_and(Option::is_none) {
            return Err(explained(webpki::Error::UnknownRevocationStatus));
        }
        let result = entity.verify_for_usage(
            algorithms,
            &roots.anchors,
            &steps,
            now,
            KeyUsage::server_auth(),
            revocation.flatten(),
            Some(&obeys_rules),
        );
        match result {
            Ok(_) => Ok(()),
            Err(error) => Err(broken.into_inner().map_or_else(|| explained(error), refused)),
        }
    }

    /// Without intermediates: the certificate is a root, or signed by one.
    fn verify_directly(
        &self,
        leaf: &Certificate<'_>,
        is_root: bool,
        now: UnixTime,
        names: &[String],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        if self.lists.is_some() {
            let text = "the server's certificate is its own root, an authority's or of version 1: whether it is revoked \
                        is not looked up";
            return Err(refused(error::Error::failure("UNABLE_TO_GET_CRL", text)));
        }
        let check = |root: Option<&Certificate<'_>>| {
            if root.is_some_and(|root| !matches!(root.extension::<NameConstraints>(), Ok(None))) {
                let text = "the certificate of an authority above the server's constrains names, which is not looked up \
                            for one of version 1 or of an authority (nameConstraints)";
                return Err(error::Error::failure("CERT_REJECTED", text));
            }
            rules::check(&Path { leaf, intermediates: &[], root, now, names })
        };
        if is_root {
            return check(None).map_err(refused);
        }
        let mut result = Err(CertificateError::UnknownIssuer.into());
        for root in self.certificates().filter_map(|der| Certificate::read(der)) {
            if leaf.is_signed_by(&root, algorithms) {
                result = check(Some(&root)).map_err(refused);
                if result.is_ok() {
                    break;
                }
            }
        }
        result
    }
}

fn refused(rule: error::Error) -> Error {
    CertificateError::Other(OtherError(Arc::new(rule))).into()
}

/// webpki's reasons as those of rustls, where it has one, or else with Node's code.
fn explained(error: webpki::Error) -> Error {
    use webpki::Error as Reason;
    let (code, text) = match error {
        Reason::CertNotValidYet { time, not_before } => {
            return CertificateError::NotValidYetContext { time, not_before }.into();
        }
        Reason::CertExpired { time, not_after } => return CertificateError::ExpiredContext { time, not_after }.into(),
        Reason::UnknownIssuer => return CertificateError::UnknownIssuer.into(),
        Reason::InvalidSignatureForPublicKey => return CertificateError::BadSignature.into(),
        Reason::CertRevoked => {
            ("CERT_REVOKED", "the certificate of the server, or of an authority above it, is revoked")
        }
        Reason::UnknownRevocationStatus => {
            ("UNABLE_TO_GET_CRL", "there is no revocation list (sslcrl, sslcrldir) of an authority above the server")
        }
        Reason::CrlExpired { .. } => ("CRL_HAS_EXPIRED", "the revocation list has expired"),
        Reason::EndEntityUsedAsCa => {
            ("INVALID_CA", "the certificate of an authority does not belong to one (basicConstraints)")
        }
        Reason::PathLenConstraintViolated => {
            ("PATH_LENGTH_EXCEEDED", "the certificate of an authority allows fewer authorities below itself (pathlen)")
        }
        Reason::RequiredEkuNotFoundContext(_) | Reason::EmptyEkuExtension => {
            ("INVALID_PURPOSE", "the certificate is not for servers (extendedKeyUsage)")
        }
        Reason::NameConstraintViolation => {
            ("CERT_REJECTED", "an authority may not sign for a name of this certificate (nameConstraints)")
        }
        Reason::UnsupportedCriticalExtension => {
            ("CERT_REJECTED", "the certificate has a critical extension that is not known here")
        }
        Reason::UnsupportedSignatureAlgorithmContext(_)
        | Reason::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => (
            "CERT_REJECTED",
            "the certificate is signed by an algorithm that is not accepted: ECDSA with P-256, P-384 \
              or P-521, RSA with SHA-2 and at least 2048 bits, and Ed25519 are",
        ),
        other => {
            return refused(error::Error::failure("CERT_REJECTED", format!("the certificate cannot be used: {other}")));
        }
    };
    refused(error::Error::failure(code, text))
}

/// How rustls verifies the signature of a handshake.
type VerifySignature = fn(
    &[u8],
    &CertificateDer<'_>,
    &DigitallySignedStruct,
    &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error>;

impl Verifier {
    /// Verifies the signature of a handshake: as rustls does, or here under the key of a certificate before version 3, which
    /// rustls does not read.
    fn verify_signature(
        &self,
        by_rustls: VerifySignature,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(old) = Certificate::read(presented).filter(|certificate| !certificate.has_extensions()) else {
            return by_rustls(message, presented, signed, &self.algorithms);
        };
        let fitting = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let algorithms = fitting.flat_map(|(_, algorithms)| algorithms.iter().copied());
        if old.has_signed(algorithms, message, signed.signature()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            trust.verify(presented, intermediates, name, now, self.algorithms.all)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(verify_tls12_signature, message, presented, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(verify_tls13_signature, message, presented, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
