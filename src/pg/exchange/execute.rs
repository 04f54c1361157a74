//! One exchange with the server on a leased connection: prepare what is not prepared yet, send, read the answer. When
//! the tables have changed under a prepared statement it is prepared again and sent once more.

use std::{pin::pin, sync::Arc};

use tokio_postgres::error::SqlState;

use super::{
    ending::{Fault, Stage},
    limits::{Limits, Spares},
    send::{Lookup, read, sent, write},
    stale::{is_stale, may_be_probe, may_be_stale},
    transaction::execute_apart,
    verdict::Answer,
};
use crate::pg::{
    connection::Connection,
    error::{Error, class, code},
    statement::{Count, Ready, Statement},
    value::{Form, Text, UNKNOWN, array_literal},
};

/// Answers, unless the statement was made for tables that have changed since.
enum Attempt {
    Answers(Vec<Answer>),
    Stale,
    /// The columns may be those of before.
    Misread(Error),
}

/// What a statement is sent for: one call, or many, each with as many parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) calls: &'a [&'a [Option<String>]],
    /// The forms that the parameters' texts were written in.
    pub(super) forms: &'a [Form],
}

impl Request<'_> {
    fn count(&self) -> Count {
        if self.calls.len() > 1 { Count::Many } else { Count::One }
    }
}

/// How often a statement is prepared again when the tables change.
const ATTEMPTS: usize = 5;

/// Sends `statement`, and returns the answer to each call of the request in their order.
pub(super) async fn execute(
    connection: &Connection,
    statement: &Statement,
    request: Request<'_>,
    limits: &mut Limits<'_, impl Spares>,
) -> Result<Vec<Answer>, Fault> {
    let (Some(two), [only]) = (statement.two(), request.calls) else {
        return execute_whole(connection, statement, request, limits).await;
    };
    if !statement.is_apart() {
        match execute_whole(connection, statement, request, limits).await {
            Err(Fault::Ended { error, stage }) if error.is_database() && !error.is_loss() => {
                if !may_pass_apart(statement, &error) {
                    return Err(Fault::Ended { error, stage });
                }
                if error.sqlstate() == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
                    statement.stay_apart();
                }
            }
            result => return result,
        }
    }
    let answers = if statement.access.is_write() {
        Box::pin(execute_apart(connection, two, only, request.forms, limits)).await?
    } else {
        Box::pin(read_apart(connection, statement, two, request, limits)).await?
    };
    if matches!(answers[..], [Answer::Done(_) | Answer::Rows(_)]) {
        statement.stay_apart();
    }
    Ok(answers)
}

/// Two lookups of a row each, which become one. The second is of no interest where the first finds nothing.
async fn read_apart(
    connection: &Connection,
    statement: &Statement,
    [first, second]: &[Statement; 2],
    request: Request<'_>,
    limits: &mut Limits<'_, impl Spares>,
) -> Result<Vec<Answer>, Fault> {
    let found = execute_whole(connection, first, request, limits).await?;
    let [Answer::Rows(first)] = &found[..] else { return Ok(found) };
    if first.is_empty() {
        return Ok(found);
    }
    let found = execute_whole(connection, second, request, limits).await?;
    let [Answer::Rows(second)] = &found[..] else { return Ok(found) };
    if second.is_empty() {
        return Ok(found);
    }
    Ok(vec![Answer::Rows(first.beside(second, |fields, position| statement.agree_columns(fields, Some(position))))])
}

/// The server may take two statements one after the other that it refuses as one: lookups which have too many columns together
/// (`54011`), or insertions where a rule cannot be applied to the first (`0A000`), or where what is checked of the second row (a
/// policy, a constraint, a function) has to see the first.
fn may_pass_apart(statement: &Statement, error: &Error) -> bool {
    const OTHERWISE: [&str; 10] = [
        class::CONNECTION_EXCEPTION,
        class::DATA_EXCEPTION,
        class::INVALID_TRANSACTION_STATE,
        class::TRANSACTION_ROLLBACK,
        class::SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION,
        class::INSUFFICIENT_RESOURCES,
        class::OBJECT_NOT_IN_PREREQUISITE_STATE,
        class::OPERATOR_INTERVENTION,
        class::SYSTEM_ERROR,
        class::INTERNAL_ERROR,
    ];
    match error.sqlstate() {
        Some(&SqlState::UNIQUE_VIOLATION) => false,
        Some(&SqlState::TOO_MANY_COLUMNS) => true,
        _ if !statement.access.is_write() => false,
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => true,
        _ => !error.is_of_class(&OTHERWISE),
    }
}

