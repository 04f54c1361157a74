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

#[cfg(test)]
mod tests {
    use super::Columns;
    use crate::pg::value::{
        decode::Decoder,
        field::{Conversion, Field, Reading},
    };

    fn columns(position: Option<usize>) -> Columns {
        let field = |name: &str| Field {
            name: name.to_owned(),
            reading: Reading::Scalar(Decoder::Text),
            conversion: Conversion::None,
            is_number: false,
        };
        Columns::new(["a", "b", "c"].map(field).to_vec(), position)
    }

    #[test]
    fn a_field_behind_the_position_stands_one_further_in_the_servers_row() {
        let indexes = |position| [0, 1, 2].map(|field| columns(position).server_index(field));
        assert_eq!(indexes(None), [0, 1, 2]);
        assert_eq!(indexes(Some(0)), [1, 2, 3]);
        assert_eq!(indexes(Some(2)), [0, 1, 3]);
        assert_eq!(indexes(Some(3)), [0, 1, 2]);
    }

    #[test]
    fn the_first_tables_fields_are_those_before_the_position() {
        assert_eq!([None, Some(0), Some(2)].map(|position| columns(position).first_table()), [3, 0, 2]);
    }

    #[test]
    fn columns_have_a_number_of_their_own_and_are_given_up_once_for_all() {
        let [one, other] = [columns(None), columns(None)];
        assert_ne!(one.number, other.number);
        assert!(!one.are_given_up());
        one.give_up();
        assert!(one.are_given_up() && !other.are_given_up());
    }
}
