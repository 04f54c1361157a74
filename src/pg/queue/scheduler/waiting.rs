//! The calls that wait to be sent, in one queue for each statement of lookups and one for writes, oldest first.

use std::{collections::VecDeque, mem};

use super::{
    admission::{Admission, Batches, Source},
    batch::{BATCH, BATCH_MOST, WRITES, batch_size, group, most_writes},
    queued::{Queued, Time, Work},
};

#[derive(Clone, Debug)]
pub(super) struct Lookups<C: Work> {
    pub(super) statement: u64,
    pub(super) calls: VecDeque<Queued<C>>,
}

#[derive(Clone, Debug)]
pub(super) struct Waiting<C: Work> {
    pub(super) lookups: Vec<Lookups<C>>,
    /// Lookups that are sent by themselves.
    pub(super) alone: VecDeque<Queued<C>>,
    pub(super) writes: VecDeque<Queued<C>>,
    /// Writes that the server rolled back (`40001`, `40P01`), and writes of the same rows; oldest first.
    pub(super) contended: VecDeque<Queued<C>>,
    /// Lookups that have come back, until `resume` has them wait with others.
    pub(super) returned: VecDeque<Queued<C>>,
    last_number: u64,
    /// The calls up to this number have been flushed: they need not fill a batch to be sent.
    pub(super) flushed: u64,
    /// No deadline of a call is before this.
    pub(super) earliest: Option<Time>,
}

impl<C: Work> Default for Waiting<C> {
    fn default() -> Self {
        Self {
            lookups: Vec::new(),
            alone: VecDeque::new(),
            writes: VecDeque::new(),
            contended: VecDeque::new(),
            returned: VecDeque::new(),
            last_number: 0,
            flushed: 0,
            earliest: None,
        }
    }
}

impl<C: Work> Waiting<C> {
    pub(super) fn push(&mut self, now: Time, work: C) {
        self.last_number += 1;
        let queued = Queued::new(work, self.last_number, now);
        if queued.work.is_write() { &mut self.writes } else { self.lookups_of(queued.work.statement()) }
            .push_back(queued);
    }

    pub(super) fn lookups_of(&mut self, statement: u64) -> &mut VecDeque<Queued<C>> {
        let at = self.lookups.iter().position(|lookups| lookups.statement == statement).unwrap_or_else(|| {
            self.lookups.retain(|lookups| !lookups.calls.is_empty());
            self.lookups.push(Lookups { statement, calls: VecDeque::new() });
            self.lookups.len() - 1
        });
        &mut self.lookups[at].calls
    }

    /// Flushes all calls that are queued; those flushed now wait until `deadline`, unless they have one since they were lost.
    pub(super) fn flush(&mut self, deadline: Option<Time>) {
        let flushed = mem::replace(&mut self.flushed, self.last_number);
        if let Some(deadline) = deadline {
            for calls in self.lookups.iter_mut().map(|lookups| &mut lookups.calls).chain([&mut self.writes]) {
                // Calls that were not flushed before are the last of their queue.
                for queued in calls.iter_mut().rev().take_while(|queued| queued.number > flushed) {
                    queued.deadline.get_or_insert(deadline);
                }
            }
            self.limit(deadline);
        }
    }

    fn limit(&mut self, deadline: Time) {
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }

    /// Takes a call back, to the place that its age gives it.
    pub(super) fn put_back(&mut self, queued: Queued<C>) {
        if let Some(deadline) = queued.deadline {
            self.limit(deadline);
        }
        let calls = match queued.work.is_write() {
            true if queued.contentions() > 0 => &mut self.contended,
            true => &mut self.writes,
            false => &mut self.returned,
        };
        Self::insert(calls, queued);
    }

    pub(super) fn insert(calls: &mut VecDeque<Queued<C>>, queued: Queued<C>) {
        let at = calls.partition_point(|other| other.number < queued.number);
        calls.insert(at, queued);
    }

    /// The lookups of one statement, the oldest first, that are younger than the call of this number, unless an older write
    /// is to be sent before them.
    pub(super) fn lookups_after(&self, number: u64) -> impl Iterator<Item = &Queued<C>> {
        let younger = move |lookups: &Lookups<C>| lookups.calls.partition_point(|queued| queued.number <= number);
        let oldest =
            |lookups: &&Lookups<C>| lookups.calls.get(younger(lookups)).map_or(u64::MAX, |queued| queued.number);
        let lookups = self.lookups.iter().min_by_key(oldest);
        let write = self.writes.front().map_or(u64::MAX, |queued| queued.number);
        let lookups = lookups.filter(|lookups| oldest(lookups) < write);
        lookups.into_iter().flat_map(move |lookups| lookups.calls.iter().skip(younger(lookups)))
    }

    pub(super) fn last_number(&self) -> u64 {
        self.last_number
    }

