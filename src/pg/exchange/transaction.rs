//! Two insertions in one transaction, for tables that refuse them in one statement. `BEGIN`, the insertions and `COMMIT` are
//! sent together, in one round trip: after an insertion that is refused, `COMMIT` rolls back.

use std::{pin::pin, sync::Arc};

use futures_util::future::join4;

use super::{
    ending::{Fault, Stage},
    limits::{Limits, Spares},
    send::{sent, write},
    stale::{is_stale, may_be_probe, may_be_stale},
    verdict::Answer,
};
use crate::pg::{
    connection::Connection,
    error::{Error, class, code},
    statement::{Count, Ready, Statement},
    value::{Form, Text},
};

/// How often the insertions are prepared: each may have to do without its probe, and the tables may change meanwhile.
const ATTEMPTS: usize = 5;

/// Carries out the two statements; the parameters of the second follow those of the first.
pub(super) async fn execute_apart(
    connection: &Connection,
    two: &[Statement; 2],
    parameters: &[Option<String>],
    forms: &[Form],
    limits: &mut Limits<'_, impl Spares>,
) -> Result<Vec<Answer>, Fault> {
    let mut attempt = 1;
    loop {
        let were_ready = two.iter().all(|statement| connection.statements.is_ready(statement));
        let result = match limits.preparing(ready(connection, two)).await {
            Ok([first, second]) => {
                let expected = [&first.forms[..], &second.forms].concat();
                if expected != forms {
                    return Ok(vec![Answer::Forms(expected)]);
                }
                let texts: Vec<Text<'_>> = parameters.iter().map(|text| Text(text.as_deref())).collect();
                let (of_first, of_second) = texts.split_at(first.forms.len());
                let mut is_over = true;
                let inserted = insert(connection, (&first, of_first), (&second, of_second), &mut is_over);
                let result = limits.answering(pin!(inserted)).await;
                limits.is_abandoned |= !is_over;
                result
            }
            Err(fault) => Err(fault),
        };
        match result {
            Err(Fault::Ended { error, .. })
                if attempt < ATTEMPTS
                    && !limits.is_abandoned
                    && (is_stale(&error) || (were_ready && may_be_stale(&error))) =>
            {
                attempt += 1;
            }
            result => return result.map(|changed| vec![Answer::Done(changed)]),
        }
        for statement in two {
            connection.statements.forget(statement);
        }
    }
}

async fn ready(connection: &Connection, two: &[Statement; 2]) -> Result<[Arc<Ready>; 2], Error> {
    let [first, second] = two;
    Ok([ready_one(connection, first).await?, ready_one(connection, second).await?])
}

async fn ready_one(connection: &Connection, statement: &Statement) -> Result<Arc<Ready>, Error> {
    if let Some(ready) = connection.statements.get(statement, Count::One) {
        return Ok(ready);
    }
    let prepare = || connection.statements.prepare(&connection.client, statement, Count::One);
    let changed = || Error::failure(code::INVALID_ANSWER, "the tables change faster than they are read");
    match Box::pin(prepare()).await {
        Err(error) if statement.is_probed() && may_be_probe(&error) => {
            statement.give_up_probe();
            Box::pin(prepare()).await?.ok_or_else(changed)
        }
        result => result?.ok_or_else(changed),
    }
}

/// `is_over` becomes false where the transaction may still be under way.
async fn insert(
    connection: &Connection,
    (first, of_first): (&Ready, &[Text<'_>]),
    (second, of_second): (&Ready, &[Text<'_>]),
    is_over: &mut bool,
) -> Result<u64, Fault> {
    let _beside_others = connection.statements.beside_others().await;
    // Each is sent when it is first polled, which is one after the other.
    let (begun, first, second, committed) = join4(
        connection.client.batch_execute("BEGIN"),
        write(connection, first, of_first, 1),
        write(connection, second, of_second, 1),
        connection.client.batch_execute("COMMIT"),
    )
    .await;
    if let Err(error) = begun {
        // Without `BEGIN` every statement that followed was a transaction of its own.
        let error = Error::caused_by(code::CONNECTION_CLOSED, "no transaction was begun", error.into());
        return Err(Fault::Ended { error, stage: Stage::Complete });
    }
    let committed = committed.map_err(Error::from);
    *is_over = committed.as_ref().map_or_else(ends_transaction, |()| true);
    match (first.and(second), committed) {
        // What was refused is rolled back, and to be prepared anew: on another connection, as this one is lost.
        (Err(Fault::Ended { error, .. }), Err(lost)) if lost.is_loss() && is_stale(&error) => {
            Err(Fault::Ended { error: lost, stage: Stage::Unsent })
        }
        (Err(fault), _) => Err(fault),
        (Ok(_), Err(error)) if error.is_loss() => Err(Fault::Ended { error, stage: Stage::Complete }),
        (Ok(_), Err(error)) => Err(sent(error)),
        (Ok(changed), Ok(())) => Ok(changed.into_iter().sum()),
    }
}

/// PostgreSQL ends the transaction whose `COMMIT` it refuses for what the transaction has done. An interrupt or an internal
/// error may come before `COMMIT` has begun, and leaves the session in a failed transaction.
fn ends_transaction(error: &Error) -> bool {
    error.is_of_class(&[class::INTEGRITY_CONSTRAINT_VIOLATION, class::TRANSACTION_ROLLBACK])
}
