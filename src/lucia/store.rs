//! The seventeen methods of Lucia's `Adapter`: which statement each is, and which violation means which Lucia error.

use std::{borrow::Cow, sync::Arc};

use super::{
    name::Name,
    statement::{self, Change, Violation},
};
use crate::pg::{Answer, Call, Error, Form, Journey, Load, Parameters, Queue, Reply, Statement, code, sqlstate};

/// A method of the adapter. The table of all, in the order of their declaration, is `METHODS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    GetUser,
    SetUser,
    UpdateUser,
    DeleteUser,
    GetKey,
    GetKeysByUserId,
    SetKey,
    UpdateKey,
    DeleteKey,
    DeleteKeysByUserId,
    GetSession,
    GetSessionsByUserId,
    SetSession,
    UpdateSession,
    DeleteSession,
    DeleteSessionsByUserId,
    GetSessionAndUser,
}

/// What a method is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Id,
    /// An id, and the columns to change.
    Change,
    /// A row to insert.
    Row,
    /// A user's row, and its key's or `null`.
    UserAndKey,
}

/// What a method resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Nothing,
    /// The first row, or `null`.
    Row,
    Rows,
    /// `[session, user]`, or `[null, null]`.
    Pair,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    User,
    Key,
    Session,
}

const ID: &str = "id";
const USER_ID: &str = "user_id";
/// Columns of a session that Lucia wants as numbers.
const EXPIRIES: &[&str] = &["active_expires", "idle_expires"];

pub struct MethodEntry {
    pub method: Method,
    pub name: &'static str,
    pub takes: Takes,
    pub gives: Gives,
    table: Table,
    /// The column that the id is looked for in.
    column: &'static str,
}

const fn entry(
    method: Method,
    name: &'static str,
    takes: Takes,
    gives: Gives,
    table: Table,
    column: &'static str,
) -> MethodEntry {
    MethodEntry { method, name, takes, gives, table, column }
}

pub const METHODS: [MethodEntry; 17] = [
    entry(Method::GetUser, "getUser", Takes::Id, Gives::Row, Table::User, ID),
    entry(Method::SetUser, "setUser", Takes::UserAndKey, Gives::Nothing, Table::User, ID),
    entry(Method::UpdateUser, "updateUser", Takes::Change, Gives::Nothing, Table::User, ID),
    entry(Method::DeleteUser, "deleteUser", Takes::Id, Gives::Nothing, Table::User, ID),
    entry(Method::GetKey, "getKey", Takes::Id, Gives::Row, Table::Key, ID),
    entry(Method::GetKeysByUserId, "getKeysByUserId", Takes::Id, Gives::Rows, Table::Key, USER_ID),
    entry(Method::SetKey, "setKey", Takes::Row, Gives::Nothing, Table::Key, ID),
    entry(Method::UpdateKey, "updateKey", Takes::Change, Gives::Nothing, Table::Key, ID),
    entry(Method::DeleteKey, "deleteKey", Takes::Id, Gives::Nothing, Table::Key, ID),
    entry(Method::DeleteKeysByUserId, "deleteKeysByUserId", Takes::Id, Gives::Nothing, Table::Key, USER_ID),
    entry(Method::GetSession, "getSession", Takes::Id, Gives::Row, Table::Session, ID),
    entry(Method::GetSessionsByUserId, "getSessionsByUserId", Takes::Id, Gives::Rows, Table::Session, USER_ID),
    entry(Method::SetSession, "setSession", Takes::Row, Gives::Nothing, Table::Session, ID),
    entry(Method::UpdateSession, "updateSession", Takes::Change, Gives::Nothing, Table::Session, ID),
    entry(Method::DeleteSession, "deleteSession", Takes::Id, Gives::Nothing, Table::Session, ID),
    entry(Method::DeleteSessionsByUserId, "deleteSessionsByUserId", Takes::Id, Gives::Nothing, Table::Session, USER_ID),
    entry(Method::GetSessionAndUser, "getSessionAndUser", Takes::Id, Gives::Pair, Table::Session, ID),
];

impl MethodEntry {
    pub fn is_of_sessions(&self) -> bool {
        self.table == Table::Session
    }
}

