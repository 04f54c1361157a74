//! Bytes in, bytes out: how each type of column is read, and how a parameter is written.

#[cfg(fuzzing)]
pub(in crate::pg) mod fuzz;

mod rows;

mod columns;

mod field;

mod array;

mod decode;

mod numeric;

mod parameter;

#[cfg(any(test, fuzzing))]
mod answered;

pub use columns::Columns;
pub(in crate::pg) use field::bytes as field_bytes;
pub use field::{Conversion, Field};
pub use parameter::{Form, UNKNOWN};
pub(in crate::pg) use parameter::{Text, array_literal, form};
pub(in crate::pg) use rows::{Decoding, call as row_call};
pub use rows::{Piece, Rows, Values};
