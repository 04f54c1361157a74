//! The state of the scheduler, and what it commands.

use std::{time::Duration, vec::Drain};

use super::{
    figures::{Figures, Rejection},
    queued::{Queued, Time, Work},
    waiting::Waiting,
    worker::{Flight, Worker, WorkerId},
};

/// What the user said about waiting.
#[derive(Clone, Copy, Debug)]
pub(in crate::pg::queue) struct Limits {
    /// Connections, at most.
    pub(in crate::pg::queue) max: usize,
    /// How long a call waits for a connection.
    pub(in crate::pg::queue) patience: Option<Duration>,
    pub(in crate::pg::queue) idle_timeout: Option<Duration>,
}

/// How long a worker may take to find out whether its connection is still there.
pub(super) const CHECK: Duration = Duration::from_secs(2);
/// What is to be done.
#[derive(Clone, Debug)]
pub(in crate::pg::queue) enum Command<C: Work> {
    /// A worker is to open a connection.
    Open(WorkerId),
    /// It is to find out whether its connection is still there: by a question to the server, or by looking.
    Check { worker: WorkerId, asks: bool },
    /// It is to send these calls in one statement.
    Send { worker: WorkerId, flight: u64, calls: Vec<Queued<C>> },
    /// It is to close its connection, or to stop opening one.
    Close(WorkerId),
    /// The call has ended without an answer.
    Settle(Queued<C>, Ending<C::Error>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pg::queue) enum Ending<E> {
    Failed(E),
    /// It has waited too long for a connection.
    TimedOut,
    Ended,
}

/// Why a call comes back that was sent.
#[derive(Clone, Debug)]
pub(in crate::pg::queue) enum Return<E> {
    /// Its connection was lost.
    Lost(E),
    /// Its batch failed, or was held up.
    Alone,
    /// The server rolled it back: `40001` or `40P01`.
    Contended(E),
}

/// What becomes of a connection that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg::queue) enum Connection {
    Stays,
    /// It is of no more use.
    Ends,
    /// A cancel is under way to it.
    Cancelled,
}

/// How often, and when last, connections could not be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Refusals {
    pub(super) in_a_row: u32,
    /// Attempts that were given up because they hung.
    pub(super) abandoned: u32,
    /// No connection is opened before this.
    pub(super) not_before: Option<Time>,
}

#[derive(Clone, Debug)]
pub(in crate::pg::queue) struct Scheduler<C: Work> {
    pub(super) limits: Limits,
    pub(super) waiting: Waiting<C>,
    pub(super) workers: Vec<Worker>,
    pub(super) last_worker: u64,
    pub(super) last_flight: u64,
    pub(super) was_connected: bool,
    /// Why no connection could be opened, since there has been none.
    pub(super) unreachable: Option<C::Error>,
    /// A connection has been open before, so that the server may come back.
    pub(super) is_outage: bool,
    pub(super) refusals: Refusals,
    /// The shortest round trip: of a connection when it was opened, or of a single lookup.
    pub(super) nearest: Option<Duration>,
    pub(super) is_ended: bool,
    pub(super) figures: Figures,
    pub(super) now: Time,
    pub(super) commands: Vec<Command<C>>,
}

impl<C: Work> Scheduler<C> {
    pub(in crate::pg::queue) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: Waiting::default(),
            workers: Vec::new(),
            last_worker: 0,
            last_flight: 0,
            was_connected: false,
            unreachable: None,
            is_outage: false,
            refusals: Refusals::default(),
            nearest: None,
            is_ended: false,
            figures: Figures::default(),
            now: Time::ZERO,
            commands: Vec::new(),
        }
    }

    /// What is to be done since it was asked last, in this order.
    pub(in crate::pg::queue) fn take_commands(&mut self) -> Drain<'_, Command<C>> {
        self.commands.drain(..)
    }

    pub(super) fn worker(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.id == id)
    }

    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Worker> {
        let at = self.workers.iter().position(|worker| worker.id == id)?;
        Some(self.workers.remove(at))
    }

    /// Workers, those that open a connection among them.
    pub(in crate::pg::queue) fn connections(&self) -> usize {
        self.workers.len()
    }

    pub(in crate::pg::queue) fn idle(&self) -> usize {
        self.workers.iter().filter(|worker| worker.idle_since().is_some()).count()
    }

    /// The lookups of one statement, the oldest first, that are younger than the call of this number, unless an older write
    /// is to be sent before them; with their numbers.
    pub(in crate::pg::queue) fn lookups_after(&self, number: u64) -> impl Iterator<Item = (u64, &C)> {
        self.waiting.lookups_after(number).map(|queued| (queued.number, &queued.work))
    }

    pub(in crate::pg::queue) fn figures(&self) -> Figures {
        self.figures
    }

    /// Calls of a statement that has been sent are rejected.
    pub(in crate::pg::queue) fn rejected(&mut self, calls: impl IntoIterator<Item = Rejection>) {
        for rejection in calls {
            self.figures.reject(rejection);
        }
    }

    /// Calls that no worker has.
    pub(in crate::pg::queue) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Workers that have something in flight.
    pub(in crate::pg::queue) fn busy(&self) -> usize {
        self.workers.iter().filter(|worker| !worker.flights().is_empty()).count()
    }

    pub(super) fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.workers.iter().flat_map(Worker::flights)
    }
}
