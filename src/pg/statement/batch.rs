//! The text of a statement that is for many calls.

use std::fmt::Write;

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::types::Type;

use super::relation::Relations;

/// The text of a statement for many calls, around its parameters: each is an array that has an element for every call.
/// The answer has the columns of the statement for one. A lookup's `position` says which call a row is for; that of a
/// deletion stands behind them.
#[derive(Debug)]
pub struct Batch {
    /// One more than parameters.
    pub parts: Vec<String>,
    pub lookup: Lookup,
}

/// What a statement for many calls looks for rows in.
#[derive(Debug)]
pub enum Lookup {
    /// Nothing.
    None,
    /// Relations of these names. Unless all are tables, with parts or without, the server might read the whole of one, so that
    /// each call has a statement of its own.
    Tables(Vec<String>),
    /// Relations of these names. Unless all are tables the text is of the second parts, by which the server looks for each
    /// call's rows as it does for one call.
    Any(Vec<String>, Vec<String>),
}

impl Lookup {
    pub(super) fn relations(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::Tables(names) | Self::Any(names, _) => names,
        }
    }
}

impl Batch {
    /// The text with a parameter for each type, which is that of the array's elements.
    pub(super) fn text(&self, elements: &[Type], relations: Relations) -> String {
        let parts = match &self.lookup {
            Lookup::Any(_, each) if relations != Relations::Tables => each,
            _ => &self.parts,
        };
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            text.push_str(part);
            if let Some(element) = elements.get(index) {
                let (schema, name) = (escape_identifier(element.schema()), escape_identifier(element.name()));
                // Writing to a `String` cannot fail.
                let _ = write!(text, "${}::{schema}.{name}[]", index + 1);
            }
        }
        text
    }
}
