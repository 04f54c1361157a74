//! The binary forms of single values: bytes -> what JavaScript is to have.

use super::numeric;

/// One column's value, as close to the wire as JavaScript allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(&'a str),
    /// A text that the message does not hold as it is.
    Made(String),
    Bytes(&'a [u8]),
    Array(Vec<Value<'a>>),
}

impl Value<'_> {
    /// The same value, which borrows nothing. An array's text holds no `Bytes`.
    pub(super) fn into_made(self) -> Value<'static> {
        match self {
            Self::Null | Self::Bytes(_) => Value::Null,
            Self::Boolean(boolean) => Value::Boolean(boolean),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Made(text.to_owned()),
            Self::Made(text) => Value::Made(text),
            Self::Array(values) => Value::Array(values.into_iter().map(Value::into_made).collect()),
        }
    }
}

/// How the bytes of one type are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Decoder {
    Boolean,
    Int2,
    Int4,
    Int8,
    /// An `int8` that Lucia wants as a number.
    Int8Number,
    Oid,
    Float8,
    Numeric,
    Text,
    Jsonb,
    Uuid,
    Bytes,
    Date,
    Timestamp,
}

/// PostgreSQL counts dates and times from 2000-01-01; JavaScript from 1970-01-01.
const EPOCH_DAYS: f64 = 10_957.0;
const DAY_MILLISECONDS: f64 = 86_400_000.0;

impl Decoder {
    #[cfg(any(test, fuzzing))]
    pub(super) const ALL: [Self; 14] = [
        Self::Boolean,
        Self::Int2,
        Self::Int4,
        Self::Int8,
        Self::Int8Number,
        Self::Oid,
        Self::Float8,
        Self::Numeric,
        Self::Text,
        Self::Jsonb,
        Self::Uuid,
        Self::Bytes,
        Self::Date,
        Self::Timestamp,
    ];

    /// `None` where the bytes are not what the type's binary form allows.
    pub(super) fn read(self, bytes: &[u8]) -> Option<Value<'_>> {
        Some(match self {
            Self::Boolean => Value::Boolean(u8::from_be_bytes(exactly(bytes)?) != 0),
            Self::Int2 => Value::Number(f64::from(i16::from_be_bytes(exactly(bytes)?))),
            Self::Int4 => Value::Number(f64::from(i32::from_be_bytes(exactly(bytes)?))),
            Self::Int8 => Value::Made(i64::from_be_bytes(exactly(bytes)?).to_string()),
            Self::Int8Number => Value::Number(nearest(i64::from_be_bytes(exactly(bytes)?))),
            Self::Oid => Value::Number(f64::from(u32::from_be_bytes(exactly(bytes)?))),
            Self::Float8 => Value::Number(f64::from_be_bytes(exactly(bytes)?)),
            Self::Numeric => Value::Made(numeric::read(bytes)?),
            Self::Text => readable(bytes),
            Self::Jsonb => match bytes.split_first() {
                // `jsonb_send` writes the version of the form first, which is 1 in every release.
                Some((1, json)) => readable(json),
                _ => return None,
            },
            Self::Uuid => Value::Made(uuid(exactly(bytes)?)),
            Self::Bytes => Value::Bytes(bytes),
            Self::Date => match i32::from_be_bytes(exactly(bytes)?) {
                i32::MAX => Value::Number(f64::INFINITY),
                i32::MIN => Value::Number(f64::NEG_INFINITY),
                days => Value::Number((f64::from(days) + EPOCH_DAYS) * DAY_MILLISECONDS),
            },
            Self::Timestamp => match i64::from_be_bytes(exactly(bytes)?) {
                i64::MAX => Value::Number(f64::INFINITY),
                i64::MIN => Value::Number(f64::NEG_INFINITY),
                // A `Date` holds whole milliseconds.
                microseconds => Value::Number(nearest(microseconds.div_euclid(1000)) + EPOCH_DAYS * DAY_MILLISECONDS),
            },
        })
    }
}

fn exactly<const LENGTH: usize>(bytes: &[u8]) -> Option<[u8; LENGTH]> {
    bytes.try_into().ok()
}

