//! Statements, and what is known of them on every connection alike: the columns of the answer, the types of the parameters.

use std::{
    fmt::Write,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio_postgres::types::{Kind, Type};

use super::{relation::Relations, server_text::ServerText};
use crate::pg::{
    chance::Chance,
    value::{Columns, Field},
};

/// A statement is known by its number: the text need not be compared.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Access {
    /// Changes nothing: may be done again.
    Read,
    Write,
}

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
    /// Relations of these names. Unless all are tables the server might read the whole of one, so that each call has a
    /// statement of its own.
    Tables(Vec<String>),
    /// Relations of these names. Unless all are tables the text is of the second parts, by which the server looks for each
    /// call's rows as it does for one call.
    Any(Vec<String>, Vec<String>),
}

impl Lookup {
    fn relations(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::Tables(names) | Self::Any(names, _) => names,
        }
    }
}

impl Batch {
    /// With parameters whose elements have these types.
    fn text(&self, elements: &[Type], relations: Relations) -> String {
        let parts = match &self.lookup {
            Lookup::Any(_, each) if relations == Relations::Others => each,
            _ => &self.parts,
        };
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            text.push_str(part);
            if let Some(element) = elements.get(index) {
                let (schema, name) = (quote(element.schema()), quote(element.name()));
                // Writing to a `String` cannot fail.
                let _ = write!(text, "${}::{schema}.{name}[]", index + 1);
            }
        }
        text
    }
}

pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[derive(Debug)]
pub struct Statement {
    pub number: u64,
    pub(in crate::pg) access: Access,
    sql: String,
    /// The types that parameters are declared with; the server infers the rest.
    pub(super) declared: Vec<Type>,
    pub batch: Option<Batch>,
    /// The same with a `RETURNING` clause that gives away no data, but whose types are those of the columns that are
    /// written: when one changes, the server refuses what is prepared (`0A000`) instead of casting a parameter of the old
    /// type.
    guarded: Option<String>,
    is_unguarded: AtomicBool,
    /// The same as two statements: two changes, for one transaction, the second's parameters behind those of the first; or
    /// two lookups, each with the same parameter.
    two: OnceLock<Box<[Self; 2]>>,
    is_apart: AtomicBool,
    /// Columns that are to be numbers, whatever their type.
    pub(super) numbers: &'static [&'static str],
    /// The column of the first table that a lookup compares its parameter with.
    pub(super) looked_up: Option<&'static str>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    shape: Option<Arc<Shape>>,
    columns: Option<Arc<Columns>>,
    is_doubtful: bool,
    /// What the statement for many calls looks into.
    relations: Option<Relations>,
    /// Since the tables have changed, a comment behind what is prepared.
    comment: String,
}

impl Statement {
    pub fn write(sql: String, guarded: Option<String>, batch: Option<Batch>, declared: &[u32]) -> Self {
        let declared = declared.iter().map(|&oid| Type::from_oid(oid).unwrap_or(Type::UNKNOWN)).collect();
        Self { guarded, ..Self::new(Access::Write, sql, declared, batch, &[]) }
    }