impl Method {
    pub fn from_index(index: u32) -> Option<Self> {
        METHODS.get(usize::try_from(index).ok()?).map(|entry| entry.method)
    }

    fn entry(self) -> &'static MethodEntry {
        // The table is in the order of the declaration; a test compares them.
        &METHODS[self as usize]
    }
}

/// Why a method rejects.
#[derive(Clone, Debug)]
pub enum Rejection {
    /// A `LuciaError` of this message.
    Lucia(&'static str),
    Database(Error),
}

/// The tables' names.
#[derive(Clone, Debug)]
pub struct Tables {
    pub user: Name,
    pub key: Name,
    /// `None` beside another adapter for sessions.
    pub session: Option<Name>,
}

/// What a method was called with, besides the id of a lookup.
pub struct Row {
    pub columns: Vec<Name>,
    pub declared: Vec<u32>,
}

pub struct Store {
    tables: Tables,
    queue: Arc<Queue>,
    /// The statement of each method that takes an id, by `Method`.
    by_id: Vec<Option<Arc<Statement>>>,
    unique_id: Arc<Statement>,
    foreign_user_id: Arc<Statement>,
}

/// Receives what became of a call, and how it travelled, once.
pub trait Settle: FnOnce(Result<Answer, Rejection>, Journey) + Send + Sync + 'static {}

impl<F: FnOnce(Result<Answer, Rejection>, Journey) + Send + Sync + 'static> Settle for F {}

type Reject = Box<dyn FnOnce(Rejection) + Send + Sync>;

fn reply(settle: impl Settle) -> Reply {
    Reply::with(move |result, journey| settle(result.map_err(Rejection::Database), journey))
}

fn no_such_table() -> Error {
    Error::failure(code::INVALID_OPTIONS, "the table is not defined")
}

impl Store {
    pub fn new(tables: Tables, queue: Arc<Queue>) -> Self {
        let by_id = METHODS.iter().map(|entry| Some(queue.statement(by_id(entry, &tables)?))).collect();
        let violation = |kind| queue.statement(Statement::read(statement::violation(kind), None, &[]));
        let (unique_id, foreign_user_id) = (violation(Violation::UniqueId), violation(Violation::ForeignUserId));
        Self { tables, queue, by_id, unique_id, foreign_user_id }
    }

    /// Sends the calls that have been made.
    pub fn start(&self) {
        self.queue.start();
    }

    /// Calls of a method that takes an id; the last of those that are made together, or some of them.
    pub fn by_id(&self, method: Method, form: Form, calls: impl IntoIterator<Item = (String, Reply)>, are_last: bool) {
        let statement = self.by_id.get(method as usize).and_then(Option::as_ref);
        let Some(statement) = statement else {
            for (_, reply) in calls {
                reply.settle(Err(no_such_table()));
            }
            if are_last {
                self.queue.start();
            }
            return;
        };
        let call = |(id, reply)| Call {
            statement: statement.clone(),
            parameters: Parameters::One(Some(id)),
            forms: one_form(form),
            reply,
        };
        self.queue.join(calls.into_iter().map(call), are_last);
    }

    /// A method that takes a row; `key` is that of `setUser`.
    pub fn write(
        self: &Arc<Self>,
        method: Method,
        row: &Row,
        key: Option<&Row>,
        parameters: Vec<Option<String>>,
        forms: Vec<Form>,
        settle: impl Settle,
    ) {
        let entry = method.entry();
        let Some(table) = self.table(entry.table) else {
            return settle(Err(Rejection::Database(no_such_table())), Journey::default());
        };
        let Change { plain, with_guard, batch } = match (entry.takes, key) {
            (Takes::Change, _) => statement::update(table, &row.columns),
            (_, Some(key)) => statement::insert_user_and_key(table, &row.columns, &self.tables.key, &key.columns),
            _ => statement::insert(table, &row.columns),
        };
        let declared = [&row.declared[..], key.map_or(&[], |key| &key.declared)].concat();
        let statement = self.queue.statement(Statement::write(plain, Some(with_guard), batch, &declared));
        let store = self.clone();
        let with_key = key.is_some();
        let reply = Reply::with(move |result, journey| match result {
            Ok(answer) => settle(Ok(answer), journey),
            // How the question that may follow travels is of no interest.
            Err(error) => {
                store.translate(method, with_key, error, Box::new(move |rejection| settle(Err(rejection), journey)));
            }
        });
        self.queue
            .join([Call { statement, parameters: Parameters::Several(parameters), forms: forms.into(), reply }], false);
    }

