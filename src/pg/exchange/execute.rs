//! One exchange with the server on a leased connection: prepare what is not prepared yet, send, read the answer. When
//! the tables have changed under a prepared statement it is prepared again and sent once more.

use std::{iter::repeat, mem, pin::pin, sync::Arc};

use deadpool::managed::Manager;
use futures_util::TryStreamExt;
use tokio_postgres::{
    RowStream,
    types::{ToSql, Type},
};

use crate::pg::{
    connection::{Connection, Opener, Peer},
    error::{Error, code, sqlstate},
    statement::{Count, Ready, Sending, Statement, describe},
    value::{Decoding, Form, Rows, Text, UNKNOWN, array_literal, row_call},
};

#[derive(Debug)]
pub enum Answer {
    /// A change was made, to so many rows.
    Done(u64),
    Rows(Rows),
    Text(String),
    /// The parameters' texts were made for other types than the server's, which are these. Nothing was sent.
    Forms(Vec<Form>),
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    /// The server may have carried the statement out all the same.
    pub(super) may_be_done: bool,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, may_be_done: false }
    }
}

/// Answers, unless the statement was made for tables that have changed since.
enum Attempt {
    Answers(Vec<Answer>),
    Stale,
}

/// What a statement is sent for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    One {
        parameters: &'a [Option<String>],
        forms: &'a [Form],
    },
    /// Many calls in one statement, each with as many parameters.
    Many {
        calls: &'a [&'a [Option<String>]],
        forms: &'a [Form],
    },
}

/// How often a statement is made ready again when the tables change.
const ATTEMPTS: usize = 5;

/// Sends `statement`, and returns the answer to each call of the request in their order.
pub(super) async fn execute(
    connection: &Connection,
    opener: &Opener,
    statement: &Statement,
    request: Request<'_>,
) -> Result<Vec<Answer>, Fault> {
    let mut refused: Option<(Fault, Arc<Ready>)> = None;
    for _ in 0..ATTEMPTS {
        if request.forms().contains(&UNKNOWN) {
            // What is ready may be so for types that have changed.
            connection.statements.forget(statement);
            statement.doubt_shape();
        }
        let was_ready = connection.statements.is_ready(statement);
        let is_guarded = statement.is_guarded();
        let is_old = was_ready || statement.known_shape().is_some();
        let attempt = match ready(connection, opener, statement, request.count()).await {
            Ok(None) => Ok(Attempt::Stale),
            Ok(Some(ready)) => {
                if let Some((fault, before)) = refused.take() {
                    // The server's idea of the parameters has not changed: it is the value that it refuses.
                    let is_value = is_about_value(&fault.error) && ready.takes_the_same(&before);
                    // Nor has its idea of the columns: it is the value that cannot be read.
                    let is_answer = is_misread(statement, &fault.error) && Arc::ptr_eq(&ready.shape, &before.shape);
                    if is_value || is_answer {
                        return Err(fault);
                    }
                }
                send(connection, statement, &ready, request).await.map_err(|fault| (fault, Some(ready)))
            }
            Err(error) => Err((Fault::from(error), None)),
        };
        match attempt {
            Ok(Attempt::Answers(answers)) => return Ok(answers),
            Ok(Attempt::Stale) => {}
            Err((fault, _)) if fault.may_be_done && !is_misread(statement, &fault.error) => return Err(fault),
            Err((fault, ready)) => {
                let is_guard = !was_ready && is_guarded && may_be_guard(&fault.error);
                if is_guard {
                    statement.give_up_guard();
                }
                let is_worth_another = is_guard
                    || is_stale(&fault.error)
                    || is_misread(statement, &fault.error)
                    || (is_old && may_be_stale(&fault.error));
                if !is_worth_another {
                    return Err(fault);
                }
                refused = ready.map(|ready| (fault, ready));
            }
        }
        connection.statements.forget(statement);
        statement.doubt_shape();
    }
    let too_fast = || Error::failure(code::INVALID_ANSWER, "the tables change faster than they are read").into();
    Err(refused.map_or_else(too_fast, |(fault, _)| fault))
}

async fn ready(
    connection: &Connection,
    opener: &Opener,
    statement: &Statement,
    count: Count,
) -> Result<Option<Arc<Ready>>, Error> {
    let Connection { client, statements, .. } = connection;
    if let Some(ready) = statements.get(statement, count) {
        return Ok(Some(ready));
    }
    if statements.needs_description(statement) {
        Box::pin(describe_apart(opener, statement)).await?;
    }
    Box::pin(statements.prepare(client, statement, count)).await
}

/// On a connection of its own, which then closes.
async fn describe_apart(opener: &Opener, statement: &Statement) -> Result<(), Error> {
    describe(&opener.create().await?.client, statement).await
}

async fn send(
    connection: &Connection,
    statement: &Statement,
    ready: &Ready,
    request: Request<'_>,
) -> Result<Attempt, Fault> {
    if ready.forms != request.forms() {
        let answer = |_| Answer::Forms(ready.forms.clone());
        return Ok(Attempt::Answers((0..request.calls()).map(answer).collect()));
    }
    let literals: Vec<String>;
    let texts: Vec<Text<'_>> = match request {
        Request::One { parameters, .. } => parameters.iter().map(|text| Text(text.as_deref())).collect(),
        Request::Many { calls, forms } => {
            let literal = |at: usize| array_literal(calls.iter().map(|parameters| parameters[at].as_deref()));
            literals = (0..forms.len()).map(literal).collect();
            literals.iter().map(|literal| Text(Some(literal))).collect()
        }
    };
    if statement.access.is_write() {
        let changed = write(connection, ready, &texts, request.calls()).await?;
        return Ok(Attempt::Answers(changed.into_iter().map(Answer::Done).collect()));
    }
    let rows = read(connection, statement, ready, &texts, request.calls()).await?;
    Ok(rows.map_or(Attempt::Stale, |rows| Attempt::Answers(rows.into_iter().map(Answer::Rows).collect())))
}

