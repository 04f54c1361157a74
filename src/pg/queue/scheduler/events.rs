//! What happens, and what it changes. What follows from the change is `decide`'s.

use std::{mem, time::Duration};

use super::{
    figures::Rejection,
    machine::{Command, Connection, Ending, Refusals, Return, Scheduler},
    queued::{Queued, Time, Work},
    worker::{Kind, Opened, Refusal, State, Worker, WorkerId},
};

/// A call waits this much longer than its deadline, so that an attempt to connect that ends with the deadline still gives its
/// own error.
const GRACE: Duration = Duration::from_millis(50);
/// How long calls that were rolled back of a user who has set no limit are tried.
const CONTENTION_PATIENCE: Duration = Duration::from_secs(30);
/// The pause before a call that was rolled back is sent again: the first, and the longest, before chance.
const CONTENTION_PAUSE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(500)];
/// The pause after a connection that could not be opened while others serve: the first, and the longest.
const REFUSAL_PAUSE: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(8)];
/// The same in an outage, when no connection is left.
const OUTAGE_PAUSE: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];
/// How long a cancel that has been sent may take to reach the server.
pub(in crate::pg::queue) const CANCEL: Duration = Duration::from_secs(2);

impl<C: Work> Scheduler<C> {
    /// Calls are queued. They are sent when they fill a batch, or when all that are queued are flushed, as they are at the end
    /// of a turn of the event loop.
    pub(in crate::pg::queue) fn queued(&mut self, now: Time, calls: impl IntoIterator<Item = C>, are_flushed: bool) {
        for call in calls {
            self.waiting.push(now, call);
        }
        if are_flushed {
            self.waiting.flush(self.limits.patience.map(|patience| now + patience + GRACE));
        }
        if self.is_ended {
            self.settle_all();
        }
        self.decide(now, None);
    }

    /// A worker has opened its connection, over which lookups for the calls of these numbers were sent ahead. True when it may be
    /// ordered something. Where other connections have got all of those calls meanwhile, what comes next would wait behind lookups
    /// that nobody wants: `checked` says that they are over.
    pub(in crate::pg::queue) fn connected(&mut self, now: Time, id: WorkerId, opened: Opened, ahead: &[u64]) -> bool {
        let is_free = ahead.is_empty() || self.waiting.queues().flatten().any(|queued| ahead.contains(&queued.number));
        let Some(worker) = self.worker(id) else {
            self.decide(now, None);
            return is_free;
        };
        worker.opened = Some(opened);
        if worker.connecting_since().is_some() {
            worker.state = if is_free { State::Idle { since: now } } else { State::Checking { since: now } };
        }
        self.figures.opened += 1;
        if let Some(time) = opened.round_trip {
            self.took(time);
        }
        self.was_connected = true;
        self.unreachable = None;
        self.is_outage = false;
        self.refusals = Refusals::default();
        self.decide(now, None);
        is_free
    }

    /// A worker could not open its connection, and is gone.
    pub(in crate::pg::queue) fn connect_failed(&mut self, now: Time, id: WorkerId, error: C::Error, refusal: Refusal) {
        let Some(worker) = self.remove(id) else { return self.decide(now, None) };
        let State::Connecting { first, .. } = worker.state else { return self.decide(now, None) };
        let is_serving = self.workers.iter().any(Worker::is_serving);
        self.unreachable = (!is_serving).then_some(error);
        let is_coming = match refusal {
            // A server that is full answers: also an attempt that takes long will end.
            Refusal::Full => self.workers.iter().any(|worker| worker.connecting_since().is_some()),
            Refusal::Lasting | Refusal::Passing => self.young_attempts(now) > 0,
        };
        if is_serving || is_coming {
            self.pause_opening(now, REFUSAL_PAUSE);
        } else if self.was_connected && refusal != Refusal::Lasting {
            self.pause_opening(now, OUTAGE_PAUSE);
            self.is_outage = true;
        } else {
            self.refusals = Refusals::default();
            let unreachable = self.unreachable.clone();
            // Calls queued after the attempt began wait for the next attempt.
            for queued in self.waiting.drain(|queued| queued.number <= first) {
                self.settle(queued, unreachable.clone().map_or(Ending::TimedOut, Ending::Failed));
            }
        }
        self.decide(now, None);
    }

