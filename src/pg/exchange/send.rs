//! Sends a statement that is ready, and reads its answer.

use std::{error::Error as _, iter::repeat, mem, pin::pin};

use futures_util::TryStreamExt;
use tokio_postgres::{
    RowStream,
    types::{ToSql, Type},
};

use super::ending::{Fault, Stage};
use crate::pg::{
    connection::{Connection, incomplete},
    endless::{MOST_ANSWERS, not_endless},
    error::{Error, code},
    statement::{Ready, Sending, Statement},
    value::{Decoding, Rows, Text, row_call},
};

pub(super) fn sent(error: Error) -> Fault {
    Fault::Ended { error, stage: Stage::Sent }
}

/// What became of a lookup that was sent.
pub(super) enum Lookup {
    /// The rows for each call.
    Found(Vec<Rows>),
    /// They are of other tables than those that the statement was made for.
    Stale,
    /// They do not fit the columns: a pooler has prepared the statement on another server since the table changed.
    Misread(Error),
}

async fn start(connection: &Connection, ready: &Ready, parameters: &[Text<'_>]) -> Result<RowStream, Fault> {
    let client = &connection.client;
    if client.is_closed() {
        let error = Error::failure(code::CONNECTION_CLOSED, "the connection was lost");
        return Err(Fault::Ended { error, stage: Stage::Unsent });
    }
    let texts = parameters.iter().map(|text| text as &(dyn ToSql + Sync));
    let stream = match &ready.sending {
        Sending::Prepared(statement) => client.query_raw(statement, texts).await.map_err(Error::from),
        Sending::Unnamed { sql, declared } => {
            let declared = declared.iter().cloned().chain(repeat(Type::UNKNOWN));
            not_endless(MOST_ANSWERS, client.query_typed_raw(sql, texts.zip(declared))).await
        }
    };
    stream.map_err(sent)
}

pub(super) async fn read(
    connection: &Connection,
    statement: &Statement,
    ready: &Ready,
    parameters: &[Text<'_>],
    calls: usize,
) -> Result<Lookup, Fault> {
    let mut stream = pin!(start(connection, ready, parameters).await?);
    let mut rows = Decoding::new(ready.shape.columns.clone(), calls);
    let mut is_first = true;
    loop {
        let row = match stream.try_next().await {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) if is_of_row(&error) => return Ok(Lookup::Misread(error.into())),
            Err(error) => return Err(sent(error.into())),
        };
        if mem::take(&mut is_first) && connection.statements.is_stale(statement, ready, &row) {
            return Ok(Lookup::Stale);
        }
        if let Err(error) = rows.add(&row) {
            return Ok(Lookup::Misread(error));
        }
    }
    stream.rows_affected().ok_or_else(|| sent(incomplete()))?;
    Ok(Lookup::Found(rows.finish()))
}

/// The driver cannot read a row by the columns that the statement was described with; nothing else is wrong.
fn is_of_row(error: &tokio_postgres::Error) -> bool {
    !error.is_closed() && error.as_db_error().is_none() && error.source().is_some()
}

/// How many rows each of so many calls has changed: of many insertions, one.
pub(super) async fn write(
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
    let affected = stream.rows_affected().ok_or_else(|| sent(incomplete()))?;
    if let [only] = &mut changed[..] {
        *only = affected;
    }
    Ok(changed)
}
