//! What is prepared, described, kept and found stale.

mod prepare;

mod describe;

mod discover;

mod definition;

mod server_text;

mod relation;

pub(in crate::pg) use definition::{Access, Shape};
pub use definition::{Batch, Lookup, Statement};
pub(in crate::pg) use discover::columns_ahead;
pub(in crate::pg) use prepare::{Count, Ready, ReadyStatements, Sending};
