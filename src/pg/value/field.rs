//! `(type, bytes)` -> a borrowed value. The server sends binary; a type that is not in the table below is asked for as
//! text, the server's own (`server_text.rs` writes the select list), since that is what `postgres` returns for it.

use std::{borrow::Cow, error::Error};

use tokio_postgres::{
    Column, Row,
    types::{FromSql, Kind, Type},
};

use super::{
    array,
    decode::{Decoder, Value},
};

/// What JavaScript has still to do with a value, or with each leaf of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    None,
    /// JSON text to what it says.
    Json,
    /// Milliseconds since 1970 to a `Date`; infinities and what is beyond a `Date` stay as they are.
    Date,
    /// The same, for a time without a zone: the number counts as if the process's own zone were UTC.
    LocalDate,
    /// The number that a text reads as.
    Float,
}

/// How a column is read: its elements' decoder, and what surrounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Reading {
    Scalar(Decoder),
    /// The binary form of an array.
    Array(Decoder),
    /// The server's text.
    ServerText,
    /// The server's text of an array, and what stands between its elements.
    ServerArray(u8),
}

const BUILT_IN: [(Type, Decoder, Conversion); 17] = [
    (Type::BOOL, Decoder::Boolean, Conversion::None),
    (Type::INT2, Decoder::Int2, Conversion::None),
    (Type::INT4, Decoder::Int4, Conversion::None),
    (Type::INT8, Decoder::Int8, Conversion::None),
    (Type::OID, Decoder::Oid, Conversion::None),
    (Type::FLOAT8, Decoder::Float8, Conversion::None),
    (Type::NUMERIC, Decoder::Numeric, Conversion::None),
    (Type::TEXT, Decoder::Text, Conversion::None),
    (Type::VARCHAR, Decoder::Text, Conversion::None),
    (Type::BPCHAR, Decoder::Text, Conversion::None),
    (Type::NAME, Decoder::Text, Conversion::None),
    (Type::UUID, Decoder::Uuid, Conversion::None),
    (Type::JSON, Decoder::Text, Conversion::Json),
    (Type::JSONB, Decoder::Jsonb, Conversion::Json),
    (Type::BYTEA, Decoder::Bytes, Conversion::None),
    (Type::DATE, Decoder::Date, Conversion::Date),
    (Type::TIMESTAMPTZ, Decoder::Timestamp, Conversion::Date),
];

fn built_in(kind: &Type) -> Option<(Decoder, Conversion)> {
    if *kind == Type::TIMESTAMP {
        return Some((Decoder::Timestamp, Conversion::LocalDate));
    }
    BUILT_IN.iter().find(|(known, ..)| known == kind).map(|&(_, decoder, conversion)| (decoder, conversion))
}

/// How a column of this type is read, and what is left for JavaScript to do.
pub(in crate::pg) fn reading(kind: &Type) -> (Reading, Conversion) {
    if let Some((decoder, conversion)) = built_in(kind) {
        return (Reading::Scalar(decoder), conversion);
    }
    // A `float4` has the digits that the server finds shortest: its rule differs from Rust's in the last one.
    let server_conversion = |kind: &Type| if *kind == Type::FLOAT4 { Conversion::Float } else { Conversion::None };
    match kind.kind() {
        // The catalog calls them arrays; `postgres` gives their text.
        _ if [Type::INT2_VECTOR, Type::OID_VECTOR].contains(kind) => (Reading::ServerText, Conversion::None),
        Kind::Enum(_) => (Reading::Scalar(Decoder::Text), Conversion::None),
        Kind::Array(element) => {
            if let Some((decoder, conversion)) = built_in(element) {
                return (Reading::Array(decoder), conversion);
            }
            let delimiter = if *element == Type::BOX { b';' } else { b',' };
            (Reading::ServerArray(delimiter), server_conversion(element))
        }
        _ => (Reading::ServerText, server_conversion(kind)),
    }
}

impl Reading {
    /// Whether the statement has to ask for the column's text.
    pub(in crate::pg) fn needs_server(self) -> bool {
        matches!(self, Self::ServerText | Self::ServerArray(_))
    }

    pub(super) fn null(self) -> Value<'static> {
        match self {
            // `Number(null)` is 0, in the reference too.
            Self::Scalar(Decoder::Int8Number) => Value::Number(0.0),
            _ => Value::Null,
        }
    }

    pub(super) fn read(self, bytes: &[u8]) -> Option<Value<'_>> {
        match self {
            Self::Scalar(decoder) => decoder.read(bytes),
            Self::Array(decoder) => array::read_binary(bytes, decoder),
            Self::ServerText => Decoder::Text.read(bytes),
            Self::ServerArray(delimiter) => match String::from_utf8_lossy(bytes) {
                Cow::Borrowed(text) => array::read_text(text, delimiter),
                Cow::Owned(text) => array::read_text(&text, delimiter).map(Value::into_made),
            },
        }
    }
}

/// Any column's bytes, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The bytes of a column in a row, `None` for NULL.
pub(in crate::pg) fn bytes(row: &Row, index: usize) -> Option<&[u8]> {
    row.try_get::<_, Option<Raw<'_>>>(index).ok().flatten().map(|raw| raw.0)
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub(in crate::pg) reading: Reading,
    pub conversion: Conversion,
    /// After the conversion JavaScript takes `Number(value)`, of NULL too.
    pub is_number: bool,
}

