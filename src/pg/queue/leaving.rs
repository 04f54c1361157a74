//! How a worker ends.

use std::{sync::Arc, thread};

use deadpool::managed::Object;
use tokio::runtime::Id;

use super::{
    dispatch::Dispatcher,
    scheduler::{Refusal, WorkerId},
};
use crate::pg::{
    connection::Lease,
    error::{Error, code},
};

/// Closes the connection of a worker that is gone, however it goes, and tells the scheduler so.
pub(super) struct Leaving {
    dispatcher: Arc<Dispatcher>,
    /// Where the worker is spawned.
    runtime: Id,
    id: WorkerId,
    has_begun: bool,
    /// Once it is open.
    pub(super) lease: Option<Lease>,
}

impl Leaving {
    pub(super) fn new(dispatcher: Arc<Dispatcher>, runtime: Id, id: WorkerId) -> Self {
        Self { dispatcher, runtime, id, has_begun: false, lease: None }
    }

    pub(super) fn begin(&mut self) -> (Arc<Dispatcher>, WorkerId) {
        self.has_begun = true;
        (self.dispatcher.clone(), self.id)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.has_begun && self.dispatcher.runtime().id() == self.runtime {
            // The queue was destroyed, or nothing runs any more.
            return;
        }
        // Closed, not given back to the pool, before the scheduler may open another one.
        drop(self.lease.take().map(Object::take));
        if thread::panicking() {
            // Another attempt to connect may panic too: it waits as after a refusal.
            let error = Error::failure(code::CONNECTION_CLOSED, "the package has failed: a panic is its own defect");
            self.dispatcher.tell(|scheduler, now| scheduler.connect_failed(now, self.id, error, Refusal::Passing));
        }
        self.dispatcher.left(self.id);
    }
}
