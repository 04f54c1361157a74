//! Which violation of a constraint is one of Lucia's two errors.
//!
//! The catalog tells, by the names that the server reports: the constraint has to be one on just the column `id`, or
//! `user_id`, of the relation that the row was inserted into. Where rows of that relation lie elsewhere (on another server,
//! or where a trigger or a rule puts them) or the server leaves names out, the tables have to agree: the key is there, the
//! user is not.

use super::method::{Method, Table};
use crate::pg::{Answer, Form, Piece, SqlState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// A unique one on just the column `id`.
    Id,
    /// A foreign key on just the column `user_id`.
    UserId,
}

/// An error of Lucia's, and the violation that means it.
#[derive(Debug)]
pub struct Meaning {
    pub constraint: Constraint,
    pub table: Table,
    pub lucia: &'static str,
    /// The rows that the tables have to hold, or not, where the catalog cannot tell.
    pub rows: &'static [Expected],
}

/// The row that a lookup by one of the insertion's ids finds, or that it finds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Key,
    NoUser,
}

const DUPLICATE_KEY: &str = "AUTH_DUPLICATE_KEY_ID";
const INVALID_USER: &str = "AUTH_INVALID_USER_ID";

/// The error of Lucia's that an insertion by `method` means when the server refuses it with `state`, `None` where the
/// error is the database's own.
pub fn meaning(method: Method, state: &SqlState) -> Option<Meaning> {
    let (constraint, table, lucia, rows): (_, _, _, &[Expected]) = match (method, state) {
        (Method::SetKey, &SqlState::UNIQUE_VIOLATION) => (Constraint::Id, Table::Key, DUPLICATE_KEY, &[Expected::Key]),
        // The user's own violation is not Lucia's.
        (Method::SetUser, &SqlState::UNIQUE_VIOLATION) => {
            (Constraint::Id, Table::Key, DUPLICATE_KEY, &[Expected::Key, Expected::NoUser])
        }
        (Method::SetKey, &SqlState::FOREIGN_KEY_VIOLATION) => {
            (Constraint::UserId, Table::Key, INVALID_USER, &[Expected::NoUser])
        }
        (Method::SetSession, &SqlState::FOREIGN_KEY_VIOLATION) => {
            (Constraint::UserId, Table::Session, INVALID_USER, &[Expected::NoUser])
        }
        _ => return None,
    };
    Some(Meaning { constraint, table, lucia, rows })
}

impl Expected {
    /// The method that finds the row, by the id that `Ids::of` gives.
    pub fn lookup(self) -> Method {
        match self {
            Self::Key => Method::GetKey,
            Self::NoUser => Method::GetUser,
        }
    }

    /// Whether the answer to that lookup is what is expected.
    pub fn is_met(self, answer: &Answer) -> bool {
        matches!(answer, Answer::Rows(rows) if rows.is_empty() == (self == Self::NoUser))
    }
}

/// Ids of the rows that are inserted.
#[derive(Debug, Default)]
pub struct Ids {
    pub key: Option<Id>,
    pub user: Option<Id>,
}

/// The text of an id, and the form that the text was made for.
#[derive(Clone, Debug)]
pub struct Id {
    pub text: String,
    pub form: Form,
}

impl Ids {
    /// The id to look the expected row up by, `None` where the insertion has no such id.
    pub fn of(&self, expected: Expected) -> Option<Id> {
        match expected {
            Expected::Key => self.key.clone(),
            Expected::NoUser => self.user.clone(),
        }
    }
}

/// What the catalog says of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    Certain,
    Possible,
    No,
}

impl Finding {
    /// Reads the answer to [`question`]; `No` where the server refused the question.
    pub fn read(answer: &Answer) -> Self {
        let Answer::Rows(rows) = answer else { return Self::No };
        let first = if rows.is_empty() { None } else { rows.values(0).next() };
        match first {
            Some((Piece::Boolean(true), _)) => Self::Certain,
            Some((Piece::Boolean(false), _)) => Self::Possible,
            _ => Self::No,
        }
    }
}

