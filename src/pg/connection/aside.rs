//! Work that may block, on a thread of its own: one thread serves all connections of the process.

use std::{io, thread};

use tokio::sync::oneshot;

/// A thread that blocks for ever is left behind; whoever waits for it gives up when time has run out.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("lucia-postgres-aside".to_owned()).spawn(move || {
        // Whoever has given up does not want it.
        let _ = done.send(work());
    })?;
    result.await.map_err(|_| io::Error::other("the thread has ended without a result"))
}