impl Field {
    /// `numbers` are the columns that Lucia wants as numbers, whatever their type.
    pub(in crate::pg) fn new(column: &Column, numbers: &[&str]) -> Self {
        let (mut reading, conversion) = reading(column.type_());
        let mut is_number = numbers.contains(&column.name());
        if is_number && reading == Reading::Scalar(Decoder::Int8) {
            reading = Reading::Scalar(Decoder::Int8Number);
            is_number = false;
        }
        Self { name: column.name().to_owned(), reading, conversion, is_number }
    }

    pub fn is_array(&self) -> bool {
        matches!(self.reading, Reading::Array(_) | Reading::ServerArray(_))
    }
}

#[cfg(test)]
mod tests {
    use super::{Conversion, Decoder, Field, Reading, bytes, reading};
    use crate::pg::value::{
        answered::{data_row, rows},
        decode::Value,
    };
    use proptest::prelude::*;
    use tokio_postgres::types::{Kind, Type};

    #[test]
    fn a_type_without_a_decoder_is_left_to_the_server() {
        assert_eq!(reading(&Type::INTERVAL), (Reading::ServerText, Conversion::None));
        assert_eq!(reading(&Type::BOX_ARRAY), (Reading::ServerArray(b';'), Conversion::None));
        assert_eq!(reading(&Type::INT4_ARRAY), (Reading::Array(Decoder::Int4), Conversion::None));
        assert_eq!(reading(&Type::TIMESTAMP), (Reading::Scalar(Decoder::Timestamp), Conversion::LocalDate));
        assert_eq!(reading(&Type::FLOAT4), (Reading::ServerText, Conversion::Float));
        assert_eq!(reading(&Type::FLOAT4_ARRAY), (Reading::ServerArray(b','), Conversion::Float));
        for vector in [Type::INT2_VECTOR, Type::OID_VECTOR] {
            assert_eq!(reading(&vector), (Reading::ServerText, Conversion::None), "{vector}");
        }
        let mood = Type::new("mood".to_owned(), 70_000, Kind::Enum(vec!["sad".to_owned()]), "public".to_owned());
        assert_eq!(reading(&mood), (Reading::Scalar(Decoder::Text), Conversion::None));
    }

    #[test]
    fn the_server_is_asked_for_texts_alone() {
        let readings = [
            Reading::Scalar(Decoder::Text),
            Reading::Array(Decoder::Text),
            Reading::ServerText,
            Reading::ServerArray(b','),
        ];
        assert_eq!(readings.map(Reading::needs_server), [false, false, true, true]);
        let field = |reading| Field { name: "a".to_owned(), reading, conversion: Conversion::None, is_number: false };
        assert_eq!(readings.map(|reading| field(reading).is_array()), [false, true, false, true]);
    }

    #[test]
    fn a_value_is_read_as_its_column_is() {
        let text = |text| Value::Text(text);
        assert_eq!(Reading::Scalar(Decoder::Boolean).read(&[1]), Some(Value::Boolean(true)));
        assert_eq!(Reading::Array(Decoder::Text).read(&[0; 12]), Some(Value::Array(Vec::new())));
        assert_eq!(Reading::ServerText.read(b"{a}"), Some(text("{a}")));
        assert_eq!(Reading::ServerArray(b';').read(b"{a;b}"), Some(Value::Array(vec![text("a"), text("b")])));
        let kept = Value::Made("a\u{FFFD}".to_owned());
        assert_eq!(Reading::ServerArray(b',').read(b"{a\xFF}"), Some(Value::Array(vec![kept])));
    }

    #[test]
    fn null_is_0_where_lucia_wants_a_number_and_the_type_is_int8() {
        let columns = [("idle_expires", Type::INT8), ("expires", Type::INT8), ("active_expires", Type::TEXT)];
        let rows = rows(&columns, &[data_row(&[None, Some(&[7; 8]), Some(b"")])]).unwrap();
        let fields = rows[0].columns().iter().map(|column| Field::new(column, &["idle_expires", "active_expires"]));
        let [idle, other, text] = <[Field; 3]>::try_from(fields.collect::<Vec<_>>()).unwrap();
        assert_eq!((idle.reading, idle.is_number), (Reading::Scalar(Decoder::Int8Number), false));
        assert_eq!((other.reading, other.is_number), (Reading::Scalar(Decoder::Int8), false));
        assert_eq!((text.reading, text.is_number), (Reading::Scalar(Decoder::Text), true));
        assert_eq!(
            [idle, other, text].map(|field| field.reading.null()),
            [Value::Number(0.0), Value::Null, Value::Null]
        );
        assert_eq!([0, 1, 2, 3].map(|index| bytes(&rows[0], index)), [None, Some(&[7; 8][..]), Some(&[][..]), None]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for decoder in Decoder::ALL {
                let _ = Reading::Scalar(decoder).read(&bytes);
                let _ = Reading::Array(decoder).read(&bytes);
            }
            for server in [Reading::ServerText, Reading::ServerArray(b','), Reading::ServerArray(b';')] {
                let _ = server.read(&bytes);
            }
        }
    }
}