/// The text that asks the catalog about a violated constraint. Its parameters are the schema, the table and the name of
/// the constraint as the server reports them, each empty where the server does not; the relation of the insertion; the
/// relation of the users.
///
/// A relation reaches what inherits from it, its partitions among them, and, as a view, what it selects from. A
/// constraint that the users' relation reaches as well may have been violated by the user's row.
pub fn question(constraint: Constraint) -> String {
    let of_column = match constraint {
        Constraint::Id => {
            "a.attname = 'id' AND EXISTS (SELECT FROM pg_catalog.pg_index AS i \
             JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid \
             WHERE i.indrelid = t.oid AND x.relname = $3 AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)"
        }
        Constraint::UserId => {
            "a.attname = 'user_id' AND EXISTS (SELECT FROM pg_catalog.pg_constraint AS c \
             WHERE c.conrelid = t.oid AND c.conname = $3 AND c.contype = 'f' AND c.conkey = ARRAY[a.attnum])"
        }
    };
    format!(
        "WITH RECURSIVE reached(is_user, oid) AS (\
         SELECT false, pg_catalog.to_regclass($4)::pg_catalog.oid \
         UNION SELECT true, pg_catalog.to_regclass($5)::pg_catalog.oid \
         UNION SELECT r.is_user, below.oid FROM reached AS r, LATERAL (\
         SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = r.oid \
         UNION ALL SELECT d.refobjid FROM pg_catalog.pg_rewrite AS w JOIN pg_catalog.pg_depend AS d ON d.objid = w.oid \
         WHERE w.ev_class = r.oid AND w.ev_type = '1' AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass) AS below(oid)), \
         elsewhere(is_foreign) AS (\
         SELECT c.relkind = 'f' FROM reached AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.oid \
         WHERE NOT r.is_user AND (c.relkind = 'f' \
         OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = c.oid AND (g.tgtype & {INSTEAD_OF_INSERT}) = {INSTEAD_OF_INSERT}) \
         OR EXISTS (SELECT FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = c.oid AND w.ev_type = '3' AND w.is_instead))), \
         violated(oid) AS (\
         SELECT t.oid FROM pg_catalog.pg_class AS t \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid \
         WHERE (n.nspname = $1 OR $1 = '') AND (t.relname = $2 OR $2 = '') AND {of_column}) \
         SELECT $2 <> '' AND EXISTS (SELECT FROM reached AS r WHERE r.oid = v.oid AND NOT r.is_user) \
         AND NOT EXISTS (SELECT FROM reached AS r WHERE r.oid = v.oid AND r.is_user) \
         AND NOT EXISTS (SELECT FROM elsewhere) \
         FROM violated AS v WHERE EXISTS (SELECT FROM reached AS r WHERE r.oid = v.oid AND NOT r.is_user) \
         OR ($2 <> '' AND EXISTS (SELECT FROM elsewhere)) \
         UNION ALL SELECT false FROM elsewhere AS e WHERE e.is_foreign AND $3 = ''"
    )
}

/// `TRIGGER_TYPE_INSTEAD | TRIGGER_TYPE_INSERT` of `pg_trigger.tgtype`.
const INSTEAD_OF_INSERT: u8 = 64 | 4;

#[cfg(test)]
mod tests {
    use super::{Constraint, Expected, Id, Ids, meaning, question};
    use crate::{lucia::method::Method, pg::SqlState};

    #[test]
    fn only_insertions_have_errors_of_lucias_own_and_each_has_its_own() {
        let of = |method, code| meaning(method, code).map(|meaning| (meaning.constraint, meaning.lucia));
        let duplicate = Some((Constraint::Id, "AUTH_DUPLICATE_KEY_ID"));
        let invalid = Some((Constraint::UserId, "AUTH_INVALID_USER_ID"));
        for (method, unique, foreign) in [
            (Method::SetKey, duplicate, invalid),
            (Method::SetUser, duplicate, None),
            (Method::SetSession, None, invalid),
            (Method::UpdateKey, None, None),
            (Method::DeleteUser, None, None),
        ] {
            assert_eq!(of(method, &SqlState::UNIQUE_VIOLATION), unique, "{method:?}");
            assert_eq!(of(method, &SqlState::FOREIGN_KEY_VIOLATION), foreign, "{method:?}");
            assert_eq!(of(method, &SqlState::CHECK_VIOLATION), None, "{method:?}");
        }
    }

    #[test]
    fn a_sign_up_repeats_a_key_only_when_it_does_not_repeat_the_user() {
        let rows = meaning(Method::SetUser, &SqlState::UNIQUE_VIOLATION).unwrap().rows;
        assert_eq!(rows, [Expected::Key, Expected::NoUser]);
    }

    #[test]
    fn what_is_expected_is_looked_up_by_the_id_that_was_inserted() {
        let id = |text: &str| Some(Id { text: text.to_owned(), form: 0 });
        let ids = Ids { key: id("key"), user: id("user") };
        let of = |expected| ids.of(expected).map(|id| id.text);
        assert_eq!((Expected::Key.lookup(), of(Expected::Key).as_deref()), (Method::GetKey, Some("key")));
        assert_eq!((Expected::NoUser.lookup(), of(Expected::NoUser).as_deref()), (Method::GetUser, Some("user")));
        assert!(Ids::default().of(Expected::Key).is_none());
    }

    #[test]
    fn the_catalog_is_asked_about_the_column_and_about_triggers_that_insert_elsewhere() {
        let [id, user_id] = [Constraint::Id, Constraint::UserId].map(question);
        assert!(id.contains("a.attname = 'id'") && id.contains("pg_index"), "{id}");
        assert!(user_id.contains("a.attname = 'user_id'") && user_id.contains("pg_constraint"), "{user_id}");
        assert!(id.contains("(g.tgtype & 68) = 68"), "{id}");
    }
}
