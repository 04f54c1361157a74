//! What a failure of TLS is called, and what to do about it.

use std::{error, io};

use rustls::{AlertDescription, CertificateError, OtherError};

use super::negotiation::FORGED;
use crate::pg::error::{Error, Kind};

/// What to tell of a failure.
#[derive(Debug, PartialEq)]
pub(in crate::pg) struct Explained {
    /// Node's, where it has one.
    pub(in crate::pg) code: &'static str,
    pub(in crate::pg) message: String,
    /// Nothing else may be tried with this host.
    pub(in crate::pg) is_final: bool,
}

/// The code and the message of a failure of TLS: `text`, which is what the driver says, and what to do about it; or the
/// rule that does not hold. `error` is the source of the driver's error; `None` where that is no failure of TLS.
pub(in crate::pg) fn explain(error: &(dyn error::Error + 'static), text: &str) -> Option<Explained> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    if let Some(Kind::Failure { code, message }) = own(inner).map(Error::kind) {
        return Some(Explained { code, message: message.clone(), is_final: *code == FORGED });
    }
    let (code, advice) = advice(inner.downcast_ref()?)?;
    Some(Explained { code, message: format!("{text}; {advice}"), is_final: false })
}

/// The error of this room: a rule that does not hold, or what was wrong before the handshake.
fn own<'a>(error: &'a (dyn error::Error + Send + Sync + 'static)) -> Option<&'a Error> {
    match error.downcast_ref() {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) => other.downcast_ref(),
        Some(_) => None,
        None => error.downcast_ref(),
    }
}

fn advice(error: &rustls::Error) -> Option<(&'static str, &'static str)> {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some(("CERT_HAS_EXPIRED", "the server needs a new certificate"))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Some(("CERT_NOT_YET_VALID", "check the clocks of both machines"))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Some((
                "ERR_TLS_CERT_ALTNAME_INVALID",
                "connect to a name that the certificate holds, or say with `ssl.servername` which name to expect",
            )),
            CertificateError::UnknownIssuer => Some((
                "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
                "name the certificate of the authority that signed it: sslrootcert=FILE, or the option `ssl: { ca }`",
            )),
            _ => None,
        },
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => Some((
            "TLS_NOT_SUPPORTED",
            "the server and this program have no way of encryption in common: TLS 1.2 with ECDHE and AES-GCM or \
             ChaCha20, or TLS 1.3, a certificate with RSA of 2048 bits, P-256, P-384, P-521 or Ed25519, and key exchange \
             by X25519, P-256 or P-384 are needed",
        )),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnknownCA,
        ) => Some((
            "TLS_CLIENT_CERTIFICATE_REFUSED",
            "the server wants a client certificate that it trusts: sslcert and sslkey, or the option \
             `ssl: { cert, key }`",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_codes_of_node() {
        let code = |error: rustls::Error| {
            explain(&io::Error::new(io::ErrorKind::InvalidData, error), "").map(|explained| explained.code)
        };
        let of = |problem: CertificateError| code(rustls::Error::InvalidCertificate(problem));
        assert_eq!(of(CertificateError::Expired), Some("CERT_HAS_EXPIRED"));
        assert_eq!(of(CertificateError::NotValidForName), Some("ERR_TLS_CERT_ALTNAME_INVALID"));
        assert_eq!(of(CertificateError::UnknownIssuer), Some("UNABLE_TO_VERIFY_LEAF_SIGNATURE"));
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(code(alert), Some("TLS_CLIENT_CERTIFICATE_REFUSED"));
        assert_eq!(of(CertificateError::NotValidYet), Some("CERT_NOT_YET_VALID"));
        assert_eq!(of(CertificateError::BadEncoding), None);
        let alert = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
        assert_eq!(code(alert), Some("TLS_NOT_SUPPORTED"));
        assert_eq!(code(rustls::Error::DecryptError), None);
        assert_eq!(explain(&io::Error::other("else"), ""), None);
    }

    #[test]
    fn a_failure_of_this_rooms_own_keeps_its_code_and_only_a_forged_answer_is_final() {
        let of = |inner: Box<dyn error::Error + Send + Sync>| {
            explain(&io::Error::new(io::ErrorKind::InvalidData, inner), "the driver's").unwrap()
        };
        let own = |code| Explained { code, message: "why".into(), is_final: code == FORGED };
        assert_eq!(of(Box::new(Error::failure("CERT_REJECTED", "why"))), own("CERT_REJECTED"));
        assert_eq!(of(Box::new(Error::failure(FORGED, "why"))), Explained { is_final: true, ..own(FORGED) });
        let broken = OtherError(std::sync::Arc::new(Error::failure("CERT_REVOKED", "why")));
        let broken = rustls::Error::InvalidCertificate(CertificateError::Other(broken));
        assert_eq!(of(Box::new(broken)), own("CERT_REVOKED"));
        let expired = of(Box::new(rustls::Error::InvalidCertificate(CertificateError::Expired)));
        assert_eq!(expired.message, "the driver's; the server needs a new certificate");
    }
}
