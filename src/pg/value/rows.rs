//! The rows that answer the calls of one statement, decoded. They lie in one piece, which is handed to the JavaScript thread
//! as a whole, while what the driver has read from the socket is free again.

use std::{ops::Range, slice, sync::Arc};

use tokio_postgres::Row;

use super::{
    decode::Value,
    field::{self as row, Field},
};
use crate::pg::{
    error::{Error, code},
    value::Columns,
};

/// A value, or the beginning of an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece {
    Null,
    Boolean(bool),
    Number(f64),
    /// A text of so many bytes, all of them ASCII.
    Ascii(usize),
    /// A text of so many bytes, in UTF-8.
    Text(usize),
    Bytes(usize),
    /// So many values follow, which are its elements.
    Array(usize),
}

/// The rows for one call.
#[derive(Debug)]
pub struct Rows {
    all: Arc<All>,
    range: Range<usize>,
}

/// The rows for all calls of a statement.
#[derive(Debug)]
struct All {
    columns: Arc<Columns>,
    decoded: Decoded,
    starts: Vec<Start>,
}

/// One row after the other.
#[derive(Debug)]
struct Decoded {
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

impl Decoded {
    fn push(&mut self, value: &Value<'_>) {
        let piece = match value {
            Value::Null => Piece::Null,
            Value::Boolean(boolean) => Piece::Boolean(*boolean),
            Value::Number(number) => Piece::Number(*number),
            Value::Text(text) => self.text(text),
            Value::Made(text) => self.text(text),
            Value::Bytes(bytes) => {
                self.bytes.extend_from_slice(bytes);
                Piece::Bytes(bytes.len())
            }
            Value::Array(values) => {
                self.pieces.push(Piece::Array(values.len()));
                for value in values {
                    self.push(value);
                }
                return;
            }
        };
        self.pieces.push(piece);
    }

    fn text(&mut self, text: &str) -> Piece {
        self.bytes.extend_from_slice(text.as_bytes());
        if text.is_ascii() { Piece::Ascii(text.len()) } else { Piece::Text(text.len()) }
    }
}

/// The call that a row answers, and where the row begins.
#[derive(Clone, Copy, Debug)]
struct Start {
    call: usize,
    piece: usize,
    byte: usize,
}

impl Rows {
    pub fn columns(&self) -> &Arc<Columns> {
        &self.all.columns
    }

    pub fn len(&self) -> usize {
        self.range.len()
    }

    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// One row of the only row here and the only row of `other`. `columns` makes the columns of the fields of both, and
    /// of the index at which those of `other` begin.
    pub(in crate::pg) fn beside(&self, other: &Self, columns: impl FnOnce(Vec<Field>, usize) -> Arc<Columns>) -> Self {
        let [first, second] = [&self.all, &other.all];
        let fields = [&first.columns.fields[..], &second.columns.fields].concat();
        let decoded = Decoded {
            pieces: [&first.decoded.pieces[..], &second.decoded.pieces].concat(),
            bytes: [&first.decoded.bytes[..], &second.decoded.bytes].concat(),
        };
        let starts = vec![Start { call: 0, piece: 0, byte: 0 }];
        let columns = columns(fields, first.columns.fields.len());
        Self { all: Arc::new(All { columns, decoded, starts }), range: 0..1 }
    }

    /// The values of the row at `index`, followed by those of the rows behind it: the caller takes as many as the row
    /// has.
    pub fn values(&self, index: usize) -> Values<'_> {
        let All { decoded: Decoded { pieces, bytes }, starts, .. } = &*self.all;
        let start = starts[self.range.clone()][index];
        Values { pieces: pieces[start.piece..].iter(), bytes: &bytes[start.byte..] }
    }
}

/// One piece after the other, each with its bytes.
pub struct Values<'a> {
    pieces: slice::Iter<'a, Piece>,
    bytes: &'a [u8],
}

impl<'a> Iterator for Values<'a> {
    type Item = (Piece, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let piece = *self.pieces.next()?;
        let length = match piece {
            Piece::Ascii(length) | Piece::Text(length) | Piece::Bytes(length) => length,
            Piece::Null | Piece::Boolean(_) | Piece::Number(_) | Piece::Array(_) => 0,
        };
        let (own, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Some((piece, own))
    }
}

/// Decodes the rows of a statement as they come.
pub(in crate::pg) struct Decoding {
    all: All,
    calls: usize,
}

/// The bytes that are set aside for a row: a session and its user fit.
const ROW_BYTES: usize = 128;

impl Decoding {
    /// Nothing yet, for a statement that answers so many calls.
    pub(in crate::pg) fn new(columns: Arc<Columns>, calls: usize) -> Self {
        let pieces = Vec::with_capacity(calls * columns.fields.len());
        let bytes = Vec::with_capacity(calls * ROW_BYTES);
        let decoded = Decoded { pieces, bytes };
        Self { all: All { columns, decoded, starts: Vec::with_capacity(calls) }, calls }
    }

    /// Decodes a row. Rejects with `INVALID_ANSWER` where a value is none of its column's type, and then has the
    /// statement described again.
    pub(in crate::pg) fn add(&mut self, row: &Row) -> Result<(), Error> {
        let All { columns, decoded, starts } = &mut self.all;
        let call = if self.calls == 1 { Some(0) } else { columns.position.and_then(|column| call(row, column)) };
        let Some(call) = call.filter(|&call| call < self.calls) else {
            return Err(Error::failure(code::INVALID_ANSWER, "a row answers no call"));
        };
        starts.push(Start { call, piece: decoded.pieces.len(), byte: decoded.bytes.len() });
        for (index, field) in columns.fields.iter().enumerate() {
            let column = columns.server_index(index);
            let value = match row::bytes(row, column) {
                None => Some(field.reading.null()),
                Some(bytes) => field.reading.read(bytes),
            };
            decoded.push(&value.ok_or_else(|| {
                let kind = row.columns().get(column).map_or("unknown", |column| column.type_().name());
                let message =
                    format!("the server's bytes for the column {:?} are not what its type, {kind}, allows", field.name);
                Error::failure(code::INVALID_ANSWER, message)
            })?);
        }
        Ok(())
    }

    /// The rows of each call, in the order of the calls.
    pub(in crate::pg) fn finish(mut self) -> Vec<Rows> {
        if !self.all.starts.is_sorted_by_key(|start| start.call) {
            self.all.starts.sort_by_key(|start| start.call);
        }
        let all = Arc::new(self.all);
        let mut from = 0;
        let rows = |call| {
            let range = from..from + all.starts[from..].iter().take_while(|start| start.call == call).count();
            from = range.end;
            Rows { all: all.clone(), range }
        };
        (0..self.calls).map(rows).collect()
    }
}

/// The index of the call that a row is for: `WITH ORDINALITY` counts from 1, in the column of this index.
pub(in crate::pg) fn call(row: &Row, column: usize) -> Option<usize> {
    let bytes = row::bytes(row, column)?.try_into().ok()?;
    usize::try_from(i64::from_be_bytes(bytes)).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests;
