//! Work that may block, on a thread of its own: one thread serves all connections of the process.

use std::{io, thread};

use tokio::sync::oneshot;

/// Gives the result of `work`, or rejects when no thread can be started. A thread that blocks for ever stays; a time-out of
/// the caller's ends the wait for it.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("lucia-postgres-aside".to_owned()).spawn(move || {
        // A receiver that is gone has given up: nobody wants the result.
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| io::Error::other("the thread has ended without a result"))
}
