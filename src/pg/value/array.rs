//! Arrays, in the server's binary form and in its text. Both may nest; a custom lower bound is not told to JavaScript,
//! whose arrays have none. `None` stands for bytes or a text that are no array.

use super::decode::{Decoder, Value};

/// PostgreSQL's own limit (`MAXDIM`), which also bounds the recursion here.
const MAX_DIMENSIONS: usize = 6;
/// PostgreSQL's longest text (`MaxAllocSize`), which bounds the text that is made of all elements: a `numeric` of ten bytes
/// can have 131,072 digits.
const LONGEST: usize = 1 << 30;
/// The length of an element that is NULL.
const NULL: i32 = -1;

/// `int32 dimensions, int32 has_nulls, oid element`, per dimension `int32 length, int32 lower bound`, then the elements,
/// each `int32 length` (-1 for NULL) and bytes (`array_send` in `arrayfuncs.c`).
pub(super) fn read_binary(bytes: &[u8], decoder: Decoder) -> Option<Value<'_>> {
    let mut rest = bytes;
    let dimensions = usize::try_from(take_length(&mut rest)?).ok()?;
    take(&mut rest, 8)?;
    if dimensions > MAX_DIMENSIONS {
        return None;
    }
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        lengths.push(usize::try_from(take_length(&mut rest)?).ok()?);
        take(&mut rest, 4)?;
    }
    let array = read_dimension(&mut rest, &lengths, decoder, &mut { LONGEST })?;
    if rest.is_empty() { Some(array) } else { None }
}

fn read_dimension<'a>(rest: &mut &'a [u8], lengths: &[usize], decoder: Decoder, room: &mut usize) -> Option<Value<'a>> {
    let Some((&length, inner)) = lengths.split_first() else {
        return Some(Value::Array(Vec::new()));
    };
    // Each element takes four bytes at least: a length that the message cannot hold must not be allocated for.
    let elements = inner.iter().try_fold(length, |product, &more| product.checked_mul(more))?;
    if elements > rest.len() / 4 || (elements == 0 && !(length == 0 && inner.is_empty())) {
        return None;
    }
    let mut values = Vec::with_capacity(length);
    for _ in 0..length {
        values.push(if inner.is_empty() {
            match take_length(rest)? {
                NULL => Value::Null,
                length => {
                    let value = decoder.read(take(rest, usize::try_from(length).ok()?)?)?;
                    if let Value::Made(text) = &value {
                        *room = room.checked_sub(text.len())?;
                    }
                    value
                }
            }
        } else {
            read_dimension(rest, inner, decoder, room)?
        });
    }
    Some(Value::Array(values))
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(size)?;
    *rest = after;
    Some(taken)
}

fn take_length(rest: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

/// An array's text: <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>.
pub(super) fn read_text(text: &str, delimiter: u8) -> Option<Value<'_>> {
    // `[2:3]={a,b}`: bounds that do not start at 1.
    let start = if text.starts_with('[') { text.find('=')? + 1 } else { 0 };
    let mut literal = Literal { text, at: start, delimiter };
    let array = literal.array(0)?;
    if literal.at == text.len() { Some(array) } else { None }
}

struct Literal<'a> {
    text: &'a str,
    at: usize,
    delimiter: u8,
}

