//! The columns of an answer, known to JavaScript by a number.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    is_given_up: AtomicBool,
}

impl Columns {
    /// `fields` in the order in which the server sends them, but for the `position`.
    pub(in crate::pg) fn new(fields: Vec<Field>, position: Option<usize>) -> Self {
        Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            fields,
            position,
            is_given_up: AtomicBool::new(false),
        }
    }

    /// Whether they are these, and may go on being read as they are.
    pub(in crate::pg) fn are(&self, fields: &[Field], position: Option<usize>) -> bool {
        !self.are_given_up() && self.fields == fields && self.position == position
    }

    /// The index in the server's row of each field.
    pub(super) fn server_index(&self, field: usize) -> usize {
        match self.position {
            Some(position) if field >= position => field + 1,
            _ => field,
        }
    }

    /// Has every connection describe the statement again: a value was none of the type that the server has said of its
    /// column.
    pub fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    pub(in crate::pg) fn are_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// How many fields belong to the first table.
    pub fn first_table(&self) -> usize {
        self.position.unwrap_or(self.fields.len())
    }
}