/// The server's text is UTF-8, but for the upper half of its type `"char"`.
fn readable(bytes: &[u8]) -> Value<'_> {
    str::from_utf8(bytes).map_or_else(|_| Value::Made(String::from_utf8_lossy(bytes).into_owned()), Value::Text)
}

/// The number that JavaScript's `Number(text)` gives.
#[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers lose the same digits")]
fn nearest(integer: i64) -> f64 {
    integer as f64
}

fn uuid(bytes: [u8; 16]) -> String {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let mut out = String::with_capacity(36);
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Value};

    #[test]
    fn values_are_those_of_a_driver_that_speaks_text() {
        let made = |text: &str| Some(Value::Made(text.to_owned()));
        assert_eq!(Decoder::Int8.read(&i64::MIN.to_be_bytes()), made("-9223372036854775808"));
        assert_eq!(Decoder::Date.read(&(-10_957i32).to_be_bytes()), Some(Value::Number(0.0)));
        assert_eq!(Decoder::Timestamp.read(&(-1i64).to_be_bytes()), Some(Value::Number(946_684_799_999.0)));
        assert_eq!(Decoder::Timestamp.read(&i64::MAX.to_be_bytes()), Some(Value::Number(f64::INFINITY)));
        assert_eq!(Decoder::Jsonb.read(b"\x01{}"), Some(Value::Text("{}")));
        assert_eq!(Decoder::Jsonb.read(b"\x02{}"), None);
        assert_eq!(Decoder::Uuid.read(&[0xa0; 16]), made("a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0"));
    }

    #[test]
    fn numbers_booleans_and_dates_are_what_their_bytes_say() {
        let number = |value: f64| Some(Value::Number(value));
        assert_eq!(Decoder::Boolean.read(&[0]), Some(Value::Boolean(false)));
        assert_eq!(Decoder::Boolean.read(&[1]), Some(Value::Boolean(true)));
        assert_eq!(Decoder::Int2.read(&(-2i16).to_be_bytes()), number(-2.0));
        assert_eq!(Decoder::Int4.read(&i32::MIN.to_be_bytes()), number(-2_147_483_648.0));
        assert_eq!(Decoder::Oid.read(&u32::MAX.to_be_bytes()), number(4_294_967_295.0));
        assert_eq!(Decoder::Int8Number.read(&1_700_000_000_123i64.to_be_bytes()), number(1_700_000_000_123.0));
        assert_eq!(Decoder::Float8.read(&0.1f64.to_be_bytes()), number(0.1));
        assert_eq!(Decoder::Date.read(&(-10_956i32).to_be_bytes()), number(86_400_000.0));
        assert_eq!(Decoder::Date.read(&i32::MAX.to_be_bytes()), number(f64::INFINITY));
        assert_eq!(Decoder::Date.read(&i32::MIN.to_be_bytes()), number(f64::NEG_INFINITY));
        assert_eq!(Decoder::Timestamp.read(&i64::MIN.to_be_bytes()), number(f64::NEG_INFINITY));
        assert_eq!(Decoder::Timestamp.read(&0i64.to_be_bytes()), number(946_684_800_000.0));
    }

    #[test]
    fn a_text_that_is_no_utf_8_keeps_what_can_be_read() {
        assert_eq!(Decoder::Text.read("é".as_bytes()), Some(Value::Text("é")));
        assert_eq!(Decoder::Text.read(b"a\xFF"), Some(Value::Made("a\u{FFFD}".to_owned())));
        assert_eq!(Decoder::Bytes.read(b"\xFF"), Some(Value::Bytes(b"\xFF")));
    }

    #[test]
    fn a_value_that_borrows_nothing_is_the_same_value() {
        let made = |text: &str| Value::Made(text.to_owned());
        let values = vec![Value::Boolean(true), Value::Number(1.5), Value::Text("a"), made("b"), Value::Null];
        let same = vec![Value::Boolean(true), Value::Number(1.5), made("a"), made("b"), Value::Null];
        assert_eq!(Value::Array(values).into_made(), Value::Array(same));
    }

    #[test]
    fn a_value_of_the_wrong_length_is_malformed() {
        assert_eq!(Decoder::Int4.read(&[0; 3]), None);
        assert_eq!(Decoder::Uuid.read(&[0; 17]), None);
        assert_eq!(Decoder::Jsonb.read(b""), None);
    }
}
