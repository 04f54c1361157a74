//! The statement that each method is, sent and answered.

use std::{borrow::Cow, sync::Arc};

use super::{
    method::{Gives, ID, METHODS, Method, MethodEntry, Table, Takes, USER_ID},
    name::Name,
    statement::{self, Change},
    version::Version,
    violation::{self, Constraint, Expected, Finding, Id, Ids, Meaning},
};
use crate::pg::{Answer, Call, Caller, Error, Form, Load, Parameters, Queue, Reply, Statement, Trace, code};

/// The tables' names.
#[derive(Clone, Debug)]
pub struct Tables {
    pub user: Name,
    /// `None` in Lucia 3, which has no keys.
    pub key: Option<Name>,
    /// `None` beside another adapter for sessions.
    pub session: Option<Name>,
}

/// The columns of a row that is written, and the types that their values are declared with.
pub struct Row {
    pub columns: Vec<Name>,
    pub declared: Vec<u32>,
}

/// What a method that writes is with certain columns: made once, sent with the values of each call.
pub struct Write {
    method: Method,
    statement: Arc<Statement>,
    /// Of an insertion that may be refused with an error of Lucia's.
    ids: Option<Places>,
}

/// Where among the values the ids stand.
struct Places {
    key: Option<usize>,
    user: Option<usize>,
}

pub struct Store {
    version: Version,
    tables: Tables,
    queue: Arc<Queue>,
    /// Whose calls these are.
    caller: Arc<dyn Caller>,
    /// The statement of each method that takes an id, by `Method`.
    by_id: Vec<Option<Arc<Statement>>>,
    unique_id: Arc<Statement>,
    foreign_user_id: Arc<Statement>,
}

/// Receives, once, what became of a call and how it was sent. An error that is Lucia's is told as the message of its
/// `LuciaError` ([`Error::told`]).
pub trait Settle: FnOnce(Result<Answer, Error>, Trace) + Send + Sync + 'static {}

impl<F: FnOnce(Result<Answer, Error>, Trace) + Send + Sync + 'static> Settle for F {}

type Reject = Box<dyn FnOnce(Error) + Send + Sync>;

fn no_such_table() -> Error {
    Error::failure(code::INVALID_OPTIONS, "the table is not defined")
}

impl Store {
    /// A store of these tables, whose statements go to `queue` on behalf of `caller`; sends nothing.
    pub fn new(version: Version, tables: Tables, queue: Arc<Queue>, caller: Arc<dyn Caller>) -> Self {
        let by_id: Vec<_> =
            METHODS.iter().map(|entry| Some(queue.statement(by_id(entry, version, &tables)?))).collect();
        if let (Some(Some(pair)), Some(session)) = (by_id.get(Method::GetSessionAndUser as usize), &tables.session) {
            pair.or_apart(|| {
                let [session, user] = statement::session_then_user(session, &tables.user, version.join());
                [Statement::read(session, version.numbers()), Statement::read(user, &[])]
            });
        }
        let question = |constraint| queue.statement(Statement::read(violation::question(constraint), &[]));
        let (unique_id, foreign_user_id) = (question(Constraint::Id), question(Constraint::UserId));
        Self { version, tables, queue, caller, by_id, unique_id, foreign_user_id }
    }

    /// Sends all calls that were made in this turn of the event loop.
    pub fn start(&self) {
        self.queue.flush();
    }

