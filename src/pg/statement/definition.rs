//! Statements, and what is known of them on every connection alike: the columns of the answer, the types of the parameters.

use std::{
    fmt::Write,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio_postgres::types::Type;

use super::{
    batch::{Batch, Lookup},
    relation::Relations,
    shape::Shape,
};
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
    probed: Option<String>,
    is_unprobed: AtomicBool,
    /// The same as two statements: two changes, for one transaction, the second's parameters behind those of the first; or
    /// two lookups, each with the same parameter.
    two: OnceLock<Box<[Self; 2]>>,
    is_apart: AtomicBool,
    /// Columns that JavaScript gets as numbers, whatever their type.
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
    /// Appended to the text once the tables have changed: see `commented`.
    comment: String,
}

impl Statement {
    pub fn write(sql: String, probed: Option<String>, batch: Option<Batch>, declared: &[u32]) -> Self {
        let declared = declared.iter().map(|&oid| Type::from_oid(oid).unwrap_or(Type::UNKNOWN)).collect();
        Self { probed, ..Self::new(Access::Write, sql, declared, batch, &[]) }
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
            probed: None,
            is_unprobed: AtomicBool::new(false),
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

    /// The server has refused the two changes as one statement.
    pub(in crate::pg) fn is_apart(&self) -> bool {
        self.is_apart.load(Ordering::Relaxed)
    }

    pub(in crate::pg) fn stay_apart(&self) {
        self.is_apart.store(true, Ordering::Relaxed);
    }

    /// The text for one call.
    pub fn text(&self) -> &str {
        self.probed.as_deref().filter(|_| self.is_probed()).unwrap_or(&self.sql)
    }

    /// The same where nothing is prepared: what is planned anew each time needs no probe, whose types the driver would look
    /// up after the change.
    pub(super) fn unprepared_text(&self) -> &str {
        &self.sql
    }

    pub(in crate::pg) fn is_probed(&self) -> bool {
        self.probed.is_some() && !self.is_unprobed.load(Ordering::Relaxed)
    }

    /// Does without the probe from now on. Some relations return nothing (views with rules), some roles may not read, and
    /// some types cannot be sent.
    pub(in crate::pg) fn give_up_probe(&self) {
        self.is_unprobed.store(true, Ordering::Relaxed);
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

    /// Many calls can be sent in one statement. A change can once the types of its parameters are known and each can be an
    /// element of an array: `unnest` would take arrays of arrays and of rows apart.
    pub(in crate::pg) fn can_batch(&self) -> bool {
        let Some(batch) = self.batch.as_ref().filter(|_| !self.is_apart()) else { return false };
        let may_look = match &batch.lookup {
            Lookup::Tables(_) => self.known().relations == Some(Relations::Tables),
            Lookup::None | Lookup::Any(..) => true,
        };
        may_look
            && (!self.access.is_write()
                || (self.is_probed() && self.known_shape().is_some_and(|shape| shape.has_elements())))
    }

    /// The relations whose kinds have to be looked up before many calls are sent in one statement.
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

    /// The shape that some connection has found, unless it is in doubt.
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
            Some(shape) => shape.rewrite(sql),
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

/// A comment that makes a text one that nobody has prepared before.
pub(super) fn unique_comment(chance: &Chance) -> String {
    format!(" /* {:016x} */", chance.number())
}

impl Access {
    pub(in crate::pg) fn is_write(self) -> bool {
        self == Self::Write
    }
}
