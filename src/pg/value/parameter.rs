//! A parameter is sent as text: the server parses it exactly as it does for any driver that speaks text.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

/// Text to be parsed by the server, `None` for NULL.
#[derive(Debug)]
pub(in crate::pg) struct Text<'a>(pub Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, buffer: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = self.0 else {
            return Ok(IsNull::Yes);
        };
        buffer.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// What a parameter's text depends on: the type's OID, or minus the OID of the elements of an array type. `0` stands for
/// every type whose text is simply the value's own, which is what a text is made for until the server's type is known.
pub type Form = i64;

/// The form of a text that is yet to be made: the server has to tell what it is to be.
pub const UNKNOWN: Form = -1;

/// The form of the texts for a parameter of this type.
pub(in crate::pg) fn form(server: &Type) -> Form {
    match server.kind() {
        // The catalog calls them arrays; `postgres` writes them as texts.
        _ if [Type::INT2_VECTOR, Type::OID_VECTOR].contains(server) => 0,
        Kind::Array(element) => -i64::from(element.oid()),
        _ if is_plain(server) => 0,
        _ => i64::from(server.oid()),
    }
}

/// `postgres` writes these by rules of their own (its `src/types.js`), everything else as `"" + value`.
fn is_plain(server: &Type) -> bool {
    ![Type::BOOL, Type::BYTEA, Type::DATE, Type::JSON, Type::JSONB, Type::TIMESTAMP, Type::TIMESTAMPTZ].contains(server)
}

/// The literal of a one-dimensional array with these elements, `None` for NULL.
pub(in crate::pg) fn array_literal<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> String {
    // Room for twenty ids of Lucia's.
    let mut literal = String::with_capacity(1024);
    literal.push('{');
    for text in texts {
        if literal.len() > 1 {
            literal.push(',');
        }
        let Some(text) = text else {
            literal.push_str("NULL");
            continue;
        };
        literal.push('"');
        if text.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
            for character in text.chars() {
                if matches!(character, '"' | '\\') {
                    literal.push('\\');
                }
                literal.push(character);
            }
        } else {
            literal.push_str(text);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

#[cfg(test)]
mod tests {
    use super::{Text, array_literal, form};
    use bytes::BytesMut;
    use tokio_postgres::types::{Format, IsNull, ToSql, Type};

    #[test]
    fn an_array_literal_escapes_quotes_and_backslashes_only() {
        let texts = ["a", "", "NULL", "b,c", r#"d"e"#, r"f\g", "{h}", "é"];
        let texts = texts.into_iter().map(Some).chain([None]);
        assert_eq!(array_literal(texts), r#"{"a","","NULL","b,c","d\"e","f\\g","{h}","é",NULL}"#);
        assert_eq!(array_literal([].into_iter()), "{}");
    }

    #[test]
    fn the_form_of_a_parameter_tells_arrays_and_the_types_with_rules_of_their_own() {
        assert_eq!(form(&Type::TEXT), 0);
        assert_eq!(form(&Type::INT8), 0);
        assert_eq!(form(&Type::JSONB), 3802);
        assert_eq!(form(&Type::INT4_ARRAY), -23);
        for vector in [Type::INT2_VECTOR, Type::OID_VECTOR] {
            assert_eq!(form(&vector), 0, "{vector}");
        }
    }

    #[test]
    fn a_parameter_of_any_type_is_its_text() {
        let mut buffer = BytesMut::new();
        for kind in [Type::TEXT, Type::INT4_ARRAY, Type::BYTEA] {
            let [text, null] = [Some("a"), None].map(|text| Text(text).to_sql_checked(&kind, &mut buffer));
            assert!(matches!((text, null), (Ok(IsNull::No), Ok(IsNull::Yes))), "{kind}");
            assert!(matches!(Text(None).encode_format(&kind), Format::Text), "{kind}");
        }
        assert_eq!(&buffer[..], b"aaa");
    }
}
