//! The driver's client, and the task that reads what the server sends to it.

use std::{error::Error, future::poll_fn};

use deadpool_postgres::ClientWrapper;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_postgres::{AsyncMessage, error::DbError};

use super::screen::violation;
use crate::pg::error::{self, code};

/// Ends the task, and with it the connection, when it is dropped: also when nobody waits any longer for the connection to be
/// opened.
pub(in crate::pg) type Client = ClientWrapper;

/// Closed when the connection is lost. Holds the error for which the connection was ended here: whoever waits for an answer is
/// told that error instead of the loss.
pub(super) type Ended = watch::Receiver<Option<error::Error>>;

/// Runs the connection in a task of its own, and calls `notice` with each notice of the server's.
pub(super) fn spawn<S, T>(
    client: tokio_postgres::Client,
    mut connection: tokio_postgres::Connection<S, T>,
    notice: impl Fn(DbError) + Send + 'static,
) -> (Client, Ended)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (alive, ended) = watch::channel(None);
    let task = tokio::spawn(async move {
        while let Some(event) = poll_fn(|context| connection.poll_message(context)).await {
            match event {
                Ok(AsyncMessage::Notice(error)) => notice(error),
                Ok(_) => {}
                Err(error) => {
                    alive.send_replace(error.source().and_then(violation).cloned());
                    break;
                }
            }
        }
    });
    (ClientWrapper::new(client, task), ended)
}

/// `error`; in place of a loss (`CONNECTION_CLOSED`) the reason that ended the connection here, where there is one.
pub(super) fn reason(ended: &Ended, error: error::Error) -> error::Error {
    ended.borrow().clone().filter(|_| error.code() == code::CONNECTION_CLOSED).unwrap_or(error)
}
