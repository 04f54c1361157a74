//! Bytes in, bytes out: how each type of column is read, and how a parameter is written.

mod rows;

mod columns;

mod field;

mod array;

mod decode;

mod parameter;

pub use columns::Columns;
pub use field::{Conversion, Field, bytes as field_bytes};
pub use parameter::{Form, Text, UNKNOWN, array_literal, form};
pub use rows::{Decoding, Piece, Rows, Values, call as row_call};
