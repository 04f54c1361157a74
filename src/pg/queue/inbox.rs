//! Where the JavaScript thread leaves its calls for the runtime's thread: a program has one JavaScript thread, which is not
//! to do the scheduler's work.

use std::{
    mem,
    sync::{PoisonError, atomic::Ordering},
};

use super::{
    scheduler::{SMALLEST_BATCH, Scheduler, Time, Work},
    sync::{AtomicBool, Mutex, MutexGuard},
};

pub(super) struct Inbox<C> {
    arrived: Mutex<Arrived<C>>,
    /// Whether anything has arrived, for who looks often.
    is_filled: AtomicBool,
}

struct Arrived<C> {
    calls: Vec<C>,
    /// So many of the calls are flushed, if a flush has come since they were taken in last.
    flushed: Option<usize>,
    /// The runtime's thread has been called, or need not be.
    is_called: bool,
    is_watched: bool,
    is_closed: bool,
    /// So many calls fill a batch, as of when calls were taken in last.
    enough: usize,
}

/// The runtime's thread looks into the inbox as long as this lives.
pub(super) struct Watch<'a, C: Work>(&'a Inbox<C>);

impl<C> Default for Inbox<C> {
    fn default() -> Self {
        let arrived = Arrived {
            calls: Vec::new(),
            flushed: None,
            is_called: false,
            is_watched: false,
            is_closed: false,
            enough: SMALLEST_BATCH as usize,
        };
        Self { arrived: Mutex::new(arrived), is_filled: AtomicBool::new(false) }
    }
}

impl<C: Work> Inbox<C> {
    fn arrived(&self) -> MutexGuard<'_, Arrived<C>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves calls, all of which may be sent now when `are_last`. True when the runtime's thread has to be called to take
    /// them in: a turn of the event loop is over, or they fill a batch. Calls that come after `close` are given back.
    pub(super) fn put(&self, calls: impl IntoIterator<Item = C>, are_last: bool) -> Result<bool, Vec<C>> {
        let mut arrived = self.arrived();
        if arrived.is_closed {
            return Err(calls.into_iter().collect());
        }
        arrived.calls.extend(calls);
        let count = arrived.calls.len();
        if are_last {
            arrived.flushed = Some(count);
        }
        self.is_filled.store(true, Ordering::Release);
        let is_worth_it = are_last || count >= arrived.enough;
        Ok(is_worth_it && !mem::replace(&mut arrived.is_called, true))
    }

    pub(super) fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    /// Queues what has arrived, by way of `memory`, which is empty.
    pub(super) fn hand_over(&self, memory: &mut Vec<C>, scheduler: &mut Scheduler<C>, now: Time) {
        let flushed = {
            let mut arrived = self.arrived();
            self.is_filled.store(false, Ordering::Release);
            arrived.is_called = arrived.is_watched;
            arrived.enough = scheduler.batch_with(now, arrived.calls.len());
            mem::swap(&mut arrived.calls, memory);
            arrived.flushed.take()
        };
        if let Some(flushed) = flushed {
            scheduler.queued(now, memory.drain(..flushed), true);
        }
        if !memory.is_empty() {
            scheduler.queued(now, memory.drain(..), false);
        }
    }

    /// Takes out the calls that nobody waits for any longer.
    pub(super) fn take_unawaited(&self) -> Vec<C> {
        let mut arrived = self.arrived();
        let are_flushed = arrived.flushed.unwrap_or(0);
        let calls = mem::take(&mut arrived.calls).into_iter().enumerate();
        let (kept, taken): (Vec<_>, Vec<_>) = calls.partition(|(_, call)| call.is_awaited());
        let flushed = kept.iter().filter(|(at, _)| *at < are_flushed).count();
        arrived.flushed = arrived.flushed.map(|_| flushed);
        arrived.calls = kept.into_iter().map(|(_, call)| call).collect();
        taken.into_iter().map(|(_, call)| call).collect()
    }

    /// Until the watch is dropped nobody is called: the thread looks by itself.
    pub(super) fn watch(&self) -> Watch<'_, C> {
        self.set_watched(true);
        Watch(self)
    }

    fn set_watched(&self, is_watched: bool) {
        let mut arrived = self.arrived();
        arrived.is_watched = is_watched;
        arrived.is_called = is_watched;
    }

    pub(super) fn close(&self) {
        self.arrived().is_closed = true;
    }
}

impl<C: Work> Drop for Watch<'_, C> {
    fn drop(&mut self) {
        self.0.set_watched(false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::scheduler::{Job, Limits},
        Inbox, Scheduler,
    };

    fn lookups(count: u32) -> impl Iterator<Item = Job> {
        (0..count).map(Job::lookup)
    }

    fn scheduler() -> Scheduler<Job> {
        Scheduler::new(Limits { max: 1, patience: None, idle_timeout: None })
    }

    #[test]
    fn the_thread_is_called_at_the_end_of_a_turn_and_once_until_it_has_looked() {
        let inbox = Inbox::default();
        assert_eq!(inbox.put(lookups(1), false), Ok(false));
        assert_eq!(inbox.put(lookups(1), true), Ok(true));
        assert_eq!(inbox.put(lookups(1), true), Ok(false));
        inbox.hand_over(&mut Vec::new(), &mut scheduler(), Duration::ZERO);
        assert_eq!(inbox.put([], true), Ok(true));
    }

    #[test]
    fn the_thread_is_called_within_a_turn_for_a_whole_batch_only() {
        let (inbox, mut scheduler) = (Inbox::default(), scheduler());
        assert_eq!(inbox.put(lookups(15), false), Ok(false));
        assert_eq!(inbox.put(lookups(1), false), Ok(true));
        assert_eq!(inbox.put(lookups(184), true), Ok(false));
        inbox.hand_over(&mut Vec::new(), &mut scheduler, Duration::ZERO);
        // 200 wait: a quarter of them is a batch.
        assert_eq!(inbox.put(lookups(49), false), Ok(false));
        assert_eq!(inbox.put(lookups(1), false), Ok(true));
    }

    #[test]
    fn a_thread_that_watches_is_not_called() {
        let inbox = Inbox::default();
        let watch = inbox.watch();
        assert_eq!(inbox.put(lookups(100), true), Ok(false));
        assert!(inbox.is_filled());
        drop(watch);
        assert_eq!(inbox.put([], true), Ok(true));
    }

    #[test]
    fn calls_that_come_after_the_end_are_given_back() {
        let inbox = Inbox::default();
        inbox.close();
        assert_eq!(inbox.put(lookups(2), true), Err(lookups(2).collect()));
    }

    #[test]
    fn calls_that_nobody_waits_for_are_taken_out_and_what_is_flushed_stays_flushed() {
        let inbox = Inbox::default();
        assert_eq!(inbox.put([Job::of_ended(0), Job::lookup(1), Job::of_ended(2)], true), Ok(true));
        assert_eq!(inbox.put([Job::of_ended(3), Job::lookup(4)], false), Ok(false));
        assert_eq!(inbox.take_unawaited(), [Job::of_ended(0), Job::of_ended(2), Job::of_ended(3)]);
        let arrived = inbox.arrived();
        assert_eq!(arrived.calls, [Job::lookup(1), Job::lookup(4)]);
        assert_eq!(arrived.flushed, Some(1), "that which was left first");
    }
}
