//! Learns the shape of a statement where nothing may stay prepared: in one transaction, which runs on one process of the
//! server, and takes back what it has prepared.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{definition::Statement, discover::discover, shape::Shape};
use crate::pg::{
    endless::{MOST_ANSWERS, not_endless},
    error::Error,
};

/// The inner error is that of the statement. `are_lost`: the driver relies on statements that the server has no more.
pub(super) async fn describe_once(
    client: &Client,
    statement: &Statement,
    comment: &str,
    are_lost: &AtomicBool,
) -> Result<Result<Arc<Shape>, Error>, Error> {
    client.batch_execute("BEGIN").await?;
    let before = prepared_names(client).await?;
    let sql = format!("{}{comment}", statement.unprepared_text());
    // The bound of the caller is that of all names that are tried.
    let found = not_endless(MOST_ANSWERS, discover(client, statement, &sql, false)).await.map(|(shape, _)| shape);
    if found.is_err() {
        // One message: between two of them a pooler may take another process of the server.
        client.batch_execute("ROLLBACK; BEGIN").await?;
    }
    for name in prepared_names(client).await? {
        // The driver's own names: a pooler may have its own among them.
        let is_ours = name.strip_prefix('s').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        if is_ours && !before.contains(&name) {
            // These are the driver's own questions for types, which the driver would use again.
            are_lost.store(true, Ordering::Relaxed);
            client.batch_execute(&format!("DEALLOCATE {}", escape_identifier(&name))).await?;
        }
    }
    client.batch_execute("COMMIT").await?;
    Ok(found)
}

async fn prepared_names(client: &Client) -> Result<Vec<String>, Error> {
    let messages = client.simple_query("SELECT name FROM pg_catalog.pg_prepared_statements").await?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect())
}
