//! How a worker ends.

use std::{sync::Arc, thread};

use deadpool::managed::Object;

use super::{dispatch::Dispatcher, scheduler::WorkerId};
use crate::pg::{
    connection::Lease,
    error::{Error, code},
};

/// Closes the connection of a worker that is gone, however it goes, and tells the scheduler so.
pub(super) struct Leaving {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) id: WorkerId,
    /// Once it is open.
    pub(super) lease: Option<Lease>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // Closed, not given back to the pool, before the scheduler may open another one.
        drop(self.lease.take().map(Object::take));
        if thread::panicking() {
            // Another attempt to connect may panic too: it waits as after a refusal.
            let error = Error::failure(code::CONNECTION_CLOSED, "the package has failed: a panic is its own defect");
            self.dispatcher.tell(|scheduler, now| scheduler.connect_failed(now, self.id, error, true));
        }
        self.dispatcher.left(self.id);
    }
}
