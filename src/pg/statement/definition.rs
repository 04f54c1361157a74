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
    /// The kinds of the relations that the statement for many calls reads.
    relations: Option<Relations>,
    /// Appended to the text once the tables have changed: see `commented`.
    comment: String,
}

impl Statement {
    /// A change. `probed` is the same text with a probe, `batch` the text for many calls; parameters are declared with
    /// the types of the OIDs in `declared`, 0 for the server's choice.
    pub fn write(sql: String, probed: Option<String>, batch: Option<Batch>, declared: &[u32]) -> Self {
        let declared = declared.iter().map(|&oid| Type::from_oid(oid).unwrap_or(Type::UNKNOWN)).collect();
        Self { probed, ..Self::new(Access::Write, sql, declared, batch, &[]) }
    }

    /// A question that is asked for one call at a time; the columns in `numbers` become numbers.
    pub fn read(sql: String, numbers: &'static [&'static str]) -> Self {
        Self::new(Access::Read, sql, Vec::new(), None, numbers)
    }

    /// A lookup of rows by one parameter, which `column` is compared with; `batch` is the text for many calls.
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

    /// Adds the two statements that are sent in the place of this one where a server refuses this one.
    pub fn or_apart(&self, two: impl FnOnce() -> [Self; 2]) {
        self.two.get_or_init(|| Box::new(two()));
    }

    pub(in crate::pg) fn two(&self) -> Option<&[Self; 2]> {
        self.two.get().map(Deref::deref)
    }

    /// Whether the server has refused this statement, so that the two are sent in its place.
    pub(in crate::pg) fn is_apart(&self) -> bool {
        self.is_apart.load(Ordering::Relaxed)
    }

    /// Has the two statements sent from now on.
    pub(in crate::pg) fn stay_apart(&self) {
        self.is_apart.store(true, Ordering::Relaxed);
    }

    /// The text for one call, with the probe unless [`Self::give_up_probe`] was called.
    pub fn text(&self) -> &str {
        self.probed.as_deref().filter(|_| self.is_probed()).unwrap_or(&self.sql)
    }

    /// The text for one call where nothing is prepared under a name: the server plans it anew each time, so that no
    /// probe is needed, and the driver would look up the probe's types after the change was made.
    pub(super) fn unprepared_text(&self) -> &str {
        &self.sql
    }

    pub(in crate::pg) fn is_probed(&self) -> bool {
        self.probed.is_some() && !self.is_unprobed.load(Ordering::Relaxed)
    }

    /// Does without the probe from now on: a relation may return nothing (a view with rules), a role may not read, and
    /// a type may have no binary form.
    pub(in crate::pg) fn give_up_probe(&self) {
        self.is_unprobed.store(true, Ordering::Relaxed);
    }

    /// The text that is equal for equal statements: SQL, declared types, columns that become numbers.
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

    /// Whether many calls can be sent in one statement. Of a change, the types of the parameters have to be known, and
    /// each value has to be an element of an array: `unnest` would take arrays of arrays and of rows apart.
    pub(in crate::pg) fn can_batch(&self) -> bool {
        let Some(batch) = self.batch.as_ref().filter(|_| !self.is_apart()) else { return false };
        let may_look = match &batch.lookup {
            Lookup::Tables(_) => self.known().relations.is_some_and(|relations| relations != Relations::Others),
            Lookup::None | Lookup::Any(..) => true,
        };
        may_look
            && (!self.access.is_write()
                || (self.is_probed() && self.known_shape().is_some_and(|shape| shape.has_elements())))
    }

    pub(super) fn relations(&self) -> &[String] {
        self.batch.as_ref().map_or(&[], |batch| batch.lookup.relations())
    }

    /// The relations whose kinds have to be looked up before many calls are sent in one statement.
    pub(super) fn unknown_relations(&self) -> &[String] {
        if self.known().relations.is_none() { self.relations() } else { &[] }
    }

    pub(super) fn learn_relations(&self, relations: Relations) {
        self.known().relations = Some(relations);
    }

    /// The text for many calls, with parameters whose elements have these types.
    pub(super) fn batch_text(&self, elements: &[Type]) -> Option<String> {
        let relations = self.known().relations.unwrap_or(Relations::Tables);
        Some(self.batch.as_ref()?.text(elements, relations))
    }

    /// The shape that some connection has found, `None` where none has or the tables may have changed since.
    pub(in crate::pg) fn known_shape(&self) -> Option<Arc<Shape>> {
        let known = self.known();
        known.shape.clone().filter(|shape| !known.is_doubtful && !shape.columns.are_given_up())
    }

    /// Whether `shape` is what the server told last, on any connection.
    pub(in crate::pg) fn is_newest(&self, shape: &Arc<Shape>) -> bool {
        self.known_shape().is_some_and(|known| Arc::ptr_eq(&known, shape))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how many calls rows may be asked for before the statement has been described. Of relations that are no
    /// tables the server reads less for many calls in one statement than for each call by itself.
    pub(in crate::pg) fn most_ahead(&self) -> usize {
        match (self.looked_up, self.known().relations) {
            (None, _) => 0,
            (Some(_), Some(Relations::Tables | Relations::Parted)) => usize::MAX,
            (Some(_), _) => 1,
        }
    }

    /// The text for one call, which asks for the columns as `shape` says, where it is known.
    pub(in crate::pg) fn text_for(&self, shape: Option<&Shape>) -> String {
        let sql = self.text().to_owned();
        match shape {
            Some(shape) => shape.rewrite(sql),
            None => sql,
        }
    }

    /// The columns that are equal to these: the ones that are kept where they are, so that JavaScript learns them once.
    pub(in crate::pg) fn agree_columns(&self, fields: Vec<Field>, position: Option<usize>) -> Arc<Columns> {
        let mut known = self.known();
        match &known.columns {
            Some(columns) if columns.are(&fields, position) => columns.clone(),
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
