//! Where the JavaScript thread leaves its calls for the runtime's thread: a program has one JavaScript thread, which is not
//! to do the scheduler's work.

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::scheduler::{SMALLEST_BATCH, Scheduler, Time};
use crate::pg::exchange::Call;

#[derive(Default)]
pub(super) struct Inbox {
    arrived: Mutex<Arrived>,
    /// Whether anything has arrived, for who looks often.
    is_filled: AtomicBool,
}

#[derive(Default)]
struct Arrived {
    calls: Vec<Call>,
    /// So many of the calls are flushed, if a flush has come since they were taken in last.
    flushed: Option<usize>,
    /// The runtime's thread has been called, or need not be.
    is_called: bool,
    is_watched: bool,
    is_closed: bool,
}

/// The runtime's thread looks into the inbox as long as this lives.
pub(super) struct Watch<'a>(&'a Inbox);

impl Inbox {
    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves calls, all of which may be sent now when `are_last`. True when the runtime's thread has to be called to take
    /// them in: a turn of the event loop is over, or they fill a batch. Calls that come after `close` are given back.
    pub(super) fn put(&self, calls: impl IntoIterator<Item = Call>, are_last: bool) -> Result<bool, Vec<Call>> {
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
        let is_worth_it = are_last || count >= SMALLEST_BATCH as usize;
        Ok(is_worth_it && !mem::replace(&mut arrived.is_called, true))
    }

    pub(super) fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Acquire)
    }

    /// Queues what has arrived, by way of `memory`, which is empty.
    pub(super) fn hand_over(&self, memory: &mut Vec<Call>, scheduler: &mut Scheduler<Call>, now: Time) {
        let flushed = {
            let mut arrived = self.arrived();
            self.is_filled.store(false, Ordering::Release);
            arrived.is_called = arrived.is_watched;
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

    /// Until the watch is dropped nobody is called: the thread looks by itself.
    pub(super) fn watch(&self) -> Watch<'_> {
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

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.set_watched(false);
    }
}
