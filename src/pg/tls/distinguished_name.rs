//! Names of issuers and subjects, compared as OpenSSL compares them: neither the type of a string nor the case of an
//! ASCII letter counts, nor how much white space there is.
//! <https://datatracker.ietf.org/doc/html/rfc5280#section-7.1>

use x509_cert::{
    der::{Encode, Tag, Tagged, asn1::Any, oid::ObjectIdentifier},
    name::Name,
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

pub(super) fn are_equal(one: &Name, other: &Name) -> bool {
    one == other || normal(one) == normal(other)
}

/// Sets of attributes, each with its value in the one form that all equal values have.
fn normal(name: &Name) -> Vec<Vec<(ObjectIdentifier, Vec<u8>)>> {
    name.iter_rdn()
        .map(|set| {
            let mut attributes: Vec<_> = set.iter().map(|part| (part.oid, normal_value(&part.value))).collect();
            attributes.sort();
            attributes
        })
        .collect()
}

fn normal_value(value: &Any) -> Vec<u8> {
    match text(value) {
        Some(text) => text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase().into_bytes(),
        None => value.to_der().unwrap_or_default(),
    }
}

fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        // Every program writes Latin 1 there.
        Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// The common names of a subject, in their order; one with a NUL in it names nobody.
pub(super) fn common_names(name: &Name) -> impl Iterator<Item = String> {
    name.iter()
        .filter(|part| part.oid == COMMON_NAME)
        .map(|part| text(&part.value).filter(|text| !text.contains('\0')).unwrap_or_default())
}
