use std::sync::Arc;

use tokio_postgres::types::Type;

use super::{
    answered, array,
    columns::Columns,
    decode::{Decoder, Value},
    field::Field,
    rows::Decoding,
};

/// A type of each way in which a column is read.
const TYPES: [Type; 16] = [
    Type::BOOL,
    Type::INT4,
    Type::INT8,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::TEXT,
    Type::JSONB,
    Type::UUID,
    Type::BYTEA,
    Type::DATE,
    Type::TIMESTAMPTZ,
    Type::INT4_ARRAY,
    Type::NUMERIC_ARRAY,
    Type::INTERVAL,
    Type::INTERVAL_ARRAY,
    Type::BOX_ARRAY,
];

/// The answer to so many calls: how many, how many columns, the type of each; then one row after the other, each the size
/// and the body of its message. The first column of an answer to several calls is the position.
pub(in crate::pg) fn rows(bytes: &[u8]) {
    let Some((&[calls, width], rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((kinds, mut rest)) = rest.split_at_checked(usize::from(width % 8)) else { return };
    let calls = usize::from(calls % 4).max(1);
    let position = (calls > 1).then_some(("position", Type::INT8));
    let kinds = kinds.iter().map(|&kind| ("a", TYPES[usize::from(kind) % TYPES.len()].clone()));
    let columns: Vec<_> = position.into_iter().chain(kinds).collect();
    let mut bodies = Vec::new();
    while let Some((&size, more)) = rest.split_first() {
        let (body, more) = more.split_at(more.len().min(usize::from(size)));
        bodies.push(body.to_vec());
        rest = more;
    }
    // A message that the driver refuses.
    let Ok(rows) = answered::rows(&columns, &bodies) else { return };
    let Some(first) = rows.first() else { return };
    let fields = first.columns().iter().skip(usize::from(calls > 1)).map(|column| Field::new(column, &["a"]));
    let columns = Columns::new(fields.collect(), (calls > 1).then_some(0));
    let width = columns.fields.len();
    let mut decoding = Decoding::new(Arc::new(columns), calls);
    if rows.iter().any(|row| decoding.add(row).is_err()) {
        return;
    }
    for rows in decoding.finish() {
        for index in 0..rows.len() {
            assert!(rows.values(index).take(width).count() == width, "a row lacks values");
        }
    }
}

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
