//! Prepares statements. Every connection prepares for itself and keeps a bounded number.
//!
//! Behind a pooler nothing is prepared under a name: the next transaction may run on another server process. There a
//! statement is sent with its text each time, and the server describes it once, in a transaction.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::try_join;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_postgres::{Client, Row, SimpleQueryStream, Statement as ServerStatement, error::SqlState, types::Type};

use super::{
    definition::{Statement, unique_comment},
    describe::describe_once,
    discover::{discover, fields, is_built_in},
    relation,
    shape::Shape,
};
use crate::pg::{
    chance::Chance,
    error::{Error, code},
    value::{Columns, Form, form},
};

/// How many statements a connection keeps prepared. Lookups and deletions take twice eleven at most; other writes vary with
/// their attributes.
const KEPT_PER_CONNECTION: usize = 100;
/// How often another name is tried where a pooler's server already has a statement of this name.
const NAME_ATTEMPTS: usize = 500;

/// How a statement is sent.
#[derive(Debug)]
pub(in crate::pg) enum Sending {
    Prepared(ServerStatement),
    /// With its text, and the types that its parameters are declared with.
    Unnamed {
        sql: String,
        declared: Vec<Type>,
    },
}

/// One statement, ready to be sent on one connection.
#[derive(Debug)]
pub(in crate::pg) struct Ready {
    pub(in crate::pg) sending: Sending,
    pub(in crate::pg) shape: Arc<Shape>,
    pub forms: Vec<Form>,
}

/// Either of the two things that a `Statement` can be sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Count {
    One,
    Many,
}

/// The statements that are ready on a connection, the last used first.
#[derive(Debug)]
pub(in crate::pg) struct ReadyStatements {
    may_prepare: bool,
    /// Several changes may be sent in one statement.
    pub(in crate::pg) may_batch_writes: bool,
    kept: Mutex<Vec<(u64, Count, Arc<Ready>)>>,
    transaction: RwLock<()>,
    are_lost: AtomicBool,
    chance: Arc<Chance>,
}