async fn execute_whole(
    connection: &Connection,
    statement: &Statement,
    request: Request<'_>,
    limits: &mut Limits<'_, impl Spares>,
) -> Result<Vec<Answer>, Fault> {
    let mut refused: Option<Refused> = None;
    let mut was_misread = false;
    for _ in 0..ATTEMPTS {
        if request.forms.contains(&UNKNOWN) {
            // The prepared statement may have been prepared for types that have changed.
            connection.statements.forget(statement);
        }
        let before = Before::of(connection, statement);
        let (result, ready) = attempt(connection, statement, request, limits, before.was_ready, &mut refused).await?;
        let refusal = match result {
            Ok(Attempt::Answers(answers)) => return Ok(answers),
            Ok(Attempt::Stale) => None,
            Ok(Attempt::Misread(error)) if was_misread => return Err(sent(error)),
            Ok(Attempt::Misread(error)) => {
                was_misread = true;
                Some((error, Stage::Sent))
            }
            Err(Fault::Ended { error, stage }) if before.is_worth_another(statement, &error, ready.is_some()) => {
                Some((error, stage))
            }
            Err(fault) => return Err(fault),
        };
        if let Some((error, stage)) = refusal {
            refused = ready.map(|ready| Refused { error, stage, ready });
        }
        connection.statements.forget(statement);
    }
    let error = || Error::failure(code::INVALID_ANSWER, "the tables change faster than they are read");
    Err(refused.map_or_else(|| Fault::Ended { error: error(), stage: Stage::Unsent }, Refused::fault))
}

/// What comes of preparing the statement and sending it, and what was sent. Rejects with what another attempt would not change.
async fn attempt(
    connection: &Connection,
    statement: &Statement,
    request: Request<'_>,
    limits: &mut Limits<'_, impl Spares>,
    was_ready: bool,
    refused: &mut Option<Refused>,
) -> Result<(Result<Attempt, Fault>, Option<Arc<Ready>>), Fault> {
    let ready = match limits.preparing(ready(connection, statement, request.count())).await {
        Ok(Some(ready)) => ready,
        Ok(None) => return Ok((Ok(Attempt::Stale), None)),
        Err(fault) => return Ok((Err(fault), None)),
    };
    if let Err(error) = has_parameters(&ready, request.forms.len()) {
        connection.statements.forget(statement);
        return Err(Fault::Ended { error, stage: Stage::Unsent });
    }
    if let Some(refused) = refused.take().filter(|refused| refused.would_be_repeated(&ready)) {
        return Err(refused.fault());
    }
    // Forms that another connection has told are newer than what was prepared here before the types changed.
    let is_behind = was_ready && ready.forms != request.forms && !statement.is_newest(&ready.shape);
    if is_behind {
        return Ok((Ok(Attempt::Stale), Some(ready)));
    }
    let result = limits.answering(pin!(send(connection, statement, &ready, request))).await;
    Ok((result, Some(ready)))
}

/// What was known of a statement before it was tried.
struct Before {
    was_ready: bool,
    is_probed: bool,
    /// Its shape was, on this connection or another.
    is_old: bool,
}

impl Before {
    fn of(connection: &Connection, statement: &Statement) -> Self {
        let was_ready = connection.statements.is_ready(statement);
        let is_old = was_ready || statement.known_shape().is_some();
        Self { was_ready, is_probed: statement.is_probed(), is_old }
    }

    /// Whether the error may come of what has changed since, so that the statement is to be prepared again.
    fn is_worth_another(&self, statement: &Statement, error: &Error, was_sent: bool) -> bool {
        if error.is_loss() {
            return false;
        }
        if !self.was_ready && self.is_probed && may_be_probe(error) {
            statement.give_up_probe();
            return true;
        }
        // Where the error came from preparing, no stale statement caused it.
        let is_refused_whole = !was_sent && statement.two().is_some();
        if is_stale(error) { !is_refused_whole } else { self.is_old && may_be_stale(error) }
    }
}

/// The error that came of what was ready then.
struct Refused {
    error: Error,
    stage: Stage,
    ready: Arc<Ready>,
}

impl Refused {
    fn fault(self) -> Fault {
        Fault::Ended { error: self.error, stage: self.stage }
    }

    /// Whether the error would come again of what is ready now.
    fn would_be_repeated(&self, ready: &Ready) -> bool {
        // The parameters have the types of before: the server refuses the value.
        let is_value = self.error.is_of_class(&[class::DATA_EXCEPTION]) && ready.takes_the_same(&self.ready);
        // The columns are those of before: the value cannot be read.
        let is_answer = !self.error.is_database() && Arc::ptr_eq(&ready.shape, &self.ready.shape);
        is_value || is_answer
    }
}

/// Rejects a statement that the server describes with other than this many parameters.
fn has_parameters(ready: &Ready, sent: usize) -> Result<(), Error> {
    let described = ready.forms.len();
    if described == sent {
        return Ok(());
    }
    let text = format!("a statement of {sent} parameters is described as one of {described}");
    Err(Error::failure(code::INVALID_ANSWER, text))
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
    Ok(match read(connection, statement, ready, &texts, calls).await? {
        Lookup::Found(rows) => Attempt::Answers(rows.into_iter().map(Answer::Rows).collect()),
        Lookup::Stale => Attempt::Stale,
        Lookup::Misread(error) => Attempt::Misread(error),
    })
}
