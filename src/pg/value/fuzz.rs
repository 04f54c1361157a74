use super::{
    array,
    decode::{Decoder, Value},
};

const DECODERS: [Decoder; 14] = [
    Decoder::Boolean,
    Decoder::Int2,
    Decoder::Int4,
    Decoder::Int8,
    Decoder::Int8Number,
    Decoder::Oid,
    Decoder::Float8,
    Decoder::Numeric,
    Decoder::Text,
    Decoder::Jsonb,
    Decoder::Uuid,
    Decoder::Bytes,
    Decoder::Date,
    Decoder::Timestamp,
];

/// The first byte chooses the type of a column.
fn typed(bytes: &[u8]) -> Option<(Decoder, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    Some((DECODERS[usize::from(first) % DECODERS.len()], rest))
}

pub(in crate::pg) fn value(bytes: &[u8]) {
    let Some((decoder, bytes)) = typed(bytes) else { return };
    decoder.read(bytes).map(Value::into_made);
}

pub(in crate::pg) fn array(bytes: &[u8]) {
    let Some((decoder, bytes)) = typed(bytes) else { return };
    array::read_binary(bytes, decoder).map(Value::into_made);
}

pub(in crate::pg) fn array_text(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for delimiter in [b',', b';'] {
        array::read_text(text, delimiter).map(Value::into_made);
    }
}