    /// A round trip took this long.
    fn took(&mut self, time: Duration) {
        self.nearest = Some(self.nearest.map_or(time, |nearest| nearest.min(time)));
    }

    fn pause_opening(&mut self, now: Time, [shortest, longest]: [Duration; 2]) {
        // Attempts that were under way together count once.
        if self.refusals.not_before.is_none_or(|time| time <= now) {
            self.refusals.in_a_row += 1;
        }
        let doublings = self.refusals.in_a_row.saturating_sub(1).min(16);
        self.refusals.not_before = Some(now + shortest.saturating_mul(1 << doublings).min(longest));
    }

    /// A worker has found out whether its connection is still there. Where it is not, the worker is gone.
    pub(in crate::pg::queue) fn checked(&mut self, now: Time, id: WorkerId, is_open: bool) {
        if is_open {
            if let Some(worker) = self.worker(id)
                && let State::Checking { since } = worker.state
            {
                worker.state = State::Idle { since: now };
                worker.has_answered(since);
            }
            self.decide(now, None);
        } else {
            self.gone(now, id);
        }
    }

    /// A statement has ended. `returned` are those of its calls that are to be sent again; the others have been settled.
    /// `chance` spreads pauses: 0.5 to 1.5.
    pub(in crate::pg::queue) fn answered(
        &mut self,
        now: Time,
        id: WorkerId,
        flight: u64,
        returned: Vec<(Queued<C>, Return<C::Error>)>,
        connection: Connection,
        chance: f64,
    ) {
        let sent = self.flights().find(|other| other.number == flight).map_or(now, |flight| flight.sent);
        for (queued, why) in returned {
            self.take_back(now, sent, queued, why, chance);
        }
        let Some(worker) = self.worker(id) else { return self.decide(now, None) };
        let (State::Busy { flights } | State::Closing { flights, .. }) = &mut worker.state else {
            return self.decide(now, None);
        };
        let Some(at) = flights.iter().position(|other| other.number == flight) else { return self.decide(now, None) };
        let flight = flights.remove(at);
        worker.has_answered(flight.sent);
        let is_lone = flight.calls == 1 && flight.kind == Kind::Lookups && connection == Connection::Stays;
        let until = match connection {
            Connection::Stays => None,
            Connection::Ends => Some(None),
            Connection::Cancelled => Some(Some(now + CANCEL)),
        };
        let is_lost = connection == Connection::Ends && worker.is_serving();
        match (&mut worker.state, until) {
            (State::Busy { flights }, Some(until)) => {
                worker.state = State::Closing { until, flights: mem::take(flights) };
            }
            // The cancel of the other statement may have arrived already.
            (State::Closing { until, .. }, Some(Some(later))) => *until = Some(later),
            (State::Busy { flights }, None) if flights.is_empty() => worker.state = State::Idle { since: now },
            _ => {}
        }
        let closes = matches!(&worker.state, State::Closing { until: None, flights } if flights.is_empty());
        if closes {
            self.commands.push(Command::Close(id));
        }
        let used = now.saturating_sub(flight.sent);
        if is_lone {
            self.took(used);
        }
        self.figures.uses.add(used);
        self.figures.lost += u64::from(is_lost);
        self.figures.cancelled += u64::from(connection == Connection::Cancelled);
        if connection == Connection::Ends {
            self.doubt_others(now);
        }
        self.decide(now, Some(id));
    }