    /// Makes calls of a method that takes an id, each with the text of an id in the form `form`, and settles each reply
    /// once. `are_last` says that no more calls of this turn of the event loop follow. A method whose table is `None`
    /// rejects with `INVALID_OPTIONS`.
    pub fn by_id(&self, method: Method, form: Form, calls: impl IntoIterator<Item = (String, Reply)>, are_last: bool) {
        let statement = self.by_id.get(method as usize).and_then(Option::as_ref);
        let Some(statement) = statement else {
            for (_, reply) in calls {
                reply.settle(Err(no_such_table()));
            }
            if are_last {
                self.queue.flush();
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

    /// A method that takes a row, or an id and the columns to change; `key` is the key's row of `setUser`. `INVALID_OPTIONS`
    /// where the method's table is `None`.
    pub fn write(&self, method: Method, row: &Row, key: Option<&Row>) -> Result<Write, Error> {
        let entry = method.entry();
        let table = |table| self.table(table).ok_or_else(no_such_table);
        let own = table(entry.table)?;
        let key = key.map(|key| table(Table::Key).map(|keys| (key, keys))).transpose()?;
        let one = |change: Change, declared: &[u32]| {
            Statement::write(change.plain, Some(change.with_probe), change.batch, declared)
        };
        let change = match (entry.takes, key) {
            (Takes::Change, _) => statement::update(own, &row.columns),
            (_, Some((key, keys))) => statement::insert_user_and_key(own, &row.columns, keys, &key.columns),
            _ => statement::insert(own, &row.columns),
        };
        let declared = [&row.declared[..], key.map_or(&[], |(key, _)| &key.declared)].concat();
        let statement = self.queue.statement(one(change, &declared));
        if let Some((key, keys)) = key {
            statement.or_apart(|| {
                [
                    one(statement::insert(own, &row.columns), &row.declared),
                    one(statement::insert(keys, &key.columns), &key.declared),
                ]
            });
        }
        let id = |columns: &[Name], column: &str| columns.iter().position(|name| name.is(column));
        let ids = match (method, key) {
            (Method::SetUser, Some((key, _))) => {
                let of_key = id(&key.columns, ID).map(|at| row.columns.len() + at);
                Some(Places { key: of_key, user: id(&row.columns, ID) })
            }
            (Method::SetKey, _) => Some(Places { key: id(&row.columns, ID), user: id(&row.columns, USER_ID) }),
            (Method::SetSession, _) => Some(Places { key: None, user: id(&row.columns, USER_ID) }),
            _ => None,
        };
        Ok(Write { method, statement, ids })
    }

    /// Makes one call. `parameters` are the values of the row, then of the key's, then the id, in `forms`. Settles once,
    /// with `Answer::Done`, with `Answer::Forms` where the server wants other forms, or with an error, which is Lucia's
    /// where the violation is.
    pub fn send(
        self: &Arc<Self>,
        write: &Write,
        parameters: Vec<Option<String>>,
        forms: Vec<Form>,
        settle: impl Settle,
    ) {
        let id = |at: Option<usize>| {
            let at = at?;
            Some(Id { text: parameters.get(at)?.clone()?, form: *forms.get(at)? })
        };
        let (store, method) = (self.clone(), write.method);
        let ids = write.ids.as_ref().map(|places| Ids { key: id(places.key), user: id(places.user) });
        let reply = Reply::with(self.caller.clone(), move |result, trace| match result {
            Ok(answer) => settle(Ok(answer), trace),
            // The trace is that of the insertion, not of the questions that may follow it.
            Err(error) => {
                store.translate(method, ids, error, Box::new(move |error| settle(Err(error), trace)));
            }
        });
        let statement = write.statement.clone();
        self.queue
            .join([Call { statement, parameters: Parameters::Several(parameters), forms: forms.into(), reply }], false);
    }

    /// Deletes the sessions that are dead at `time`, which is written as the version writes times, and settles with
    /// their number.
    pub fn delete_expired(&self, time: String, settle: impl Settle) {
        let Some(table) = self.table(Table::Session) else {
            return settle(Err(no_such_table()), Trace::default());
        };
        let statement = self.queue.statement(Statement::write(
            statement::delete_expired(table, self.version.is_dead()),
            None,
            None,
            &[],
        ));
        self.queue.join(
            [Call {
                statement,
                parameters: Parameters::One(Some(time)),
                forms: one_form(0),
                reply: Reply::with(self.caller.clone(), settle),
            }],
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
    fn translate(self: &Arc<Self>, method: Method, ids: Option<Ids>, error: Error, reject: Reject) {
        let state = error.sqlstate().filter(|_| self.version.has_errors());
        let meaning = state.and_then(|state| violation::meaning(method, state));
        let (Some(Meaning { constraint, table, lucia, rows }), Some(ids)) = (meaning, ids) else {
            return reject(error);
        };
        let (Some(table), Some([schema, relation, name])) = (self.table(table), error.constraint()) else {
            return reject(error);
        };
        let statement = match constraint {
            Constraint::Id => &self.unique_id,
            Constraint::UserId => &self.foreign_user_id,
        };
        let (table, users) = (table.to_string(), self.tables.user.to_string());
        let parameters = [schema, relation, name, &table, &users].map(|text| Some(text.to_owned()));
        let forms = Cow::Borrowed(&[0; 5][..]);
        let store = self.clone();
        let reply = Reply::with(self.caller.clone(), move |result, _| {
            let reject = move |is_known| {
                reject(if is_known { error.told_as(lucia) } else { error });
            };
            match result.as_ref().map_or(Finding::No, Finding::read) {
                Finding::Certain => reject(true),
                Finding::Possible => store.compare(rows, ids, Box::new(reject)),
                Finding::No => reject(false),
            }
        });
        let parameters = Parameters::Several(parameters.into());
        self.queue.join([Call { statement: statement.clone(), parameters, forms, reply }], true);
    }

    /// Looks the expected rows up, one after the other, and tells whether all are as expected.
    fn compare(self: &Arc<Self>, rows: &'static [Expected], ids: Ids, tell: Box<dyn FnOnce(bool) + Send + Sync>) {
        let Some((&expected, rest)) = rows.split_first() else { return tell(true) };
        let Some(Id { text, form }) = ids.of(expected) else { return tell(false) };
        let store = self.clone();
        let reply = Reply::with(self.caller.clone(), move |result, _| match result {
            Ok(answer) if expected.is_met(&answer) => store.compare(rest, ids, tell),
            _ => tell(false),
        });
        self.by_id(expected.lookup(), form, [(text, reply)], true);
    }
}

/// The form of the only parameter; 0, the value's own text, is not allocated for.
fn one_form(form: Form) -> Cow<'static, [Form]> {
    if form == 0 { Cow::Borrowed(&[0]) } else { Cow::Owned(vec![form]) }
}

fn table_of(tables: &Tables, table: Table) -> Option<&Name> {
    match table {
        Table::User => Some(&tables.user),
        Table::Key => tables.key.as_ref(),
        Table::Session => tables.session.as_ref(),
    }
}

fn by_id(entry: &MethodEntry, version: Version, tables: &Tables) -> Option<Statement> {
    if entry.takes != Takes::Id {
        return None;
    }
    let table = table_of(tables, entry.table)?;
    let (one, many) = match entry.gives {
        Gives::Nothing => {
            let Change { plain, with_probe, batch } = statement::delete(table, entry.column);
            return Some(Statement::write(plain, Some(with_probe), batch, &[]));
        }
        Gives::Pair => statement::session_and_user(table, &tables.user, version.join()),
        Gives::Row | Gives::Rows => statement::lookup(table, entry.column),
    };
    let numbers = if entry.table == Table::Session { version.numbers() } else { &[] };
    Some(Statement::lookup(one, many, numbers, entry.column))
}
