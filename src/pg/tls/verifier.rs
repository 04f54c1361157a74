//! What a server's certificate has to prove.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime},
    server::ParsedCertificate,
};

use super::certificate::Certificate;

/// Who is believed, and whether the name counts.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) roots: Arc<RootCertStore>,
    /// Those of the roots that were named for this connection; empty where the operating system decides.
    pub(super) given: Vec<CertificateDer<'static>>,
    pub(super) checks_name: bool,
}

/// Decides as libpq does with OpenSSL, which is in three points less strict than rustls: a certificate that is itself
/// among the given roots is trusted, one without alternative names is known by its common name, and one of version 1 is
/// accepted directly below a given root.
#[derive(Debug)]
pub(super) struct Verifier {
    /// None where no proof is asked for.
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
        let certificate = Certificate::read(presented).ok_or(CertificateError::BadEncoding)?;
        if self.given.iter().any(|given| given == presented) || !certificate.has_extensions() {
            self.verify_directly(presented, &certificate, now, algorithms)?;
        } else if certificate.is_signed_by(&certificate, algorithms) {
            // Nobody else vouches for it; rustls would complain of its kind.
            return Err(CertificateError::UnknownIssuer.into());
        } else {
            let parsed = ParsedCertificate::try_from(presented)?;
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        }
        if self.checks_name { verify_name(presented, &certificate, name) } else { Ok(()) }
    }

    /// Without a chain: the certificate is one of those given, or signed by one.
    fn verify_directly(
        &self,
        presented: &CertificateDer<'_>,
        certificate: &Certificate<'_>,
        now: UnixTime,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let is_trusted = self.given.iter().any(|given| {
            given == presented
                || Certificate::read(given).is_some_and(|given| certificate.is_signed_by(&given, algorithms))
        });
        if !is_trusted {
            Err(CertificateError::UnknownIssuer.into())
        } else if !certificate.has_begun(now) {
            Err(CertificateError::NotValidYet.into())
        } else if certificate.has_ended(now) {
            Err(CertificateError::Expired.into())
        } else {
            Ok(())
        }
    }
}

fn verify_name(
    presented: &CertificateDer<'_>,
    certificate: &Certificate<'_>,
    name: &ServerName<'_>,
) -> Result<(), Error> {
    let is_named = || certificate.is_named(&name.to_str());
    if !certificate.has_extensions() {
        return if is_named() { Ok(()) } else { Err(CertificateError::NotValidForName.into()) };
    }
    match verify_server_name(&ParsedCertificate::try_from(presented)?, name) {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
            if presented.is_empty() && is_named() =>
        {
            Ok(())
        }
        result => result,
    }
}

impl Verifier {
    /// The handshake's signature under a key that rustls does not read out of its certificate.
    fn verify_signature(
        &self,
        certificate: &Certificate<'_>,
        message: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let fitting = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let algorithms = fitting.flat_map(|(_, algorithms)| algorithms.iter().copied());
        if certificate.key.has_signed(algorithms, message, signed.signature()) {
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
        match Certificate::read(presented) {
            Some(old) if !old.has_extensions() => self.verify_signature(&old, message, signed),
            _ => verify_tls12_signature(message, presented, signed, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match Certificate::read(presented) {
            Some(old) if !old.has_extensions() => self.verify_signature(&old, message, signed),
            _ => verify_tls13_signature(message, presented, signed, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::crypto::ring;

    use super::*;
    use crate::pg::tls::certificate::samples;

    const IN_2030: u64 = 1_900_000_000;
    const IN_2200: u64 = 7_258_118_400;

    /// The roots, the server's certificate, the name to be found in it (`None` where any will do), the time.
    type Case<'a> = (&'a [&'a str], &'a str, Option<&'a str>, u64);

    fn verify((roots, presented, name, at): Case) -> Result<(), String> {
        let given: Vec<_> = roots.iter().map(|pem| samples::der(pem)).collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(given.iter().cloned());
        let judge = Verifier {
            trust: Some(Trust { roots: Arc::new(roots), given, checks_name: name.is_some() }),
            algorithms: ring::default_provider().signature_verification_algorithms,
        };
        let name = ServerName::try_from(name.unwrap_or("anything")).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let answer = judge.verify_server_cert(&samples::der(presented), &[], &name, &[], now);
        answer.map(|_| ()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn certificates_are_judged_as_libpq_judges_them() {
        use samples::{AUTHORITY, NAMED, OLD, OTHER, SELF_SIGNED, UNNAMED};
        let by_authority: &[&str] = &[AUTHORITY];
        let table: [(Case, &str); 25] = [
            ((by_authority, NAMED, Some("db.example.com"), IN_2030), ""),
            ((by_authority, NAMED, Some("127.0.0.1"), IN_2030), ""),
            ((&[OTHER, AUTHORITY], NAMED, Some("db.example.com"), IN_2030), ""),
            ((by_authority, NAMED, Some("example.com"), IN_2030), "NotValidForName"),
            ((by_authority, NAMED, Some("127.0.0.2"), IN_2030), "NotValidForName"),
            ((by_authority, NAMED, None, IN_2030), ""),
            ((by_authority, NAMED, None, IN_2200), "Expired"),
            ((by_authority, NAMED, None, 0), "NotValidYet"),
            ((&[OTHER], NAMED, None, IN_2030), "UnknownIssuer"),
            ((&[], NAMED, None, IN_2030), "UnknownIssuer"),
            // Known by the common name only.
            ((by_authority, UNNAMED, Some("db.example.com"), IN_2030), ""),
            ((by_authority, UNNAMED, Some("other.example.com"), IN_2030), "NotValidForName"),
            ((&[OTHER], UNNAMED, Some("db.example.com"), IN_2030), "UnknownIssuer"),
            // Of version 1.
            ((by_authority, OLD, Some("db.example.com"), IN_2030), ""),
            ((by_authority, OLD, Some("other.example.com"), IN_2030), "NotValidForName"),
            ((by_authority, OLD, None, IN_2200), "Expired"),
            ((by_authority, OLD, None, 0), "NotValidYet"),
            ((&[OTHER], OLD, None, IN_2030), "UnknownIssuer"),
            ((&[], OLD, None, IN_2030), "UnknownIssuer"),
            ((&[OLD], OLD, Some("db.example.com"), IN_2030), ""),
            // Its own authority, and given as that.
            ((&[SELF_SIGNED], SELF_SIGNED, Some("db.example.com"), IN_2030), ""),
            ((&[SELF_SIGNED], SELF_SIGNED, Some("other.example.com"), IN_2030), "NotValidForName"),
            ((&[SELF_SIGNED], SELF_SIGNED, None, IN_2200), "Expired"),
            ((&[SELF_SIGNED], SELF_SIGNED, None, 0), "NotValidYet"),
            ((by_authority, SELF_SIGNED, None, IN_2030), "UnknownIssuer"),
        ];
        for (index, (case, expected)) in table.into_iter().enumerate() {
            match verify(case) {
                Ok(()) => assert_eq!(expected, "", "row {index}"),
                Err(error) => assert!(!expected.is_empty() && error.contains(expected), "row {index}: {error}"),
            }
        }
    }

    #[test]
    fn without_trust_anything_will_do() {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let verifier = Verifier { trust: None, algorithms };
        let name = ServerName::try_from("anything").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::ZERO);
        for presented in [samples::NAMED, samples::OLD, samples::SELF_SIGNED] {
            assert!(verifier.verify_server_cert(&samples::der(presented), &[], &name, &[], now).is_ok());
        }
    }
}
