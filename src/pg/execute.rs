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
    param::{Form, Text, array_literal},
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
    Rows(Rows),
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
    /// Many ids in one statement.
    Many(&'a [&'a str]),
}

/// Sends `statement`, and returns the answer to each call of the request in their order.
pub async fn execute(
    connection: &mut Connection,
    opener: &Opener,
    statement: &Statement,
    request: Request<'_>,
) -> Result<Vec<Answer>, Fault> {
    let is_old = connection.statements.is_ready(statement) || statement.known_shape().is_some();
    let ready = ready(connection, opener, statement, request.count()).await;
    let (fault, before) = match ready {
        Ok(ready) => match send(&connection.client, statement, &ready, request).await {
            Ok(Attempt::Answers(answers)) => return Ok(answers),
            Ok(Attempt::Stale) => (None, Some(ready)),
            Err(fault) => (Some(fault), Some(ready)),
        },
        Err(error) => (Some(Fault::from(error)), None),
    };
    if let Some(fault) = fault.as_ref()
        && (!is_old || fault.may_be_done || !may_be_stale(&fault.error))
    {
        return Err(fault.clone());
    }
    connection.statements.forget(statement);
    statement.doubt_shape();
    let again = self::ready(connection, opener, statement, request.count()).await?;
    if let (Some(fault), Some(before)) = (fault, before)
        && is_about_value(&fault.error)
        && again.takes_the_same(&before)
    {
        // The server's idea of the parameters has not changed: it is the value that it refuses.
        return Err(fault);
    }
    match send(&connection.client, statement, &again, request).await? {
        Attempt::Answers(answers) => Ok(answers),
        Attempt::Stale => {
            Err(Error::failure(code::INVALID_ANSWER, "the tables change faster than they are read").into())
        }
    }
}

async fn ready(
    connection: &mut Connection,
    opener: &Opener,
    statement: &Statement,
    count: Count,
) -> Result<Arc<Ready>, Error> {
    let Connection { client, statements, .. } = connection;
    if let Some(ready) = statements.get(statement, count) {
        return Ok(ready);
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
    match request {
        Request::One { forms, .. } if ready.forms != forms => {
            Ok(Attempt::Answers(vec![Answer::Forms(ready.forms.clone())]))
        }
        Request::One { parameters, .. } => {
            let texts: Vec<Text<'_>> = parameters.iter().map(|text| Text(text.as_deref())).collect();
            let rows = query(client, ready, &texts).await?;
            if ready.is_stale(statement, &rows) {
                return Ok(Attempt::Stale);
            }
            Ok(Attempt::Answers(vec![Answer::Rows(Rows { columns: columns.clone(), rows })]))
        }
        Request::Many(ids) => {
            let literal = array_literal(ids.iter().copied());
            let rows = query(client, ready, &[Text(Some(&literal))]).await?;
            if ready.is_stale(statement, &rows) {
                return Ok(Attempt::Stale);
            }
            let mut answers: Vec<Vec<Row>> = ids.iter().map(|_| Vec::new()).collect();
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

/// The errors that a statement prepared for other tables, or on another server behind a pooler, can run into.
fn may_be_stale(error: &Error) -> bool {
    let code = error.code();
    error.is_database()
        && (code == sqlstate::FEATURE_NOT_SUPPORTED
            || code == sqlstate::INVALID_STATEMENT_NAME
            || code.starts_with(sqlstate::SYNTAX_OR_ACCESS_CLASS)
            || code.starts_with(sqlstate::DATA_EXCEPTION_CLASS))
}

fn is_about_value(error: &Error) -> bool {
    error.code().starts_with(sqlstate::DATA_EXCEPTION_CLASS)
}

async fn query(client: &Client, ready: &Ready, parameters: &[Text<'_>]) -> Result<Vec<Row>, Fault> {
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
            Ok(None) => return Ok(rows),
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
            Self::Many(_) => Count::Many,
        }
    }
}
