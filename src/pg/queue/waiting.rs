//! The calls that wait, in lanes, and the counts of those who work on them. No more than data: what is done with them is
//! `queue.rs`.

use std::{
    collections::VecDeque,
    mem,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use super::pace::Pace;
use crate::pg::{error::Error, exchange::Call, statement::Statement};

/// Lookups in one statement, at most: a quarter of the calls in flight, within these bounds. 16 gave the most answers a
/// second with 64 in flight, 64 with 256, and 128 with 1,024.
const BATCH: RangeInclusive<usize> = 16..=128;
/// Changes in one statement, at most: when one of them is refused all are done again.
const CHANGES: usize = 32;
/// Connections that are enough for a server which is near.
const FEW: usize = 3;
/// A server is near when it answers within this, having nothing to do.
const NEAR: Duration = Duration::from_millis(1);
/// Texts that are longer than this together travel apart: a message has an end.
const BATCH_BYTES: usize = 1 << 20;

/// A call in the queue.
pub(super) struct Waiting {
    pub call: Call,
    /// Older calls have lower numbers.
    pub number: u64,
    pub deadline: Option<Instant>,
    /// Its connection was lost: the deadline counts from the first time.
    pub was_lost: bool,
    /// It, or one that it travelled with, has ended a connection or held it up: it must not take others along again.
    pub goes_alone: bool,
    pub contentions: u32,
}

impl Waiting {
    /// The wait for another connection begins when one is lost, however long the call had waited for that.
    pub(super) fn may_wait_again(&mut self, deadline: Option<Instant>) -> bool {
        if !self.was_lost {
            self.was_lost = true;
            self.goes_alone = true;
            self.deadline = deadline;
        }
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }
}

/// The lookups of one statement.
pub(super) struct Lane {
    pub statement: Arc<Statement>,
    pub(super) calls: VecDeque<Waiting>,
}

/// How many of the first calls may be sent in one statement, of `most`.
fn travel_together(calls: &VecDeque<Waiting>, most: usize) -> usize {
    let Some(first) = calls.front() else { return 0 };
    let Call { statement, forms, .. } = &first.call;
    if !statement.can_batch() {
        return 1;
    }
    let mut room = BATCH_BYTES;
    let travels = |waiting: &&Waiting| {
        let bytes: usize = waiting.call.parameters.iter().flatten().map(String::len).sum();
        room = room.saturating_sub(bytes);
        room > 0
            && !waiting.goes_alone
            && Arc::ptr_eq(&waiting.call.statement, statement)
            && waiting.call.forms == *forms
    };
    calls.iter().take(most).take_while(travels).count().max(1)
}

/// How much there is to do, and who does it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub max: usize,
    /// Open, or being opened.
    pub connections: usize,
    pub idle: usize,
    /// Calls that no connection has taken yet.
    pub waiting: usize,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) lookups: Vec<Lane>,
    pub(super) writes: VecDeque<Waiting>,
    pub(super) next_number: u64,
    /// The calls up to this number have all that they leave with.
    pub(super) complete: u64,
    /// Calls that a runner has taken.
    pub(super) underway: usize,
    pub(super) runners: usize,
    /// Runners that have been started for calls which wait, and have not yet taken any.
    pub(super) starting: usize,
    /// Runners that have a connection.
    pub(super) leased: usize,
    /// Runners that carry out a write.
    pub(super) writing: usize,
    /// Runners whose lookups left so short a time ago that they may soon be answered.
    pub(super) prompt: usize,
    /// The shortest round trip that was seen when a connection was opened.
    pub(in crate::pg) round_trip: Option<Duration>,
    /// A runner tries again and again to reach a server that was there before.
    pub(super) probing: bool,
    pub(super) was_connected: bool,
    pub(super) refused_until: Option<Instant>,
    pub(super) pace: Pace,
    pub(super) is_ended: bool,
}

