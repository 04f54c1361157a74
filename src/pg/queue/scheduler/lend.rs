//! Workers that answer a question beside the calls.

use super::{
    machine::Scheduler,
    queued::{Time, Work},
    worker::{State, WorkerId},
};

/// Whether a worker can be borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg::queue) enum Loan {
    Of(WorkerId),
    /// A connection is being opened.
    Later,
    None,
}

impl<C: Work> Scheduler<C> {
    /// A worker that is idle, or else the attempt to open a connection for the question. The worker serves nobody until `checked`
    /// says that it has answered, and is closed when that takes too long, as any worker in `Checking` is.
    pub(in crate::pg::queue) fn borrow(&mut self, now: Time) -> Loan {
        self.now = now;
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.idle_since().is_some()) {
            worker.state = State::Checking { since: now };
            return Loan::Of(worker.id);
        }
        if self.young_attempts(now) == 0 {
            self.open_more(now, 1);
        }
        if self.young_attempts(now) > 0 { Loan::Later } else { Loan::None }
    }
}
