//! Bytes in, bytes out: how each type of column is read, and how a parameter is written.

mod rows;

mod columns;

mod field;

mod array;

mod decode;

mod parameter;

pub use columns::Columns;
pub use field::Conversion;
pub(in crate::pg) use field::{Field, bytes as field_bytes};
pub use parameter::Form;
pub(in crate::pg) use parameter::{Text, UNKNOWN, array_literal, form};
pub(in crate::pg) use rows::{Decoding, call as row_call};
pub use rows::{Piece, Rows, Values};