/// The errors of a statement that was prepared for other tables, or on another server behind a pooler; the last is that
/// of a list of columns which is longer than the table is by now.
fn is_stale(error: &Error) -> bool {
    const CODES: [&str; 3] =
        [sqlstate::FEATURE_NOT_SUPPORTED, sqlstate::INVALID_STATEMENT_NAME, sqlstate::INVALID_COLUMN_REFERENCE];
    error.is_database() && CODES.contains(&error.code())
}

/// The rows do not fit the columns: a pooler has prepared the statement on another server since the table changed.
fn is_misread(statement: &Statement, error: &Error) -> bool {
    !statement.access.is_write() && error.code() == code::INVALID_ANSWER
}

/// What such a statement can run into as well.
fn may_be_stale(error: &Error) -> bool {
    let code = error.code();
    error.is_database()
        && (code.starts_with(sqlstate::SYNTAX_OR_ACCESS_CLASS) || code.starts_with(sqlstate::DATA_EXCEPTION_CLASS))
}

/// The relation returns nothing, the role may not read it, or a type has no binary form.
fn may_be_guard(error: &Error) -> bool {
    [sqlstate::FEATURE_NOT_SUPPORTED, sqlstate::INSUFFICIENT_PRIVILEGE, sqlstate::UNDEFINED_FUNCTION]
        .contains(&error.code())
}

fn is_about_value(error: &Error) -> bool {
    error.code().starts_with(sqlstate::DATA_EXCEPTION_CLASS)
}

async fn start(connection: &Connection, ready: &Ready, parameters: &[Text<'_>]) -> Result<RowStream, Fault> {
    let client = &connection.client;
    if client.is_closed() {
        return Err(Error::failure(code::CONNECTION_CLOSED, "the connection was lost").into());
    }
    let texts = parameters.iter().map(|text| text as &(dyn ToSql + Sync));
    let stream = match &ready.sending {
        Sending::Prepared(statement) => client.query_raw(statement, texts).await,
        Sending::Unnamed { sql, declared } => {
            let declared = declared.iter().cloned().chain(repeat(Type::UNKNOWN));
            client.query_typed_raw(sql, texts.zip(declared)).await
        }
    };
    stream.map_err(|error| fault(connection, error, false))
}

/// The rows for each of so many calls; `None` when they are of other tables than those that the statement was made for.
async fn read(
    connection: &Connection,
    statement: &Statement,
    ready: &Ready,
    parameters: &[Text<'_>],
    calls: usize,
) -> Result<Option<Vec<Rows>>, Fault> {
    let mut stream = pin!(start(connection, ready, parameters).await?);
    let mut rows = Decoding::new(ready.shape.columns.clone(), calls);
    let mut is_first = true;
    while let Some(row) = stream.try_next().await.map_err(|error| fault(connection, error, false))? {
        if mem::take(&mut is_first) && ready.is_stale(statement, &row) {
            return Ok(None);
        }
        rows.add(&row)?;
    }
    Ok(Some(rows.finish()))
}

/// How many rows each of so many calls has changed: of many insertions, one.
async fn write(
    connection: &Connection,
    ready: &Ready,
    parameters: &[Text<'_>],
    calls: usize,
) -> Result<Vec<u64>, Fault> {
    let position = if calls > 1 { ready.position() } else { None };
    let mut changed = vec![u64::from(position.is_none()); calls];
    let mut stream = pin!(start(connection, ready, parameters).await?);
    loop {
        match stream.try_next().await {
            Ok(Some(row)) => {
                let call = position.and_then(|column| changed.get_mut(row_call(&row, column)?));
                if let Some(count) = call {
                    *count += 1;
                }
            }
            Ok(None) => break,
            Err(error) => return Err(fault(connection, error, stream.rows_affected().is_some())),
        }
    }
    if let [only] = &mut changed[..] {
        *only = stream.rows_affected().unwrap_or_default();
    }
    Ok(changed)
}

/// A statement whose connection is lost may have been committed, unless PostgreSQL itself ended the connection before it
/// said that the command is complete: that has rolled the statement back. So has any other refusal, also one that comes
/// after the command, as that of a deferred constraint does.
fn fault(connection: &Connection, error: tokio_postgres::Error, is_complete: bool) -> Fault {
    let error = Error::from(error);
    let is_rolled_back = if error.is_database() && !error.is_loss() {
        true
    } else {
        connection.peer == Peer::Postgres && error.is_fatal_with_source() && !is_complete
    };
    Fault { error, may_be_done: !is_rolled_back }
}

impl Request<'_> {
    fn count(&self) -> Count {
        match self {
            Self::One { .. } => Count::One,
            Self::Many { .. } => Count::Many,
        }
    }

    /// What the parameters' texts were made for.
    fn forms(&self) -> &[Form] {
        match self {
            Self::One { forms, .. } | Self::Many { forms, .. } => forms,
        }
    }

    fn calls(&self) -> usize {
        match self {
            Self::One { .. } => 1,
            Self::Many { calls, .. } => calls.len(),
        }
    }
}
