//! Who may vouch for a server: the certificates that are given, or those of the operating system.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use rustls::pki_types::{CertificateDer, TrustAnchor};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use super::{certificate::Certificate, distinguished_name, material};
use crate::pg::{
    error::Error,
    settings::{Material, Roots},
};

#[derive(Clone, Debug, Default)]
pub(super) struct Trusted {
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// The certificate of each anchor; `None` for one of Mozilla's, of which only name and key are known.
    pub(super) certificates: Vec<Option<CertificateDer<'static>>>,
    /// Given certificates that are not self-issued: libpq takes none of them for a root, but for a step on the way to one.
    pub(super) intermediates: Vec<CertificateDer<'static>>,
}

impl Trusted {
    pub(super) fn add(&mut self, certificates: Vec<CertificateDer<'static>>) {
        for certificate in certificates {
            let Some(read) = Certificate::read(&certificate) else { continue };
            if !read.is_self_issued() {
                self.intermediates.push(certificate);
            } else if let Ok(anchor) = anchor_from_trusted_cert(&certificate) {
                self.anchors.push(anchor.to_owned());
                self.certificates.push(Some(certificate));
            }
        }
    }

    /// Each root again under every spelling that one of these certificates has for its issuer's name: webpki compares
    /// names byte by byte.
    pub(super) fn spelled_as(&self, certificates: &[CertificateDer<'_>]) -> Cow<'_, Self> {
        let read: Vec<_> = certificates.iter().filter_map(|der| EndEntityCert::try_from(der).ok()).collect();
        let is_known = |name: &[u8]| {
            self.anchors.iter().any(|anchor| anchor.subject.as_ref() == name)
                || read.iter().any(|other| other.subject() == name)
        };
        let mut all = Cow::Borrowed(self);
        for raw in read.iter().filter(|raw| !is_known(raw.issuer())) {
            let der = raw.der();
            let Some(certificate) = Certificate::read(&der) else { continue };
            for (anchor, root) in self.anchors.iter().zip(&self.certificates) {
                let Some(read) = root.as_deref().and_then(Certificate::read) else { continue };
                if distinguished_name::are_equal(read.fields().subject(), certificate.fields().issuer()) {
                    let subject = raw.issuer().to_vec().into();
                    let all = all.to_mut();
                    all.anchors.push(TrustAnchor { subject, ..anchor.clone() });
                    all.certificates.push(root.clone());
                }
            }
        }
        all
    }
}

pub(super) fn trusted(roots: &Roots) -> Result<Arc<Trusted>, Error> {
    match roots {
        Roots::System { extra } => {
            let extra = extra.clone().map(Material::File);
            // A file that cannot be read changes nothing, as in Node.
            match extra.and_then(|file| material::certificates(&file, "NODE_EXTRA_CA_CERTS", "").ok()) {
                Some(extra) => {
                    let mut trusted = (*of_system()).clone();
                    trusted.add(extra);
                    Ok(Arc::new(trusted))
                }
                None => Ok(of_system()),
            }
        }
        Roots::Given(material) => {
            let mut trusted = Trusted::default();
            trusted.add(material::certificates(material, "sslrootcert", "ssl.ca")?);
            Ok(Arc::new(trusted))
        }
    }
}

/// The operating system's roots, read once in a process.
fn of_system() -> Arc<Trusted> {
    static ROOTS: OnceLock<Arc<Trusted>> = OnceLock::new();
    ROOTS.get_or_init(|| Arc::new(or_mozilla(rustls_native_certs::load_native_certs().certs))).clone()
}

/// Where the system has no certificates, as in small containers, those of Mozilla's, which are Node's too.
fn or_mozilla(of_system: Vec<CertificateDer<'static>>) -> Trusted {
    let mut trusted = Trusted::default();
    trusted.add(of_system);
    if trusted.anchors.is_empty() {
        trusted.anchors.extend_from_slice(webpki_roots::TLS_SERVER_ROOTS);
        trusted.certificates.resize(trusted.anchors.len(), None);
    }
    trusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::tls::samples;

    #[test]
    fn mozillas_roots_stand_in_where_the_system_has_none() {
        let built_in = or_mozilla(Vec::new());
        let is_of = |name: &str| {
            let subjects = built_in.anchors.iter().map(|anchor| anchor.subject.as_ref());
            subjects.flat_map(|subject| subject.windows(name.len())).any(|part| part == name.as_bytes())
        };
        assert!(is_of("ISRG Root X1") && is_of("DigiCert Global Root G2") && !is_of("Nobody"));
        assert_eq!(or_mozilla(vec![samples::der(samples::AUTHORITY)]).anchors.len(), 1);
    }

    #[test]
    fn somebody_is_trusted_on_every_system_and_whom_node_is_told_to_trust() {
        let count =
            |extra: Option<&str>| trusted(&Roots::System { extra: extra.map(Into::into) }).unwrap().anchors.len();
        let own = count(None);
        assert!(own > 0);
        assert_eq!(count(Some("src/pg/tls/samples/authority.pem")), own + 1);
        assert_eq!(count(Some("/does/not/exist")), own);
    }

    #[test]
    fn only_what_is_its_own_authority_is_a_root() {
        let mut trusted = Trusted::default();
        trusted.add([samples::AUTHORITY, samples::NAMED, samples::SELF_SIGNED].map(samples::der).to_vec());
        assert_eq!((trusted.anchors.len(), trusted.intermediates.len()), (2, 1));
    }

    #[test]
    fn a_root_is_known_by_each_spelling_of_its_name_that_nobody_else_has() {
        let mut trusted = Trusted::default();
        trusted.add(vec![samples::kind("signs-certificates")]);
        let known = |names: &[&str]| {
            let shown: Vec<_> = names.iter().map(|name| samples::kind(name)).collect();
            let roots = trusted.spelled_as(&shown);
            assert_eq!(roots.anchors.len(), roots.certificates.len());
            roots.anchors.len()
        };
        assert_eq!(known(&["signs-certificates"]), 1);
        assert_eq!(known(&["respelled"]), 2);
        assert_eq!(known(&["respelled", "signs-certificates-respelled"]), 1);
        assert_eq!(known(&["listed"]), 1);
    }
}
