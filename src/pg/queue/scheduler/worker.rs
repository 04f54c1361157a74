//! Workers: each serves one connection, and is in exactly one state. What the scheduler counts, it counts in their list.

use std::time::Duration;

use super::queued::{Row, Time};

/// A worker is known by its number, which is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::pg::queue) struct WorkerId(pub(in crate::pg::queue) u64);

/// What a connection that has been opened is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg::queue) struct Opened {
    pub(in crate::pg::queue) retire_at: Option<Time>,
    /// Several writes may be sent in one statement.
    pub(in crate::pg::queue) may_batch_writes: bool,
    /// How long a round trip took when it was opened, as far as known.
    pub(in crate::pg::queue) round_trip: Option<Duration>,
}

/// Why a worker could not open its connection, as far as it matters for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg::queue) enum Refusal {
    /// Another attempt would fail too.
    Lasting,
    /// Another attempt may succeed a little later.
    Passing,
    /// The server has no place left: an attempt that began before may have got one.
    Full,
}

/// One statement that has been sent and not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) calls: usize,
    pub(super) kind: Kind,
    pub(super) sent: Time,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Lookups,
    /// A lookup that is sent by itself.
    Alone,
    Write,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Connecting {
        since: Time,
        /// The calls up to this number had been queued before the attempt began.
        first: u64,
    },
    Idle {
        since: Time,
    },
    /// Finds out whether the connection is still there.
    Checking {
        since: Time,
    },
    /// One statement is in flight, or two.
    Busy {
        flights: Vec<Flight>,
    },
    /// Serves nobody any more. What is in flight is still answered.
    Closing {
        /// When the worker is told to close, whatever it waits for.
        until: Option<Time>,
        flights: Vec<Flight>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) state: State,
    pub(super) opened: Option<Opened>,
    /// When another connection was lost: the server may be stopping. An answer to what is sent later shows that it is not.
    pub(super) doubted: Option<Time>,
}

impl Worker {
    pub(super) fn flights(&self) -> &[Flight] {
        match &self.state {
            State::Busy { flights } | State::Closing { flights, .. } => flights,
            _ => &[],
        }
    }

    /// Its connection is open, and of use.
    pub(super) fn is_serving(&self) -> bool {
        matches!(self.state, State::Idle { .. } | State::Checking { .. } | State::Busy { .. })
    }

    pub(super) fn is_worn(&self, now: Time) -> bool {
        self.opened.is_some_and(|opened| opened.retire_at.is_some_and(|at| at <= now))
    }

    /// It will be gone before long.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(&self.state, State::Closing { until: None, flights } if flights.is_empty())
    }

    /// It has answered what was sent then. The answer may have been written before another connection was lost.
    pub(super) fn has_answered(&mut self, sent: Time) {
        self.doubted = self.doubted.filter(|since| sent < *since);
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.flights().iter().any(|flight| flight.kind == kind)
    }

    pub(super) fn idle_since(&self) -> Option<Time> {
        match self.state {
            State::Idle { since } => Some(since),
            _ => None,
        }
    }

    pub(super) fn connecting_since(&self) -> Option<Time> {
        match self.state {
            State::Connecting { since, .. } => Some(since),
            _ => None,
        }
    }
}
