//! What is in flight, and how many more connections each kind of call may hold beside it.

use std::time::Duration;

use super::{
    batch::{BATCH, batch_size},
    machine::Scheduler,
    queued::{Time, Work},
    worker::Kind,
};

/// Connections that are enough for a server which is near.
const ENOUGH: usize = 3;
/// A server is near that answers a single lookup in less than this.
const NEAR: Duration = Duration::from_millis(1);
/// After this without an answer, lookups do not wait for a connection any more.
pub(super) const RESPONSIVE: Duration = Duration::from_millis(5);
/// A lookup that was sent by itself is silent when it has no answer after this.
pub(super) const SILENT: Duration = Duration::from_secs(1);

/// Counted anew after every change, in one pass.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    pub(super) calls: usize,
    /// Connections that are likely to answer lookups soon, and then serve others.
    responsive: usize,
    /// Connections with a write.
    writing: usize,
    /// Connections with a lookup that was sent by itself.
    alone: usize,
    /// Those of them that are silent.
    silent: usize,
}

impl<C: Work> Scheduler<C> {
    pub(super) fn in_flight(&self, now: Time) -> InFlight {
        let mut counted = InFlight::default();
        for worker in &self.workers {
            let mut is_responsive = false;
            for flight in worker.flights() {
                counted.calls += flight.calls;
                match flight.kind {
                    Kind::Lookups => is_responsive |= flight.sent + RESPONSIVE > now,
                    Kind::Write => {}
                    Kind::Alone => {
                        counted.alone += 1;
                        counted.silent += usize::from(flight.sent + SILENT <= now);
                    }
                }
            }
            counted.responsive += usize::from(is_responsive && worker.is_serving());
            counted.writing += usize::from(worker.has(Kind::Write));
        }
        counted
    }

    /// How many lookups one statement is for, at most, once so many more wait.
    pub(in crate::pg::queue) fn batch_with(&self, now: Time, more: usize) -> usize {
        batch_size(self.in_flight(now).calls, self.waiting.len() + more)
    }

    /// So many calls are in flight that a server which is near does more on a few connections, where it always finds a next
    /// statement, than on many. Lookups wait for those.
    pub(super) fn is_well_served(&self, in_flight: &InFlight) -> bool {
        self.nearest.is_some_and(|time| time < NEAR)
            && in_flight.calls >= ENOUGH * BATCH.start()
            && in_flight.responsive >= ENOUGH
    }

    /// Writes may wait for each other in the server. One connection is left to lookups, so that these go on.
    pub(super) fn write_slots(&self, in_flight: &InFlight) -> usize {
        let most = if self.limits.max == 1 { 1 } else { self.limits.max - 1 };
        most.saturating_sub(in_flight.writing)
    }

    /// Lookups that are sent by themselves may meet a lock: they leave half of the connections to others. Silent ones may as
    /// well have met a connection that leads nowhere: then one connection is left to others, where there are three.
    pub(super) fn alone_slots(&self, in_flight: &InFlight) -> usize {
        let max = self.limits.max;
        let most = if max > 2 { max - 1 } else { max };
        let answering = in_flight.alone - in_flight.silent;
        (max / 2).max(1).saturating_sub(answering).min(most.saturating_sub(in_flight.alone))
    }
}
