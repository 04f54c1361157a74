//! A call, and what has happened to it.

use std::time::Duration;

use super::figures::Rejection;

/// The time since the queue was made.
pub(in crate::pg::queue) type Time = Duration;

/// From this contention on, the writes of one row go one at a time.
const TURNS: u32 = 2;

/// What the scheduler has to know of a call.
pub(in crate::pg::queue) trait Work {
    /// What a call is refused with.
    type Error: Clone + std::fmt::Debug;

    /// Lookups of one statement have a queue of their own.
    fn statement(&self) -> u64;
    fn is_write(&self) -> bool;
    /// The size of the parameters.
    fn bytes(&self) -> usize;
    /// Tells the row of a write from other rows, as far as the call names one.
    fn row(&self) -> Option<u64>;
    /// Somebody waits for the call.
    fn is_awaited(&self) -> bool;
    /// How a call is counted that is rejected with this error.
    fn rejection(error: &Self::Error) -> Option<Rejection>;
    /// Both calls may be sent in one statement. A call that can only be sent alone does not share a batch with itself.
    fn shares_batch(&self, other: &Self) -> bool;
}

#[derive(Clone, Debug)]
pub(in crate::pg::queue) struct Queued<C: Work> {
    pub(in crate::pg::queue) work: C,
    /// Older calls have lower numbers.
    pub(in crate::pg::queue) number: u64,
    /// Since when the call waits for a connection.
    pub(super) since: Time,
    /// Until when the call waits for a connection, counted from when it may leave; of a call that was rolled back, until when it
    /// is sent again.
    pub(super) deadline: Option<Time>,
    /// `None` for most calls: nothing has happened to them.
    past: Option<Box<Past<C::Error>>>,
}

#[derive(Clone, Debug)]
struct Past<E> {
    was_lost: bool,
    is_alone: bool,
    contention: Option<Contention<E>>,
}

/// The server rolled a call back in favour of another transaction: `40001` or `40P01`.
#[derive(Clone, Debug)]
struct Contention<E> {
    times: u32,
    not_before: Time,
    refusal: E,
}

impl<C: Work> Queued<C> {
    pub(super) fn new(work: C, number: u64, since: Time) -> Self {
        Self { work, number, since, deadline: None, past: None }
    }

    fn past(&mut self) -> &mut Past<C::Error> {
        self.past.get_or_insert_with(|| Box::new(Past { was_lost: false, is_alone: false, contention: None }))
    }

    fn contention(&self) -> Option<&Contention<C::Error>> {
        self.past.as_ref()?.contention.as_ref()
    }

    /// Has the call sent by itself from now on: its batch failed, was held up, or lost its connection.
    pub(super) fn part(&mut self) {
        self.past().is_alone = true;
    }

    /// Its connection was lost. True the first time.
    pub(super) fn lose(&mut self) -> bool {
        !std::mem::replace(&mut self.past().was_lost, true)
    }

    pub(super) fn contend(&mut self, not_before: Time, refusal: C::Error) {
        let times = self.contentions() + 1;
        self.past().contention = Some(Contention { times, not_before, refusal });
    }

    #[cfg(test)]
    pub(super) fn was_lost(&self) -> bool {
        self.past.as_ref().is_some_and(|past| past.was_lost)
    }

    pub(super) fn is_alone(&self) -> bool {
        self.past.as_ref().is_some_and(|past| past.is_alone)
    }

    pub(super) fn contentions(&self) -> u32 {
        self.contention().map_or(0, |contention| contention.times)
    }

    pub(super) fn not_before(&self) -> Time {
        self.contention().map_or(Time::ZERO, |contention| contention.not_before)
    }

    /// The error with which the server rolled the call back.
    pub(super) fn refusal(&self) -> Option<&C::Error> {
        self.contention().map(|contention| &contention.refusal)
    }

    pub(super) fn takes_turns(&self) -> bool {
        self.contentions() >= TURNS
    }

    pub(super) fn row(&self) -> Option<Row> {
        Some(Row { row: self.work.row()?, takes_turns: self.takes_turns() })
    }

    pub(super) fn shares_batch(&self, other: &Self) -> bool {
        !self.is_alone() && !other.is_alone() && self.work.shares_batch(&other.work)
    }
}

/// A row that a write in flight changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) row: u64,
    /// The writes of this row go one at a time.
    pub(super) takes_turns: bool,
}