    pub(super) fn len(&self) -> usize {
        self.queues().map(VecDeque::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues().all(VecDeque::is_empty)
    }

    /// Whether anything may be sent that waits, however much is in flight.
    pub(super) fn may_any_leave(&self) -> bool {
        let is_there = |calls: &VecDeque<Queued<C>>| {
            calls.front().is_some_and(|first| first.number <= self.flushed) || calls.len() >= *BATCH.start()
        };
        !self.alone.is_empty()
            || !self.contended.is_empty()
            || is_there(&self.writes)
            || self.lookups.iter().any(|lookups| is_there(&lookups.calls))
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = &VecDeque<Queued<C>>> {
        let others = [&self.alone, &self.writes, &self.contended, &self.returned];
        self.lookups.iter().map(|lookups| &lookups.calls).chain(others)
    }

    /// Removes the calls that `which` names.
    pub(super) fn drain(&mut self, which: impl Fn(&Queued<C>) -> bool) -> Vec<Queued<C>> {
        let mut drained = Vec::new();
        let lookups = self.lookups.iter_mut().map(|lookups| &mut lookups.calls);
        let others = [&mut self.alone, &mut self.writes, &mut self.contended, &mut self.returned];
        for calls in lookups.chain(others) {
            if calls.iter().any(&which) {
                let (gone, kept) = mem::take(calls).into_iter().partition::<VecDeque<_>, _>(&which);
                *calls = kept;
                drained.extend(gone);
            }
        }
        drained
    }

    /// Removes the calls whose deadline has come, and finds the next one.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Queued<C>> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let late = self.drain(|queued| queued.deadline.is_some_and(|deadline| deadline <= now));
        self.earliest = self.queues().flatten().filter_map(|queued| queued.deadline).min();
        late
    }

    /// Where the oldest call is that may be sent now.
    pub(super) fn oldest(&self, admission: Admission<'_>) -> Option<Source> {
        let mut oldest: Option<(u64, Source)> = None;
        let mut consider = |number: u64, source: Source| {
            if oldest.is_none_or(|(other, _)| number < other) {
                oldest = Some((number, source));
            }
        };
        if admission.kinds.lookups {
            for (index, Lookups { calls, .. }) in self.lookups.iter().enumerate() {
                if let Some(first) = calls.front().filter(|_| self.may_leave(calls, BATCH_MOST, admission)) {
                    consider(first.number, Source::Lookups(index));
                }
            }
        }
        if let Some(first) = self.alone.front().filter(|_| admission.kinds.alone) {
            consider(first.number, Source::Alone);
        }
        if admission.kinds.writes {
            if let Some(first) = self.writes.front().filter(|_| self.may_leave(&self.writes, WRITES, admission)) {
                consider(first.number, Source::Writes);
            }
            if let Some(index) = self.due(admission) {
                consider(self.contended[index].number, Source::Contended(index));
            }
        }
        oldest.map(|(_, source)| source)
    }

    fn may_leave(&self, calls: &VecDeque<Queued<C>>, most: usize, admission: Admission<'_>) -> bool {
        calls.front().is_some_and(|first| first.number <= self.flushed || admission.unflushed)
            || calls.len() >= batch_size(admission.in_flight, calls.len()).min(most)
    }

    /// How many batches could be sent, if there were connections enough.
    pub(super) fn batches(&self, admission: Admission<'_>, limit: Batches) -> usize {
        let mut batches = self.alone.len().min(limit.alone) + self.write_batches(admission, limit);
        if admission.kinds.lookups {
            for Lookups { calls, .. } in &self.lookups {
                if self.may_leave(calls, BATCH_MOST, admission) {
                    batches += calls.len().div_ceil(group(calls, batch_size(admission.in_flight, calls.len())).max(1));
                }
            }
        }
        batches
    }

    pub(super) fn write_batches(&self, admission: Admission<'_>, limit: Batches) -> usize {
        let mut batches = usize::from(self.due(admission).is_some());
        if self.may_leave(&self.writes, WRITES, admission) {
            let most = most_writes(admission.in_flight, self.writes.len(), limit.may_batch_writes);
            batches += self.writes.len().div_ceil(group(&self.writes, most).max(1));
        }
        batches.min(limit.writes)
    }

    /// Removes the calls of `source` that are sent in one statement.
    pub(super) fn take(&mut self, source: Source, admission: Admission<'_>, may_batch_writes: bool) -> Vec<Queued<C>> {
        match source {
            Source::Lookups(index) => {
                let calls = &mut self.lookups[index].calls;
                let most = batch_size(admission.in_flight, calls.len());
                calls.drain(..group(calls, most)).collect()
            }
            Source::Alone => self.alone.drain(..self.alone.len().min(1)).collect(),
            Source::Writes => {
                let most = most_writes(admission.in_flight, self.writes.len(), may_batch_writes);
                self.writes.drain(..group(&self.writes, most)).collect()
            }
            Source::Contended(index) => {
                let first = self.contended.remove(index);
                let mut batch: Vec<_> = first.into_iter().collect();
                while may_batch_writes && batch.len() < WRITES {
                    let Some(index) = self.due(admission) else { break };
                    let (first, next) = (&batch[0], &self.contended[index]);
                    if first.takes_turns() || next.takes_turns() || !first.shares_batch(next) {
                        break;
                    }
                    batch.extend(self.contended.remove(index));
                }
                batch
            }
        }
    }

    /// As many lookups as fill a batch of the smallest size that is worth a second statement in flight.
    pub(super) fn take_full(&mut self, source: Source, admission: Admission<'_>) -> Option<Vec<Queued<C>>> {
        let Source::Lookups(index) = source else { return None };
        let calls = &self.lookups[index].calls;
        let most = batch_size(admission.in_flight, calls.len());
        (group(calls, most) >= *BATCH.start()).then(|| self.take(source, admission, false))
    }
}
