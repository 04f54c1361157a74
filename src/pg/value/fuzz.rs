use super::{
    array,
    decode::{Decoder, Value},
};

/// The first byte chooses the type of a column.
fn typed(bytes: &[u8]) -> Option<(Decoder, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    Some((Decoder::ALL[usize::from(first) % Decoder::ALL.len()], rest))
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