    pub fn read(sql: String, numbers: &'static [&'static str]) -> Self {
        Self::new(Access::Read, sql, Vec::new(), None, numbers)
    }

    pub fn lookup(sql: String, batch: Batch, numbers: &'static [&'static str], column: &'static str) -> Self {
        Self { looked_up: Some(column), ..Self::new(Access::Read, sql, Vec::new(), Some(batch), numbers) }
    }

    fn new(
        access: Access,
        sql: String,
        declared: Vec<Type>,
        batch: Option<Batch>,
        numbers: &'static [&'static str],
    ) -> Self {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            number,
            access,
            sql,
            declared,
            batch,
            guarded: None,
            is_unguarded: AtomicBool::new(false),
            two: OnceLock::new(),
            is_apart: AtomicBool::new(false),
            numbers,
            looked_up: None,
            known: Mutex::default(),
        }
    }

    /// With the same as two statements, where a server refuses it as one.
    pub fn or_apart(&self, two: impl FnOnce() -> [Self; 2]) {
        self.two.get_or_init(|| Box::new(two()));
    }

    pub(in crate::pg) fn two(&self) -> Option<&[Self; 2]> {
        self.two.get().map(Deref::deref)
    }

    /// The server has refused it as one statement.
    pub(in crate::pg) fn is_apart(&self) -> bool {
        self.is_apart.load(Ordering::Relaxed)
    }

    pub(in crate::pg) fn stay_apart(&self) {
        self.is_apart.store(true, Ordering::Relaxed);
    }

    /// The text for one call.
    pub fn text(&self) -> &str {
        self.guarded.as_deref().filter(|_| self.is_guarded()).unwrap_or(&self.sql)
    }

    pub(in crate::pg) fn is_guarded(&self) -> bool {
        self.guarded.is_some() && !self.is_unguarded.load(Ordering::Relaxed)
    }

    /// Does without the guard from now on. Some relations return nothing (views with rules), some roles may not read, and
    /// some types cannot be sent.
    pub(in crate::pg) fn give_up_guard(&self) {
        self.is_unguarded.store(true, Ordering::Relaxed);
    }

    /// What tells it from every other statement.
    pub(in crate::pg) fn key(&self) -> String {
        let mut key = self.sql.clone();
        for declared in &self.declared {
            // Writing to a `String` cannot fail.
            let _ = write!(key, " {}", declared.oid());
        }
        for number in self.numbers {
            let _ = write!(key, " {number}");
        }
        key
    }

    /// Many calls can be sent in one statement. Of changes, once the types of the parameters are known: the elements of an
    /// array of arrays, or of rows, would come apart.
    pub(in crate::pg) fn can_batch(&self) -> bool {
        let Some(batch) = self.batch.as_ref().filter(|_| !self.is_apart()) else { return false };
        let may_look = match &batch.lookup {
            Lookup::Tables(_) => self.known().relations == Some(Relations::Tables),
            Lookup::None | Lookup::Any(..) => true,
        };
        may_look
            && (!self.access.is_write()
                || (self.is_guarded()
                    && self.known_shape().is_some_and(|shape| shape.parameters.iter().all(is_element))))
    }

    /// The relations that it has to be known of what they are, before many calls are sent in one statement.
    pub(super) fn unknown_relations(&self) -> &[String] {
        match &self.batch {
            Some(batch) if self.known().relations.is_none() => batch.lookup.relations(),
            _ => &[],
        }
    }

    pub(super) fn learn_relations(&self, relations: Relations) {
        self.known().relations = Some(relations);
    }

    /// The text for many calls, with parameters whose elements have these types.
    pub(super) fn batch_text(&self, elements: &[Type]) -> Option<String> {
        let relations = self.known().relations.unwrap_or(Relations::Tables);
        Some(self.batch.as_ref()?.text(elements, relations))
    }

    /// The shape, as far as anyone knows.
    pub(in crate::pg) fn known_shape(&self) -> Option<Arc<Shape>> {
        let known = self.known();
        known.shape.clone().filter(|shape| !known.is_doubtful && !shape.columns.are_given_up())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how many calls rows may be asked for before it has been described. Of relations that are no tables the server
    /// reads less for many calls in one statement than for each by itself.
    pub(in crate::pg) fn most_ahead(&self) -> usize {
        match (self.looked_up, self.known().relations) {
            (None, _) => 0,
            (Some(_), Some(Relations::Tables)) => usize::MAX,
            (Some(_), _) => 1,
        }
    }

    /// The text for one call, as far as it is known how the columns are to be asked for.
    pub(in crate::pg) fn text_for(&self, shape: Option<&Shape>) -> String {
        let sql = self.text().to_owned();
        match shape {
            Some(shape) => shape.dress(sql),
            None => sql,
        }
    }

    /// Keeps the same columns for whoever finds them, so that JavaScript learns them once.
    pub(in crate::pg) fn agree_columns(&self, fields: Vec<Field>, position: Option<usize>) -> Arc<Columns> {
        let mut known = self.known();
        match &known.columns {
            Some(columns) if columns.fields == fields && columns.position == position => columns.clone(),
            _ => known.columns.insert(Arc::new(Columns::new(fields, position))).clone(),
        }
    }

    /// Keeps one shape for all connections that find the same.
    pub(super) fn agree(&self, found: Shape) -> Arc<Shape> {
        let mut known = self.known();
        known.is_doubtful = false;
        match &known.shape {
            Some(shape) if !shape.columns.are_given_up() && shape.is_like(&found) => shape.clone(),
            _ => known.shape.insert(Arc::new(found)).clone(),
        }
    }

    /// The tables may have changed: the server has to describe it again.
    pub(super) fn doubt_shape(&self, chance: &Chance) {
        let mut known = self.known();
        known.is_doubtful = true;
        known.relations = None;
        known.comment = unique_comment(chance);
    }

    /// `sql` as it is to be prepared under a name. A pooler that tracks prepared statements prepares each text once on each
    /// of its servers, and that may have been before the tables changed.
    pub(super) fn commented(&self, mut sql: String) -> String {
        sql.push_str(&self.known().comment);
        sql
    }
}

/// A text with it has not been prepared by anyone.
pub(super) fn unique_comment(chance: &Chance) -> String {
    format!(" /* {:016x} */", chance.number())
}

/// A value that is one in an array too, and whose array is written with commas.
fn is_element(kind: &Type) -> bool {
    matches!(kind.kind(), Kind::Simple | Kind::Enum(_)) && *kind != Type::BOX && *kind != Type::UNKNOWN
}

impl Access {
    pub(in crate::pg) fn is_write(self) -> bool {
        self == Self::Write
    }
}

/// What the server has told of a statement.
#[derive(Debug)]
pub(in crate::pg) struct Shape {
    pub columns: Arc<Columns>,
    pub(super) parameters: Vec<Type>,
    pub(super) server_text: Option<ServerText>,
}

impl Shape {
    fn is_like(&self, other: &Self) -> bool {
        self.columns.fields == other.columns.fields
            && self.columns.position == other.columns.position
            && self.parameters == other.parameters
            && self.server_text == other.server_text
    }

    /// `sql` with a select list that asks for text, where that is needed.
    pub(super) fn dress(&self, sql: String) -> String {
        match &self.server_text {
            Some(server_text) => server_text.dress(&sql),
            None => sql,
        }
    }
}
