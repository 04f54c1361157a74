//! One exchange with the server on a leased connection: prepare what is not prepared yet, send, read the answer. When
//! the tables have changed under a prepared statement it is prepared again and sent once more.

use std::{iter::repeat, pin::pin, sync::Arc};

use deadpool::managed::Manager;
use futures_util::TryStreamExt;
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};

use super::{
    error::{Error, code, sqlstate},
    param::{Form, Text, UNKNOWN, array_literal},
    pool::{Connection, Opener},
    prepare::{Count, Ready, Sending, describe},
    row,
    statement::{Columns, Statement},
};

/// The rows that answer one call.
#[derive(Debug)]
pub struct Rows {
    pub columns: Arc<Columns>,
    pub rows: Vec<Row>,
}

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
pub struct Fault {
    pub error: Error,
    /// The server may have carried the statement out all the same.
    pub may_be_done: bool,
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
pub enum Request<'a> {
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
pub async fn execute(
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
                if let Some((fault, before)) = refused.take()
                    && is_about_value(&fault.error)
                    && ready.takes_the_same(&before)
                {
                    // The server's idea of the parameters has not changed: it is the value that it refuses.
                    return Err(fault);
                }
                send(&connection.client, statement, &ready, request).await.map_err(|fault| (fault, Some(ready)))
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

async fn send(client: &Client, statement: &Statement, ready: &Ready, request: Request<'_>) -> Result<Attempt, Fault> {
    let columns = &ready.shape.columns;
    if ready.forms != request.forms() {
        let answer = |_| Answer::Forms(ready.forms.clone());
        return Ok(Attempt::Answers((0..request.calls()).map(answer).collect()));
    }
    match request {
        Request::One { parameters, .. } => {
            let texts: Vec<Text<'_>> = parameters.iter().map(|text| Text(text.as_deref())).collect();
            let (rows, changed) = query(client, ready, &texts).await?;
            if statement.access.is_write() {
                return Ok(Attempt::Answers(vec![Answer::Done(changed)]));
            }
            if ready.is_stale(statement, &rows) {
                return Ok(Attempt::Stale);
            }
            Ok(Attempt::Answers(vec![Answer::Rows(Rows { columns: columns.clone(), rows })]))
        }
        Request::Many { calls, forms } => {
            let literal = |at: usize| array_literal(calls.iter().map(|parameters| parameters[at].as_deref()));
            let literals: Vec<String> = (0..forms.len()).map(literal).collect();
            let texts: Vec<Text<'_>> = literals.iter().map(|literal| Text(Some(literal))).collect();
            let (rows, _) = query(client, ready, &texts).await?;
            if statement.access.is_write() {
                return Ok(Attempt::Answers(calls.iter().map(|_| Answer::Done(1)).collect()));
            }
            if ready.is_stale(statement, &rows) {
                return Ok(Attempt::Stale);
            }
            let mut answers: Vec<Vec<Row>> = calls.iter().map(|_| Vec::new()).collect();
            for row in rows {
                let position = columns.position.and_then(|column| position(&row, column)?.checked_sub(1));
                let Some(answer) = position.and_then(|position| answers.get_mut(position)) else {
                    return Err(Error::failure(code::INVALID_ANSWER, "a row answers no call").into());
                };
                answer.push(row);
            }
            let answer = |rows| Answer::Rows(Rows { columns: columns.clone(), rows });
            Ok(Attempt::Answers(answers.into_iter().map(answer).collect()))
        }
    }
}

/// `WITH ORDINALITY` counts from 1.
fn position(row: &Row, column: usize) -> Option<usize> {
    let bytes = row::bytes(row, column)?.try_into().ok()?;
    usize::try_from(i64::from_be_bytes(bytes)).ok()
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

/// The rows, and how many were read or changed.
async fn query(client: &Client, ready: &Ready, parameters: &[Text<'_>]) -> Result<(Vec<Row>, u64), Fault> {
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
    let mut stream = pin!(stream.map_err(|error| fault(error, false))?);
    let mut rows = Vec::new();
    loop {
        match stream.try_next().await {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => return Ok((rows, stream.rows_affected().unwrap_or_default())),
            Err(error) => return Err(fault(error, stream.rows_affected().is_some())),
        }
    }
}

/// A statement that the server refuses before it says that the command is complete has been rolled back. One whose
/// connection is lost, or that is refused after that, may have been committed.
fn fault(error: tokio_postgres::Error, is_complete: bool) -> Fault {
    let error = Error::from(error);
    // A deferred constraint is checked, and refuses, after the command: that is a refusal all the same.
    let may_be_done = if error.is_database() { is_complete && error.is_loss() } else { true };
    Fault { error, may_be_done }
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