impl<'a> Literal<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn array(&mut self, depth: usize) -> Option<Value<'a>> {
        if self.peek()? != b'{' || depth == MAX_DIMENSIONS {
            return None;
        }
        self.at += 1;
        let mut values = Vec::new();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Value::Array(values));
        }
        loop {
            values.push(match self.peek()? {
                b'{' => self.array(depth + 1)?,
                b'"' => self.quoted()?,
                _ => self.bare()?,
            });
            let after = self.peek()?;
            self.at += 1;
            match after {
                b'}' => return Some(Value::Array(values)),
                byte if byte == self.delimiter => {}
                _ => return None,
            }
        }
    }

    fn quoted(&mut self) -> Option<Value<'a>> {
        self.at += 1;
        let mut made = Vec::new();
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
            made.push(self.peek()?);
            self.at += 1;
        }
        self.at += 1;
        // The bytes are those of a `str` less some ASCII ones.
        String::from_utf8(made).map(Value::Made).ok()
    }

    fn bare(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        while !matches!(self.peek()?, b'}' | b'{' | b'"') && self.peek()? != self.delimiter {
            self.at += 1;
        }
        match self.text.get(start..self.at) {
            None | Some("") => None,
            Some("NULL") => Some(Value::Null),
            Some(text) => Some(Value::Text(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{read_binary, read_dimension, read_text};
    use crate::pg::value::decode::{Decoder, Value};

    fn binary(lengths: &[i32], elements: &[Option<i32>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [i32::try_from(lengths.len()).unwrap_or(0), 1, 23] {
            bytes.extend(number.to_be_bytes());
        }
        for length in lengths {
            bytes.extend(length.to_be_bytes());
            bytes.extend(1i32.to_be_bytes());
        }
        for element in elements {
            match element {
                Some(number) => {
                    bytes.extend(4i32.to_be_bytes());
                    bytes.extend(number.to_be_bytes());
                }
                None => bytes.extend((-1i32).to_be_bytes()),
            }
        }
        bytes
    }

    #[test]
    fn binary_arrays_nest_and_hold_null() {
        let number = |value| Value::Number(value);
        assert_eq!(read_binary(&binary(&[], &[]), Decoder::Int4), Some(Value::Array(Vec::new())));
        assert_eq!(
            read_binary(&binary(&[2, 2], &[Some(1), None, Some(3), Some(4)]), Decoder::Int4),
            Some(Value::Array(vec![
                Value::Array(vec![number(1.0), Value::Null]),
                Value::Array(vec![number(3.0), number(4.0)]),
            ]))
        );
    }

    #[test]
    fn a_binary_array_may_hold_null_alone_or_nothing_but_no_dimension_of_nothing() {
        let nulls = Value::Array(vec![Value::Null, Value::Null]);
        assert_eq!(read_binary(&binary(&[2], &[None, None]), Decoder::Int4), Some(nulls));
        assert_eq!(read_binary(&binary(&[0], &[]), Decoder::Int4), Some(Value::Array(Vec::new())));
        for lengths in [[0, 0], [0, 2], [2, 0]] {
            assert_eq!(read_binary(&binary(&lengths, &[]), Decoder::Int4), None, "{lengths:?}");
        }
    }

    #[test]
    fn the_texts_of_all_elements_are_together_no_longer_than_there_is_room() {
        let mut elements = Vec::new();
        for number in [12i64, 345] {
            elements.extend(8i32.to_be_bytes());
            elements.extend(number.to_be_bytes());
        }
        let made = ["12", "345"].map(|text| Value::Made(text.to_owned())).to_vec();
        let read = |room| read_dimension(&mut &elements[..], &[2], Decoder::Int8, &mut { room });
        assert_eq!([read(4), read(5)], [None, Some(Value::Array(made.clone()))]);
        let whole = [&binary(&[2], &[])[..], &elements].concat();
        assert_eq!(read_binary(&whole, Decoder::Int8), Some(Value::Array(made)));
    }

    #[test]
    fn a_binary_array_that_claims_more_than_it_holds_is_malformed() {
        for lengths in [&[i32::MAX, i32::MAX][..], &[i32::MAX], &[3], &[-1], &[1, 0], &[1, 1, 1, 1, 1, 1, 1]] {
            assert_eq!(read_binary(&binary(lengths, &[Some(1)]), Decoder::Int4), None, "{lengths:?}");
        }
    }

    #[test]
    fn a_binary_array_has_six_dimensions_at_most_and_elements_within_its_bytes() {
        let mut nested = Value::Number(1.0);
        for _ in 0..6 {
            nested = Value::Array(vec![nested]);
        }
        assert_eq!(read_binary(&binary(&[1; 6], &[Some(1)]), Decoder::Int4), Some(nested));
        // 2^32 times 2^32 elements are none, to whoever counts in 64 bits.
        assert_eq!(read_binary(&binary(&[1 << 30, 1 << 30, 16], &[]), Decoder::Int4), None);
        let element_of = |length: i32| {
            let mut bytes = binary(&[1], &[Some(1)]);
            let at = bytes.len() - 8;
            bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
            bytes
        };
        for length in [5, i32::MAX, -2, i32::MIN, 3] {
            assert_eq!(read_binary(&element_of(length), Decoder::Int4), None, "{length}");
        }
        for end in 0..binary(&[2], &[Some(1), None]).len() {
            assert_eq!(read_binary(&binary(&[2], &[Some(1), None])[..end], Decoder::Int4), None, "{end}");
        }
    }

    #[test]
    fn an_arrays_text_nests_six_times_at_most_and_is_parted_by_its_delimiter_alone() {
        let nested = |depth: usize| format!("{}a{}", "{".repeat(depth), "}".repeat(depth));
        assert!(read_text(&nested(6), b',').is_some());
        for depth in [7, 8, 100_000] {
            assert_eq!(read_text(&nested(depth), b','), None, "{depth}");
        }
        for other in ["{{a};{b}}", "{{a}x{b}}", "{\"a\" \"b\"}", "{\"a\";\"b\"}"] {
            assert_eq!(read_text(other, b','), None, "{other}");
        }
        assert_eq!(read_text("{a;b}", b','), Some(Value::Array(vec![Value::Text("a;b")])));
        assert_eq!(read_text("{a,b}", b';'), Some(Value::Array(vec![Value::Text("a,b")])));
    }

    #[test]
    fn an_arrays_text_is_read_as_the_server_writes_it() {
        let text = |value| Value::Text(value);
        let made = |value: &str| Value::Made(value.to_owned());
        assert_eq!(read_text("{}", b','), Some(Value::Array(Vec::new())));
        assert_eq!(
            read_text(r#"[0:1][5:6]={{a,NULL},{"NULL","é\"\\,"}}"#, b','),
            Some(Value::Array(vec![
                Value::Array(vec![text("a"), Value::Null]),
                Value::Array(vec![made("NULL"), made("é\"\\,")]),
            ]))
        );
        assert_eq!(
            read_text("{(1,1),(0,0);(2,2),(1,1)}", b';'),
            Some(Value::Array(vec![text("(1,1),(0,0)"), text("(2,2),(1,1)")]))
        );
        for malformed in ["", "{", "{a", "{a}}", "{\"a", "{a,}", "a", "[1:2]{a}", "{a\"b\"}"] {
            assert_eq!(read_text(malformed, b','), None, "{malformed}");
        }
    }
}
