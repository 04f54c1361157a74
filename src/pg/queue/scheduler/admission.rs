//! Which calls may be sent, and where the oldest of them is.

use super::queued::{Row, Time};

/// Where the oldest call is that may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The lookups of the statement at this index.
    Lookups(usize),
    /// A lookup that is sent by itself.
    Alone,
    Writes,
    /// The contended write at this index.
    Contended(usize),
}

/// The kinds of calls that there is a connection for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) lookups: bool,
    pub(super) alone: bool,
    pub(super) writes: bool,
}

/// Which calls may be sent, besides that they are flushed and due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission<'a> {
    pub(super) now: Time,
    /// Also calls of a turn of the event loop that is not over.
    pub(super) unflushed: bool,
    pub(super) kinds: Kinds,
    /// Calls that have been sent and not answered.
    pub(super) in_flight: usize,
    /// The rows of the writes that have been sent and not answered, where writes contend.
    pub(super) rows: &'a [Row],
}

/// How many of each kind of batch may be sent at the same time, beside those in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batches {
    pub(super) alone: usize,
    pub(super) writes: usize,
    pub(super) may_batch_writes: bool,
}