    fn take_back(&mut self, now: Time, sent: Time, mut queued: Queued<C>, why: Return<C::Error>, chance: f64) {
        let patience = self.limits.patience.map(|patience| now + patience);
        match why {
            Return::Lost(error) => {
                if queued.lose() {
                    queued.deadline = patience;
                }
                if queued.deadline.is_some_and(|deadline| deadline <= now) {
                    return self.settle(queued, Ending::Failed(error));
                }
                queued.part();
            }
            Return::Alone => {
                queued.part();
                queued.deadline = patience;
            }
            Return::Contended(error) => {
                let times = queued.contentions();
                let limit = queued.deadline.filter(|_| times > 0);
                let limit = limit.unwrap_or_else(|| sent + self.limits.patience.unwrap_or(CONTENTION_PATIENCE));
                let [shortest, longest] = CONTENTION_PAUSE;
                let pause = shortest.saturating_mul(1 << times.min(16)).min(longest).mul_f64(chance);
                if now + pause > limit {
                    return self.settle(queued, Ending::Failed(error));
                }
                queued.deadline = Some(limit);
                queued.contend(now + pause, error);
            }
        }
        if self.is_ended || !queued.work.is_awaited() {
            return self.settle(queued, Ending::Ended);
        }
        queued.since = queued.not_before().max(now);
        self.figures.retried += 1;
        self.waiting.put_back(queued);
    }

    /// A cancel that was under way to a worker's connection has arrived, or never will.
    pub(in crate::pg::queue) fn cancel_spent(&mut self, now: Time, id: WorkerId) {
        if let Some(worker) = self.worker(id)
            && let State::Closing { until: until @ Some(_), flights } = &mut worker.state
        {
            *until = None;
            if flights.is_empty() {
                self.commands.push(Command::Close(id));
            }
        }
        self.decide(now, None);
    }

    /// The connection of a worker is lost, or closed, and the worker with it.
    pub(in crate::pg::queue) fn gone(&mut self, now: Time, id: WorkerId) {
        let worker = self.remove(id);
        let was_opened = worker.as_ref().is_some_and(|worker| worker.opened.is_some());
        if worker.is_some_and(|worker| worker.is_serving()) {
            self.figures.lost += 1;
            self.doubt_others(now);
        }
        if !self.workers.iter().any(Worker::is_serving) {
            // The next one may be of another server.
            self.nearest = None;
            if was_opened {
                // The pause spared the server while other connections served; none does now.
                self.refusals = Refusals::default();
            }
        }
        self.decide(now, None);
    }

    /// A connection was lost: a change is sent over no other that has not been heard from since, nor over one that was being
    /// opened, whose server may have said its last word before.
    fn doubt_others(&mut self, now: Time) {
        for worker in &mut self.workers {
            worker.doubted = Some(now);
        }
    }

    /// Time has passed, until `next_wake` or later.
    pub(in crate::pg::queue) fn tick(&mut self, now: Time) {
        let unreachable = self.unreachable.clone();
        for queued in self.waiting.expire(now) {
            let error = queued.refusal().cloned().or_else(|| unreachable.clone());
            let ending = error.map_or(Ending::TimedOut, Ending::Failed);
            self.settle(queued, ending);
        }
        self.decide(now, None);
    }

    /// A caller has ended: its calls are not sent any more.
    pub(in crate::pg::queue) fn caller_ended(&mut self, now: Time) {
        for queued in self.waiting.drain(|queued| !queued.work.is_awaited()) {
            self.settle(queued, Ending::Ended);
        }
        self.decide(now, None);
    }

    /// Calls that wait are settled, as those are that come later; connections close when they have answered.
    pub(in crate::pg::queue) fn ended(&mut self, now: Time) {
        self.is_ended = true;
        self.settle_all();
        self.decide(now, None);
    }

    fn settle_all(&mut self) {
        for queued in self.waiting.drain(|_| true) {
            self.settle(queued, Ending::Ended);
        }
    }

    fn settle(&mut self, queued: Queued<C>, ending: Ending<C::Error>) {
        self.rejected(match &ending {
            Ending::Failed(error) => C::rejection(error),
            Ending::TimedOut => Some(Rejection::ConnectTimeout),
            Ending::Ended => None,
        });
        self.commands.push(Command::Settle(queued, ending));
    }
}
