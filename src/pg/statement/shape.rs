//! What the server tells of a statement: the columns of its answer, the types of its parameters.

use std::sync::Arc;

use tokio_postgres::types::{Kind, Type};

use super::server_text::ServerText;
use crate::pg::value::Columns;

#[derive(Debug)]
pub(in crate::pg) struct Shape {
    pub columns: Arc<Columns>,
    pub(super) parameters: Vec<Type>,
    pub(super) server_text: Option<ServerText>,
    /// A column comes as a value of a type that is not built in.
    pub(in crate::pg) has_own_types: bool,
}

impl Shape {
    /// Every parameter can be an element of an array.
    pub(super) fn has_elements(&self) -> bool {
        self.parameters.iter().all(is_element)
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.columns.fields == other.columns.fields
            && self.columns.position == other.columns.position
            && self.parameters == other.parameters
            && self.server_text == other.server_text
    }

    /// `sql` with a select list that asks for text, where that is needed.
    pub(super) fn rewrite(&self, sql: String) -> String {
        match &self.server_text {
            Some(server_text) => server_text.rewrite(&sql),
            None => sql,
        }
    }
}

/// The type's values can be elements of an array that is written with commas; `box` separates by semicolons.
fn is_element(kind: &Type) -> bool {
    matches!(kind.kind(), Kind::Simple | Kind::Enum(_)) && *kind != Type::BOX && *kind != Type::UNKNOWN
}
