//! The columns of an answer, known to JavaScript by a number.

use std::sync::atomic::{AtomicU64, Ordering};

use super::field::Field;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// The columns of an answer, without its `position`.
#[derive(Debug)]
pub struct Columns {
    /// Known to JavaScript by this number.
    pub number: u64,
    pub fields: Vec<Field>,
    /// Where `position` stands among the columns that the server sends; what is behind it is the second table's.
    pub(in crate::pg) position: Option<usize>,
}

impl Columns {
    /// `fields` in the order in which the server sends them, but for the `position`.
    pub(in crate::pg) fn new(fields: Vec<Field>, position: Option<usize>) -> Self {
        Self { number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed), fields, position }
    }

    /// The index in the server's row of each field.
    pub(super) fn server_index(&self, field: usize) -> usize {
        match self.position {
            Some(position) if field >= position => field + 1,
            _ => field,
        }
    }

    /// How many fields belong to the first table.
    pub fn first_table(&self) -> usize {
        self.position.unwrap_or(self.fields.len())
    }
}
