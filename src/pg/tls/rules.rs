//! What a certificate must be, rule by rule, as libpq has OpenSSL ask it. webpki has checked the signatures, the length of
//! paths between intermediates, and the constraints on alternative names; what it leaves out, and all that it does not ask
//! of a root, is here.

use rustls::pki_types::UnixTime;
use x509_cert::{
    der::{
        asn1::BitString,
        oid::{AssociatedOid, ObjectIdentifier},
    },
    ext::pkix::{
        BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, constraints::name::GeneralSubtree,
        name::GeneralName,
    },
};

use super::certificate::Certificate;
use crate::pg::error::Error;

/// From the server's certificate to a root.
pub(super) struct Path<'a> {
    pub(super) leaf: &'a Certificate<'a>,
    pub(super) intermediates: &'a [Certificate<'a>],
    /// `None` for one of Mozilla's, of which only name and key are known.
    pub(super) root: Option<&'a Certificate<'a>>,
    pub(super) now: UnixTime,
    /// The names of hosts that the common name gives; alternative names are constrained by webpki.
    pub(super) names: &'a [String],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Leaf,
    Issuer,
}

/// A certificate of the path.
struct Link<'a> {
    certificate: &'a Certificate<'a>,
    /// How many authorities stand between this one and the leaf, themselves renewed not counted.
    below: usize,
    path: &'a Path<'a>,
}

struct Rule {
    of: &'static [Role],
    /// Node's code for the failure.
    code: &'static str,
    /// Follows "the certificate of the server (or of an authority)".
    failure: &'static str,
    holds: fn(&Link<'_>) -> bool,
}

const ALL: &[Role] = &[Role::Leaf, Role::Issuer];

const RULES: [Rule; 10] = [
    Rule {
        of: ALL,
        code: "CERT_NOT_YET_VALID",
        failure: "is not yet valid",
        holds: |link| link.certificate.has_begun(link.path.now),
    },
    Rule {
        of: ALL,
        code: "CERT_HAS_EXPIRED",
        failure: "has expired",
        holds: |link| !link.certificate.has_ended(link.path.now),
    },
    Rule {
        of: ALL,
        code: "CERT_REJECTED",
        failure: "has a critical extension that is not known here",
        holds: |link| {
            let extensions = link.certificate.fields().extensions();
            let mut critical = extensions.into_iter().flatten().filter(|extension| extension.critical);
            critical.all(|extension| KNOWN_EXTENSIONS.contains(&extension.extn_id))
        },
    },
    Rule {
        of: &[Role::Issuer],
        code: "INVALID_CA",
        failure: "does not belong to an authority (basicConstraints)",
        holds: |link| match link.certificate.extension::<BasicConstraints>() {
            Ok(Some(constraints)) => constraints.ca,
            // Roots from before version 3, and one that keyUsage calls an authority.
            Ok(None) => {
                !link.certificate.has_extensions() || matches!(link.certificate.extension::<KeyUsage>(), Ok(Some(_)))
            }
            Err(_) => false,
        },
    },
    Rule {
        of: &[Role::Issuer],
        code: "INVALID_CA",
        failure: "may not sign others (keyUsage)",
        holds: |link| allows::<KeyUsage>(link, KeyUsage::key_cert_sign),
    },
    Rule {
        of: &[Role::Issuer],
        code: "PATH_LENGTH_EXCEEDED",
        failure: "allows fewer authorities below itself (pathlen)",
        holds: |link| {
            allows::<BasicConstraints>(link, |constraints| {
                constraints.path_len_constraint.is_none_or(|most| link.below <= usize::from(most))
            })
        },
    },
    Rule {
        of: &[Role::Issuer],
        code: "CERT_REJECTED",
        failure: "may not sign for this common name (nameConstraints)",
        holds: |link| {
            allows::<NameConstraints>(link, |constraints| {
                link.path.names.iter().all(|name| is_within(name, constraints))
            })
        },
    },
    Rule {
        of: &[Role::Leaf],
        code: "INVALID_PURPOSE",
        failure: "is not for TLS (keyUsage)",
        holds: |link| {
            allows::<KeyUsage>(link, |usage| {
                usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
            })
        },
    },
    Rule {
        of: ALL,
        code: "INVALID_PURPOSE",
        failure: "is not for servers (extendedKeyUsage)",
        holds: |link| allows::<ExtendedKeyUsage>(link, |usage| usage.0.contains(&SERVER_AUTHENTICATION)),
    },
    Rule {
        of: &[Role::Leaf],
        code: "INVALID_PURPOSE",
        failure: "is not for servers (nsCertType)",
        holds: |link| allows::<NetscapeType>(link, |kind| kind.0.get(1) == Some(true)),
    },
];

const SERVER_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// basicConstraints, keyUsage, extendedKeyUsage, the two alternative names, nameConstraints, cRLDistributionPoints,
/// nsCertType, and the four about policies, which nobody asks for here.
const KNOWN_EXTENSIONS: [ObjectIdentifier; 12] = [
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.18"),
    ObjectIdentifier::new_unwrap("2.5.29.30"),
    ObjectIdentifier::new_unwrap("2.5.29.31"),
    ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
    ObjectIdentifier::new_unwrap("2.5.29.33"),
    ObjectIdentifier::new_unwrap("2.5.29.36"),
    ObjectIdentifier::new_unwrap("2.5.29.54"),
];

/// Netscape's predecessor of extendedKeyUsage, which OpenSSL still asks.
struct NetscapeType(BitString);

impl AssociatedOid for NetscapeType {
    const OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1");
}

impl<'a> x509_cert::der::Decode<'a> for NetscapeType {
    type Error = x509_cert::der::Error;

