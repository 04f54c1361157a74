//! When time alone gives the scheduler something to do.

use super::{
    decide::YOUNG,
    in_flight::{RESPONSIVE, SILENT},
    machine::{CHECK, Scheduler},
    queued::{Time, Work},
    worker::{Kind, State, Worker},
};

impl<C: Work> Scheduler<C> {
    /// When `tick` has something to do, if nothing else happens; may be earlier, and is never later.
    pub(in crate::pg::queue) fn next_wake(&self) -> Option<Time> {
        let idle_timeout = self.limits.idle_timeout;
        let calls_wait = !self.waiting.is_empty();
        let is_well_served = calls_wait && self.is_well_served(&self.in_flight(self.now));
        let hanging_after = self.hanging_after();
        let alone_wait = !self.waiting.alone.is_empty();
        let of_worker = |worker: &Worker| {
            let retire_at = worker.opened.and_then(|opened| opened.retire_at);
            match &worker.state {
                State::Connecting { since, .. } if calls_wait => [Some(*since + YOUNG), Some(*since + hanging_after)],
                State::Connecting { .. } => [None, None],
                State::Idle { since } => [idle_timeout.map(|limit| *since + limit), retire_at],
                State::Checking { since } => [Some(*since + CHECK), Some(*since + YOUNG).filter(|_| calls_wait)],
                State::Busy { flights } => {
                    let waited_for = |at: usize| match flights.get(at)? {
                        flight if flight.kind == Kind::Alone => Some(flight.sent + SILENT).filter(|_| alone_wait),
                        flight => Some(flight.sent + RESPONSIVE).filter(|_| is_well_served),
                    };
                    [waited_for(0), waited_for(1)]
                }
                State::Closing { until, .. } => [*until, None],
            }
        };
        let opening = self.refusals.not_before.filter(|_| calls_wait);
        let deadline = self.waiting.earliest.filter(|_| calls_wait);
        let of_workers = self.workers.iter().flat_map(of_worker).flatten();
        let times = of_workers.chain(opening).chain(self.waiting.due_times());
        times.filter(|&time| time > self.now).chain(deadline).min()
    }
}
