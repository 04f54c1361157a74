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

#[cfg(test)]
mod tests {
    use x509_cert::der::Decode;

    use super::*;

    const COMMON_NAME: u8 = 3;
    const ORGANIZATION: u8 = 10;
    const OCTETS: u8 = 4;
    const UTF8: u8 = 12;
    const PRINTABLE: u8 = 19;
    const TELETEX: u8 = 20;
    const BMP: u8 = 30;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn name(attributes: &[(u8, u8, &[u8])]) -> Name {
        let sets = attributes.iter().map(|(attribute, tag, value)| {
            let pair = [element(6, &[0x55, 4, *attribute]), element(*tag, value)].concat();
            element(0x31, &element(0x30, &pair))
        });
        Name::from_der(&element(0x30, &sets.collect::<Vec<_>>().concat())).unwrap()
    }

    #[test]
    fn names_are_equal_in_whatever_type_case_and_spacing() {
        let common = |tag, value| name(&[(COMMON_NAME, tag, value)]);
        assert!(are_equal(&common(UTF8, b"db"), &common(UTF8, b"db")));
        assert!(are_equal(&common(UTF8, b" The  DB"), &common(PRINTABLE, b"the db ")));
        assert!(are_equal(&common(TELETEX, b"\xe9"), &common(UTF8, "\u{e9}".as_bytes())));
        assert!(are_equal(&common(BMP, b"\0d\0b"), &common(UTF8, b"db")));
        assert!(!are_equal(&common(UTF8, b"db"), &common(UTF8, b"other")));
        assert!(!are_equal(&common(UTF8, b"db"), &common(OCTETS, b"db")));
        assert!(!are_equal(&common(OCTETS, b"one"), &common(OCTETS, b"other")));
        assert!(!are_equal(&common(UTF8, b"db"), &name(&[(ORGANIZATION, UTF8, b"db")])));
        let longer = [(ORGANIZATION, UTF8, &b"db"[..]), (COMMON_NAME, UTF8, b"db")];
        assert!(!are_equal(&name(&longer), &common(UTF8, b"db")));
    }

    #[test]
    fn a_common_name_with_a_nul_names_nobody() {
        let subject = [
            (ORGANIZATION, UTF8, &b"example"[..]),
            (COMMON_NAME, UTF8, b"db"),
            (COMMON_NAME, UTF8, b"db\0.example.com"),
            (COMMON_NAME, OCTETS, b"db"),
        ];
        assert_eq!(common_names(&name(&subject)).collect::<Vec<_>>(), ["db", "", ""]);
    }
}