    /// Deletes the sessions that expired before `time`, and gives their number.
    pub fn delete_expired(&self, time: String, settle: impl Settle) {
        let Some(table) = self.table(Table::Session) else {
            return settle(Err(Rejection::Database(no_such_table())), Journey::default());
        };
        let statement = self.queue.statement(Statement::write(statement::delete_expired(table), None, None, &[]));
        self.queue.join(
            [Call { statement, parameters: Parameters::One(Some(time)), forms: one_form(0), reply: reply(settle) }],
            false,
        );
    }

    pub fn load(&self) -> Load {
        self.queue.load()
    }

    fn table(&self, table: Table) -> Option<&Name> {
        table_of(&self.tables, table)
    }

    /// Lucia's error for a violation that Lucia knows; every other error is the database's own.
    fn translate(&self, method: Method, with_key: bool, error: Error, reject: Reject) {
        let (statement, table, lucia) = match (method, error.code()) {
            (Method::SetKey, sqlstate::UNIQUE_VIOLATION) => (&self.unique_id, Table::Key, "AUTH_DUPLICATE_KEY_ID"),
            (Method::SetUser, sqlstate::UNIQUE_VIOLATION) if with_key => {
                (&self.unique_id, Table::Key, "AUTH_DUPLICATE_KEY_ID")
            }
            (Method::SetKey, sqlstate::FOREIGN_KEY_VIOLATION) => {
                (&self.foreign_user_id, Table::Key, "AUTH_INVALID_USER_ID")
            }
            (Method::SetSession, sqlstate::FOREIGN_KEY_VIOLATION) => {
                (&self.foreign_user_id, Table::Session, "AUTH_INVALID_USER_ID")
            }
            _ => return reject(Rejection::Database(error)),
        };
        let (Some(table), Some([schema, relation, constraint])) = (self.table(table), error.constraint()) else {
            return reject(Rejection::Database(error));
        };
        let parameters = [schema, relation, constraint, &table.to_string()].map(|text| Some(text.to_owned()));
        let parameters = Parameters::Several(parameters.into());
        let reply = {
            let error = error.clone();
            Reply::with(move |result, _| {
                let is_known = matches!(result, Ok(Answer::Rows(rows)) if !rows.is_empty());
                reject(if is_known { Rejection::Lucia(lucia) } else { Rejection::Database(error) });
            })
        };
        self.queue.join([Call { statement: statement.clone(), parameters, forms: vec![0; 4].into(), reply }], true);
    }
}

/// As a rule the value's own text.
fn one_form(form: Form) -> Cow<'static, [Form]> {
    if form == 0 { Cow::Borrowed(&[0]) } else { Cow::Owned(vec![form]) }
}

fn table_of(tables: &Tables, table: Table) -> Option<&Name> {
    match table {
        Table::User => Some(&tables.user),
        Table::Key => Some(&tables.key),
        Table::Session => tables.session.as_ref(),
    }
}

fn by_id(entry: &MethodEntry, tables: &Tables) -> Option<Statement> {
    if entry.takes != Takes::Id {
        return None;
    }
    let table = table_of(tables, entry.table)?;
    let (one, many) = match entry.gives {
        Gives::Nothing => {
            let Change { plain, with_guard, batch } = statement::delete(table, entry.column);
            return Some(Statement::write(plain, Some(with_guard), batch, &[]));
        }
        Gives::Pair => statement::session_and_user(table, &tables.user),
        Gives::Row | Gives::Rows => statement::lookup(table, entry.column),
    };
    let numbers = if entry.table == Table::Session { EXPIRIES } else { &[] };
    Some(Statement::read(one, Some(many), numbers))
}

#[cfg(test)]
mod tests {
    use super::METHODS;

    #[test]
    fn the_table_of_methods_is_in_the_order_of_their_declaration() {
        for (index, entry) in METHODS.iter().enumerate() {
            assert_eq!(entry.method as usize, index, "{}", entry.name);
        }
    }
}
