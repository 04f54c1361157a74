//! Calls that the server has rolled back in favour of others: when they are sent again, and which writes take turns.

use std::{collections::VecDeque, mem};

use super::{
    admission::Admission,
    queued::{Queued, Row, Time, Work},
    waiting::Waiting,
};

impl<C: Work> Waiting<C> {
    /// Sets those writes aside whose row has contended writes: they take turns with them.
    pub(super) fn set_turns_aside(&mut self, rows: &[Row]) {
        while let Some(first) = self.writes.front().filter(|first| first.number <= self.flushed) {
            if !first.work.row().is_some_and(|row| self.has_turns(row, rows)) {
                return;
            }
            if let Some(write) = self.writes.pop_front() {
                Self::insert(&mut self.contended, write);
            }
        }
    }

    /// The oldest contended write that is due, and whose turn it is.
    pub(super) fn due(&self, Admission { now, rows, .. }: Admission<'_>) -> Option<usize> {
        (0..self.contended.len()).find(|&index| {
            let queued = &self.contended[index];
            let is_free = || queued.work.row().is_none_or(|row| !self.is_taken(index, row, rows));
            queued.not_before() <= now && is_free()
        })
    }

    /// The writes of `row` go one at a time.
    fn has_turns(&self, row: u64, rows: &[Row]) -> bool {
        rows.iter().any(|other| other.row == row && other.takes_turns)
            || self.contended.iter().any(|other| other.takes_turns() && other.work.row() == Some(row))
    }

    /// The write at `index` of `row` waits for one that is in flight, or for an older one.
    fn is_taken(&self, index: usize, row: u64, rows: &[Row]) -> bool {
        self.has_turns(row, rows)
            && (rows.iter().any(|other| other.row == row)
                || self.contended.iter().take(index).any(|older| older.work.row() == Some(row)))
    }

    /// Has lookups that have come back wait with others, once their pause is over if the server rolled them back.
    pub(super) fn resume(&mut self, now: Time) {
        let is_over = |queued: &Queued<C>| queued.not_before() <= now;
        let (resumed, paused) = mem::take(&mut self.returned).into_iter().partition::<VecDeque<_>, _>(is_over);
        self.returned = paused;
        for queued in resumed {
            let is_alone = queued.is_alone();
            let calls = if is_alone { &mut self.alone } else { self.lookups_of(queued.work.statement()) };
            Self::insert(calls, queued);
        }
    }

    /// When each call that was rolled back is due, or was.
    pub(super) fn due_times(&self) -> impl Iterator<Item = Time> {
        self.contended.iter().chain(&self.returned).map(Queued::not_before)
    }
}