impl State {
    /// True when as many calls wait in its lane as travel together.
    pub(super) fn put(&mut self, waiting: Waiting, first: bool) -> bool {
        let statement = &waiting.call.statement;
        let is_write = statement.access.is_write();
        let lane = if is_write {
            &mut self.writes
        } else {
            let at = self.lookups.iter().position(|lane| Arc::ptr_eq(&lane.statement, statement));
            let at = at.unwrap_or_else(|| {
                self.lookups.retain(|lane| !lane.calls.is_empty());
                self.lookups.push(Lane { statement: statement.clone(), calls: VecDeque::new() });
                self.lookups.len() - 1
            });
            &mut self.lookups[at].calls
        };
        if first {
            lane.push_front(waiting);
        } else {
            lane.push_back(waiting);
        }
        let length = lane.len();
        length.is_multiple_of(if is_write { self.most_changes(length) } else { self.most(length) })
    }

    /// How many calls travel together at most, when so many of their kind wait.
    fn most(&self, waiting: usize) -> usize {
        ((self.underway + waiting) / 4).clamp(*BATCH.start(), *BATCH.end())
    }

    fn most_changes(&self, waiting: usize) -> usize {
        self.most(waiting).min(CHANGES)
    }

    /// Writes may wait for each other in the server. One connection is left to lookups, so that these go on.
    fn may_write(&self, max: usize) -> bool {
        max == 1 || self.writing < max - 1
    }

    /// The lane whose first call is the oldest: a lookup's, or the writes'.
    pub(super) fn front(&self, max: usize) -> Option<Front> {
        let lookup =
            self.lookups.iter().enumerate().filter_map(|(index, lane)| Some((lane.calls.front()?.number, index))).min();
        let write = self.writes.front().filter(|_| self.may_write(max)).map(|waiting| waiting.number);
        match (lookup, write) {
            (Some((number, _)), Some(write)) if write < number => Some(Front::Write),
            (Some((_, lane)), _) => Some(Front::Lookup(lane)),
            (None, Some(_)) => Some(Front::Write),
            (None, None) => None,
        }
    }

    pub(super) fn take(&mut self, max: usize, may_batch_writes: bool) -> Vec<Waiting> {
        let calls: Vec<_> = match self.front(max) {
            Some(Front::Write) => {
                let most = if may_batch_writes { self.most_changes(self.writes.len()) } else { 1 };
                self.writes.drain(..travel_together(&self.writes, most)).collect()
            }
            Some(Front::Lookup(lane)) => {
                let most = self.most(self.lookups[lane].calls.len());
                let calls = &mut self.lookups[lane].calls;
                calls.drain(..travel_together(calls, most)).collect()
            }
            None => Vec::new(),
        };
        self.underway += calls.len();
        calls
    }

    /// So many calls are under way that a server which is near does more on a few connections, where it always finds a next
    /// statement, than on many. Those that wait are next.
    pub(super) fn is_well_served(&self) -> bool {
        self.underway >= FEW * BATCH.start() && self.prompt >= FEW && self.round_trip.is_some_and(|time| time < NEAR)
    }

    /// As many lookups as travel together, or none when they are few.
    pub(super) fn take_batch(&mut self, max: usize) -> Vec<Waiting> {
        let Some(Front::Lookup(lane)) = self.front(max) else { return Vec::new() };
        let calls = &self.lookups[lane].calls;
        let most = self.most(calls.len());
        if travel_together(calls, most) < *BATCH.start() { Vec::new() } else { self.take(max, false) }
    }

    /// Removes the waiting calls that `which` names.
    pub(super) fn drain(&mut self, which: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let mut drained = Vec::new();
        for calls in self.lookups.iter_mut().map(|lane| &mut lane.calls).chain([&mut self.writes]) {
            if !calls.iter().any(&which) {
                continue;
            }
            let (gone, kept) = mem::take(calls).into_iter().partition::<VecDeque<_>, _>(&which);
            *calls = kept;
            drained.extend(gone);
        }
        drained
    }

    /// Calls wait, and all that they leave with are there.
    pub(super) fn is_complete(&self) -> bool {
        self.complete == self.next_number && self.has_calls()
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.writes.is_empty() || self.lookups.iter().any(|lane| !lane.calls.is_empty())
    }
}

pub(super) enum Front {
    Lookup(usize),
    Write,
}

pub(super) fn settle_all(calls: Vec<Waiting>, error: &Error) {
    for waiting in calls {
        waiting.call.reply.settle(Err(error.clone()));
    }
}
