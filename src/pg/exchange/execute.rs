//! One exchange with the server on a leased connection: prepare what is not prepared yet, send, read the answer. When
//! the tables have changed under a prepared statement it is prepared again and sent once more.

use std::{iter::repeat, mem, pin::pin, sync::Arc};

use futures_util::TryStreamExt;
use tokio_postgres::{
    RowStream,
    types::{ToSql, Type},
};

use super::{
    ending::{Fault, Stage},
    limits::{Limits, Spares},
    verdict::Answer,
};
use crate::pg::{
    connection::Connection,
    error::{Error, code, sqlstate},
    statement::{Count, Ready, Sending, Statement},
    value::{Decoding, Form, Rows, Text, UNKNOWN, array_literal, row_call},
};

/// Answers, unless the statement was made for tables that have changed since.
enum Attempt {
    Answers(Vec<Answer>),
    Stale,
}

/// What a statement is sent for: one call, or many, each with as many parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) calls: &'a [&'a [Option<String>]],
    /// What the parameters' texts were made for.
    pub(super) forms: &'a [Form],
}

impl Request<'_> {
    fn count(&self) -> Count {
        if self.calls.len() > 1 { Count::Many } else { Count::One }
    }
}

/// How often a statement is made ready again when the tables change.
const ATTEMPTS: usize = 5;

/// Sends `statement`, and returns the answer to each call of the request in their order.
pub(super) async fn execute(
    connection: &Connection,
    statement: &Statement,
    request: Request<'_>,
    limits: &mut Limits<'_, impl Spares>,
) -> Result<Vec<Answer>, Fault> {
    let mut refused: Option<(Error, Stage, Arc<Ready>)> = None;
    let mut was_misread = false;
    for _ in 0..ATTEMPTS {
        if request.forms.contains(&UNKNOWN) {
            // What is ready may be so for types that have changed.
            connection.statements.forget(statement);
            statement.doubt_shape();
        }
        let was_ready = connection.statements.is_ready(statement);
        let is_guarded = statement.is_guarded();
        let is_old = was_ready || statement.known_shape().is_some();
        let (result, ready) = match limits.preparing(ready(connection, statement, request.count())).await {
            Ok(None) => (Ok(Attempt::Stale), None),
            Ok(Some(ready)) => {
                if let Some((error, stage, before)) = refused.take() {
                    // The server's idea of the parameters has not changed: it is the value that it refuses.
                    let is_value = is_about_value(&error) && ready.takes_the_same(&before);
                    // Nor has its idea of the columns: it is the value that cannot be read.
                    let is_answer = is_misread(statement, &error) && Arc::ptr_eq(&ready.shape, &before.shape);
                    if is_value || is_answer {
                        return Err(Fault::Ended { error, stage });
                    }
                }
                (limits.answering(send(connection, statement, &ready, request)).await, Some(ready))
            }
            Err(fault) => (Err(fault), None),
        };
        match result {
            Ok(Attempt::Answers(answers)) => return Ok(answers),
            Ok(Attempt::Stale) => {}
            Err(Fault::Ended { error, stage }) if !error.is_loss() => {
                let is_guard = !was_ready && is_guarded && may_be_guard(&error);
                if is_guard {
                    statement.give_up_guard();
                }
                let is_misread = is_misread(statement, &error) && !mem::replace(&mut was_misread, true);
                let is_worth_another = is_guard || is_stale(&error) || is_misread || (is_old && may_be_stale(&error));
                if !is_worth_another {
                    return Err(Fault::Ended { error, stage });
                }
                refused = ready.map(|ready| (error, stage, ready));
            }
            Err(fault) => return Err(fault),
        }
        connection.statements.forget(statement);
        statement.doubt_shape();
    }
    let (error, stage) = refused.map_or_else(
        || (Error::failure(code::INVALID_ANSWER, "the tables change faster than they are read"), Stage::Unsent),
        |(error, stage, _)| (error, stage),
    );
    Err(Fault::Ended { error, stage })
}

async fn ready(connection: &Connection, statement: &Statement, count: Count) -> Result<Option<Arc<Ready>>, Error> {
    match connection.statements.get(statement, count) {
        Some(ready) => Ok(Some(ready)),
        None => Box::pin(connection.statements.prepare(&connection.client, statement, count)).await,
    }
}

async fn send(
    connection: &Connection,
    statement: &Statement,
    ready: &Ready,
    request: Request<'_>,
) -> Result<Attempt, Fault> {
    if ready.forms != request.forms {
        let answer = |_: &_| Answer::Forms(ready.forms.clone());
        return Ok(Attempt::Answers(request.calls.iter().map(answer).collect()));
    }
    let literals: Vec<String>;
    let texts: Vec<Text<'_>> = if let [only] = request.calls {
        only.iter().map(|text| Text(text.as_deref())).collect()
    } else {
        let literal = |at: usize| array_literal(request.calls.iter().map(|parameters| parameters[at].as_deref()));
        literals = (0..request.forms.len()).map(literal).collect();
        literals.iter().map(|literal| Text(Some(literal))).collect()
    };
    let calls = request.calls.len();
    let _beside_others = connection.statements.beside_others().await;
    if statement.access.is_write() {
        let changed = write(connection, ready, &texts, calls).await?;
        return Ok(Attempt::Answers(changed.into_iter().map(Answer::Done).collect()));
    }
    let rows = read(connection, statement, ready, &texts, calls).await?;
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

fn sent(error: Error) -> Fault {
    Fault::Ended { error, stage: Stage::Sent }
}

/// The answer has come to its end without `CommandComplete`: with `PortalSuspended` or `EmptyQueryResponse` in its place.
fn incomplete() -> Fault {
    sent(Error::failure(code::INVALID_ANSWER, "the server does not say that the command is complete"))
}

async fn start(connection: &Connection, ready: &Ready, parameters: &[Text<'_>]) -> Result<RowStream, Fault> {
    let client = &connection.client;
    if client.is_closed() {
        let error = Error::failure(code::CONNECTION_CLOSED, "the connection was lost");
        return Err(Fault::Ended { error, stage: Stage::Unsent });
    }
    let texts = parameters.iter().map(|text| text as &(dyn ToSql + Sync));
    let stream = match &ready.sending {
        Sending::Prepared(statement) => client.query_raw(statement, texts).await,
        Sending::Unnamed { sql, declared } => {
            let declared = declared.iter().cloned().chain(repeat(Type::UNKNOWN));
            client.query_typed_raw(sql, texts.zip(declared)).await
        }
    };
    stream.map_err(|error| sent(error.into()))
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
    while let Some(row) = stream.try_next().await.map_err(|error| sent(error.into()))? {
        if mem::take(&mut is_first) && ready.is_stale(statement, &row) {
            return Ok(None);
        }
        rows.add(&row).map_err(sent)?;
    }
    stream.rows_affected().ok_or_else(incomplete)?;
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
            Err(error) => {
                let is_complete = stream.rows_affected().is_some();
                let stage = if is_complete { Stage::Complete } else { Stage::Sent };
                return Err(Fault::Ended { error: error.into(), stage });
            }
        }
    }
    let affected = stream.rows_affected().ok_or_else(incomplete)?;
    if let [only] = &mut changed[..] {
        *only = affected;
    }
    Ok(changed)
}