impl ReadyStatements {
    pub(in crate::pg) fn new(may_prepare: bool, may_batch_writes: bool, chance: Arc<Chance>) -> Self {
        Self {
            may_prepare,
            may_batch_writes,
            kept: Mutex::default(),
            transaction: RwLock::default(),
            are_lost: AtomicBool::new(false),
            chance,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(u64, Count, Arc<Ready>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is ready on this connection for the statement and the count, which becomes the last used.
    pub(in crate::pg) fn get(&self, statement: &Statement, count: Count) -> Option<Arc<Ready>> {
        let mut kept = self.kept();
        kept.retain(|(_, _, ready)| !ready.shape.columns.are_given_up());
        let at = kept.iter().position(|(number, for_count, _)| *number == statement.number && *for_count == count)?;
        kept[..=at].rotate_right(1);
        Some(kept[0].2.clone())
    }

    /// Whether the statement is ready on this connection, for whatever count.
    pub(in crate::pg) fn is_ready(&self, statement: &Statement) -> bool {
        self.kept().iter().any(|(number, ..)| *number == statement.number)
    }

    /// Dropping the ones beyond the bound closes them on the server.
    fn keep(&self, statement: &Statement, count: Count, ready: Ready) -> Arc<Ready> {
        let ready = Arc::new(ready);
        let mut kept = self.kept();
        kept.truncate(KEPT_PER_CONNECTION - 1);
        kept.insert(0, (statement.number, count, ready.clone()));
        ready
    }

    /// Forgets a statement that the server no longer has (`26000`), or has prepared for tables that have changed since
    /// (`0A000`), and has every connection describe it again.
    pub(in crate::pg) fn forget(&self, statement: &Statement) {
        self.kept().retain(|(number, ..)| *number != statement.number);
        statement.doubt_shape(&self.chance);
    }

    /// Waits until no statement is described on this connection. The lock has to be held while a statement is in flight:
    /// behind a pooler the statement must not become part of the transaction that describes another one.
    pub(in crate::pg) async fn beside_others(&self) -> Option<RwLockReadGuard<'_, ()>> {
        if self.may_prepare { None } else { Some(self.transaction.read().await) }
    }

    /// Whether the first row of an answer is of other tables than those that the statement was made ready for. Of a type that
    /// is not built in the driver has asked the server to read the row, by a statement under a name that it would use again.
    pub(in crate::pg) fn is_stale(&self, statement: &Statement, ready: &Ready, first: &Row) -> bool {
        let is_named = matches!(ready.sending, Sending::Prepared(_));
        if !is_named && first.columns().iter().any(|column| !is_built_in(column.type_())) {
            self.are_lost.store(true, Ordering::Relaxed);
        }
        ready.is_stale(statement, first)
    }

    /// Whether the driver relies on statements of its own that the server no longer has, so that the connection has to
    /// be replaced.
    pub(in crate::pg) fn are_lost(&self) -> bool {
        self.are_lost.load(Ordering::Relaxed)
    }

    /// Makes the statement ready for one call or for many. Gives what is ready, which is for one call where the
    /// statement has no text for many; `None` when the tables changed between the two, so that the caller has to try
    /// again. Rejects with the server's error, and with `CONNECTION_CLOSED` on a connection that has to be replaced.
    pub(in crate::pg) async fn prepare(
        &self,
        client: &Client,
        statement: &Statement,
        count: Count,
    ) -> Result<Option<Arc<Ready>>, Error> {
        if self.are_lost() {
            return Err(replaced());
        }
        // The relations matter for batches only; a lookup for one call need not ask.
        let asks = count == Count::Many || statement.access.is_write();
        let asked = if asks { self.ask_relations(client, statement).await? } else { None };
        // Side by side: the driver reads nothing more from the socket while nobody takes an answer.
        let read = async { Ok(if let Some(answer) = asked { Some(relation::read(answer).await?) } else { None }) };
        let (one, found) = try_join(self.one(client, statement), read).await?;
        if let Some(found) = found {
            statement.learn_relations(found.relations);
        }
        if count == Count::One {
            return Ok(Some(one));
        }
        let Some(sql) = statement.batch_text(&one.shape.parameters) else { return Ok(Some(one)) };
        let sending = self.sending(client, statement, one.shape.rewrite(sql), Vec::new()).await?;
        if statement.access.is_write() {
            // The batch casts to the types that the parameters had when `one` was prepared.
            if !column_types(&sending).starts_with(&column_types(&one.sending)) {
                return Ok(None);
            }
        } else if let (Sending::Prepared(many), None) = (&sending, &one.shape.server_text) {
            let Columns { fields: expected, position, .. } = &*one.shape.columns;
            if fields(statement, many.columns(), *position) != *expected {
                return Ok(None);
            }
        }
        let ready = Ready { sending, shape: one.shape.clone(), forms: one.forms.clone() };
        Ok(Some(self.keep(statement, Count::Many, ready)))
    }

    /// Asks what the relations are, where that is not known. The answer is read while the statement is being prepared, so that
    /// it takes no round trip of its own; behind a pooler, where a transaction describes the statement, before.
    async fn ask_relations(&self, client: &Client, statement: &Statement) -> Result<Option<SimpleQueryStream>, Error> {
        let names = statement.unknown_relations();
        if names.is_empty() {
            return Ok(None);
        }
        let beside_others = self.beside_others().await;
        let answer = relation::ask(client, names).await?;
        if beside_others.is_none() {
            return Ok(Some(answer));
        }
        statement.learn_relations(relation::read(answer).await?.relations);
        Ok(None)
    }

    async fn sending(
        &self,
        client: &Client,
        statement: &Statement,
        sql: String,
        declared: Vec<Type>,
    ) -> Result<Sending, Error> {
        Ok(if self.may_prepare {
            Sending::Prepared(client.prepare_typed(&statement.commented(sql), &declared).await?)
        } else {
            Sending::Unnamed { sql, declared }
        })
    }

    /// Learns the shape of `statement` where nothing may stay prepared: all in one transaction, which runs on one process of
    /// the server, and takes back what it has prepared.
    async fn describe(&self, client: &Client, statement: &Statement) -> Result<Arc<Shape>, Error> {
        let _alone = self.transaction.write().await;
        for _ in 0..NAME_ATTEMPTS {
            if self.are_lost() {
                break;
            }
            let found = describe_once(client, statement, &unique_comment(&self.chance), &self.are_lost).await;
            // The error leaves the connection in a transaction, which may have failed.
            let found = found.inspect_err(|_| self.are_lost.store(true, Ordering::Relaxed))?;
            match found {
                Err(error) if error.sqlstate() == Some(&SqlState::DUPLICATE_PSTATEMENT) => {}
                found => return found,
            }
        }
        if self.are_lost() {
            return Err(replaced());
        }
        Err(Error::failure(code::INVALID_ANSWER, "the pooler's servers are full of prepared statements"))
    }

    async fn one(&self, client: &Client, statement: &Statement) -> Result<Arc<Ready>, Error> {
        if let Some(ready) = self.get(statement, Count::One) {
            return Ok(ready);
        }
        let ready = self.prepare_one(client, statement).await?;
        Ok(self.keep(statement, Count::One, ready))
    }

    async fn prepare_one(&self, client: &Client, statement: &Statement) -> Result<Ready, Error> {
        // A plain statement is described by preparing it, which has to be done in any case.
        let known = statement.known_shape().filter(|shape| !self.may_prepare || shape.server_text.is_some());
        let shape = match known {
            Some(shape) => shape,
            None if !self.may_prepare => self.describe(client, statement).await?,
            None => match discover(client, statement, &statement.commented(statement.text().to_owned()), true).await? {
                (shape, Some(plain)) => {
                    let forms = shape.parameters.iter().map(form).collect();
                    return Ok(Ready { sending: Sending::Prepared(plain), shape, forms });
                }
                (shape, None) => shape,
            },
        };
        let text = if self.may_prepare { statement.text() } else { statement.unprepared_text() };
        let sql = shape.rewrite(text.to_owned());
        let sending = self.sending(client, statement, sql, statement.declared.clone()).await?;
        let forms = shape.parameters.iter().map(form).collect();
        Ok(Ready { sending, shape, forms })
    }
}

fn replaced() -> Error {
    Error::failure(code::CONNECTION_CLOSED, "the connection is replaced by another")
}

/// The types of the parameters of a statement prepared under a name; changes for many calls are always such.
fn column_types(sending: &Sending) -> Vec<u32> {
    match sending {
        Sending::Prepared(statement) => statement.columns().iter().map(|column| column.type_().oid()).collect(),
        Sending::Unnamed { .. } => Vec::new(),
    }
}

impl Ready {
    /// Whether the first row of an answer is of other tables than those that the statement was made ready for.
    fn is_stale(&self, statement: &Statement, first: &Row) -> bool {
        match (&self.shape.server_text, &self.sending) {
            (Some(server_text), _) => server_text.is_stale(first),
            (None, Sending::Prepared(_)) => false,
            (None, Sending::Unnamed { .. }) => {
                let Columns { fields: expected, position, .. } = &*self.shape.columns;
                fields(statement, first.columns(), *position) != *expected
            }
        }
    }

    /// The index of the column `position`, which says for which of many calls a row is.
    pub(in crate::pg) fn position(&self) -> Option<usize> {
        match &self.sending {
            Sending::Prepared(statement) => statement.columns().iter().position(|column| column.name() == "position"),
            Sending::Unnamed { .. } => None,
        }
    }

    pub(in crate::pg) fn takes_the_same(&self, other: &Self) -> bool {
        self.shape.parameters == other.shape.parameters
    }
}
