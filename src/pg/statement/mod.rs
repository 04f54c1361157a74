//! What is prepared, described, kept and found stale.

mod prepare;

mod describe;

mod discover;

mod definition;

mod batch;

mod shape;

mod server_text;

mod relation;

pub use batch::{Batch, Lookup};
pub(in crate::pg) use definition::Access;
pub use definition::Statement;
pub(in crate::pg) use discover::{ask_types, columns_ahead, has_own_types};
pub(in crate::pg) use prepare::{Count, Ready, ReadyStatements, Sending};
pub(in crate::pg) use shape::Shape;