    fn decode<R: x509_cert::der::Reader<'a>>(reader: &mut R) -> Result<Self, Self::Error> {
        BitString::decode(reader).map(Self)
    }
}

/// The extension is not there, or passes the test; one that cannot be read does not.
fn allows<T>(link: &Link<'_>, test: impl FnOnce(&T) -> bool) -> bool
where
    T: for<'b> x509_cert::der::Decode<'b> + AssociatedOid,
{
    link.certificate.extension::<T>().is_ok_and(|found| found.as_ref().is_none_or(test))
}

/// Whether the constraints allow the name, by the rules for an alternative name of the kind dNSName.
fn is_within(name: &str, constraints: &NameConstraints) -> bool {
    let bases = |subtrees: &Option<Vec<GeneralSubtree>>| -> Vec<String> {
        let names = subtrees.iter().flatten().filter_map(|subtree| match &subtree.base {
            GeneralName::DnsName(base) => Some(base.to_string().to_ascii_lowercase()),
            _ => None,
        });
        names.collect()
    };
    let (permitted, excluded) = (bases(&constraints.permitted_subtrees), bases(&constraints.excluded_subtrees));
    let name = name.to_ascii_lowercase();
    let is_below = |base: &String| {
        name.strip_suffix(base.as_str())
            .is_some_and(|rest| rest.is_empty() || base.is_empty() || base.starts_with('.') || rest.ends_with('.'))
    };
    (permitted.is_empty() || permitted.iter().any(is_below)) && !excluded.iter().any(is_below)
}

/// The first rule that a certificate of the path breaks, from the root down, as OpenSSL reports it.
pub(super) fn check(path: &Path<'_>) -> Result<(), Error> {
    let issuers: Vec<_> = path.intermediates.iter().chain(path.root).collect();
    for (index, issuer) in issuers.iter().enumerate().rev() {
        let below = issuers[..index].iter().filter(|other| !other.is_self_issued()).count();
        apply(Role::Issuer, &Link { certificate: issuer, below, path })?;
    }
    apply(Role::Leaf, &Link { certificate: path.leaf, below: 0, path })
}

fn apply(role: Role, link: &Link<'_>) -> Result<(), Error> {
    let broken = RULES.iter().find(|rule| rule.of.contains(&role) && !(rule.holds)(link));
    broken.map_or(Ok(()), |rule| {
        let whose = if role == Role::Leaf { "of the server" } else { "of an authority above the server's" };
        Err(Error::failure(rule.code, format!("the certificate {whose} {}", rule.failure)))
    })
}

#[cfg(test)]
mod tests;
