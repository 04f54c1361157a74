//! What follows from the state after every event: which calls are sent, which connections are opened, and when to look again.

use std::time::Duration;

use super::{
    admission::{Admission, Batches, Kinds, Source},
    machine::{CHECK, Command, Scheduler},
    queued::{Queued, Row, Time, Work},
    worker::{Flight, Kind, State, Worker, WorkerId},
};

/// Statements in flight on a connection. A third gained nothing.
const IN_FLIGHT: usize = 2;
/// A connection that was idle for longer may have been closed: a write does not rely on it.
const FRESH: Duration = Duration::from_millis(50);
/// A connection that was idle for longer may have been cut off in silence, by NAT or by the freezing of a function.
const UNSURE: Duration = Duration::from_secs(30);
/// An attempt to connect that is older is not counted on.
pub(super) const YOUNG: Duration = Duration::from_millis(250);
/// When every worker is an attempt to connect, the oldest is given up after this; the next one after twice as long, and so
/// on: a server that is slow must not have every attempt given up before it can succeed.
const HANGING: Duration = Duration::from_secs(5);

impl<C: Work> Scheduler<C> {
    /// The worker `answered` has just answered: it takes calls that are not flushed yet.
    pub(super) fn decide(&mut self, now: Time, answered: Option<WorkerId>) {
        self.now = now;
        self.close_what_is_over(now);
        self.waiting.resume(now);
        if self.waiting.is_empty() {
            self.waiting.earliest = None;
            return;
        }
        let rows = self.rows();
        self.waiting.set_turns_aside(&rows);
        if let Some(id) = answered {
            self.send_to(now, id);
        }
        // Most calls find a connection at once, or have to wait for the end of their turn.
        if !self.waiting.may_any_leave() {
            return;
        }
        while self.send_to_idle(now) {}
        if !self.waiting.may_any_leave() {
            return;
        }
        while self.send_second(now) {}
        self.open(now);
    }

    fn close_what_is_over(&mut self, now: Time) {
        let idle_timeout = self.limits.idle_timeout;
        for worker in &mut self.workers {
            let is_over = match &worker.state {
                State::Connecting { .. } => self.is_ended,
                State::Idle { since } => {
                    self.is_ended || worker.is_worn(now) || idle_timeout.is_some_and(|limit| *since + limit <= now)
                }
                State::Checking { since } => self.is_ended || *since + CHECK <= now,
                State::Busy { .. } => false,
                State::Closing { until, flights } => until.is_some_and(|until| until <= now) && flights.is_empty(),
            };
            if is_over {
                worker.state = State::Closing { until: None, flights: Vec::new() };
                self.commands.push(Command::Close(worker.id));
            }
        }
    }

    /// The rows of writes in flight, where any is contended.
    fn rows(&self) -> Vec<Row> {
        let rows = || self.flights().flat_map(|flight| &flight.rows);
        if self.waiting.contended.is_empty() && !rows().any(|row| row.takes_turns) {
            return Vec::new();
        }
        rows().copied().collect()
    }

    fn admission<'a>(&self, now: Time, rows: &'a [Row]) -> Admission<'a> {
        let in_flight = self.in_flight(now);
        Admission {
            now,
            unflushed: false,
            kinds: Kinds {
                lookups: !self.is_well_served(&in_flight),
                alone: self.alone_slots(&in_flight) > 0,
                writes: self.write_slots(&in_flight) > 0,
            },
            in_flight: in_flight.calls,
            rows,
        }
    }

    /// The worker `id` has answered, and the server behind it is at rest: it takes the oldest call.
    fn send_to(&mut self, now: Time, id: WorkerId) {
        let Some(worker) = self.worker(id) else { return };
        if worker.idle_since().is_none() {
            return;
        }
        let is_doubtful = worker.doubted.is_some();
        let rows = self.rows();
        let mut admission = Admission { unflushed: true, ..self.admission(now, &rows) };
        admission.kinds.lookups = true;
        admission.kinds.writes &= !is_doubtful;
        if let Some(source) = self.waiting.oldest(admission) {
            self.send(now, id, source, admission);
        }
    }

    /// Sends the oldest call that may be sent over the connection that was used last. False when there is none of either.
    fn send_to_idle(&mut self, now: Time) -> bool {
        let idle =
            self.workers.iter().filter_map(|worker| Some((worker.idle_since()?, worker.id, worker.doubted.is_some())));
        let Some((since, id, is_doubtful)) = idle.max() else { return false };
        let is_fresh = !is_doubtful && now.saturating_sub(since) <= FRESH;
        let rows = self.rows();
        let mut admission = self.admission(now, &rows);
        // A connection in `Checking` will serve a write.
        admission.kinds.writes &=
            is_fresh || self.checking(now) < self.waiting.write_batches(admission, self.batches(now));
        let Some(source) = self.waiting.oldest(admission) else { return false };
        if !is_fresh && matches!(source, Source::Writes | Source::Contended(_)) {
            if let Some(worker) = self.worker(id) {
                worker.state = State::Checking { since: now };
            }
            let asks = is_doubtful || now.saturating_sub(since) > UNSURE;
            self.commands.push(Command::Check { worker: id, asks });
        } else {
            self.send(now, id, source, admission);
        }
        true
    }

    /// While a statement is in flight the next one can be on its way, so that the server need not wait for it: when many
    /// lookups wait, and no other connection is to take them.
    fn send_second(&mut self, now: Time) -> bool {
        if self.workers.len() < self.limits.max && !self.is_well_served(&self.in_flight(now)) {
            return false;
        }
        let may_follow = |worker: &&Worker| match &worker.state {
            // A lookup that is sent alone may be slow, and a write may wait for another.
            State::Busy { flights } => {
                flights.len() < IN_FLIGHT
                    && flights.iter().all(|flight| flight.kind == Kind::Lookups && flight.calls > 1)
                    && !worker.is_worn(now)
            }
            _ => false,
        };
        let sent = |worker: &Worker| worker.flights().first().map(|flight| flight.sent);
        let Some(id) = self.workers.iter().filter(may_follow).min_by_key(|worker| sent(worker)).map(|worker| worker.id)
        else {
            return false;
        };
        let rows = self.rows();
        let mut admission = self.admission(now, &rows);
        admission.kinds.lookups = true;
        let Some(source) = self.waiting.oldest(admission) else { return false };
        let Some(calls) = self.waiting.take_full(source, admission) else { return false };
        self.sent(now, id, Kind::Lookups, calls);
        true
    }

    fn send(&mut self, now: Time, id: WorkerId, source: Source, admission: Admission<'_>) {
        let may_batch_writes =
            self.worker(id).and_then(|worker| worker.opened).is_some_and(|opened| opened.may_batch_writes);
        let calls = self.waiting.take(source, admission, may_batch_writes);
        let kind = match source {
            Source::Lookups(_) => Kind::Lookups,
            Source::Alone => Kind::Alone,
            Source::Writes | Source::Contended(_) => Kind::Write,
        };
        self.sent(now, id, kind, calls);
    }

    fn sent(&mut self, now: Time, id: WorkerId, kind: Kind, calls: Vec<Queued<C>>) {
        self.last_flight += 1;
        let number = self.last_flight;
        let rows = if kind == Kind::Write { calls.iter().filter_map(Queued::row).collect() } else { Vec::new() };
        let flight = Flight { number, calls: calls.len(), kind, sent: now, rows };
        if let Some(first) = calls.first() {
            self.figures.waits.add(now.saturating_sub(first.since));
        }
        if let Some(worker) = self.worker(id) {
            match &mut worker.state {
                State::Busy { flights } => flights.push(flight),
                state => *state = State::Busy { flights: vec![flight] },
            }
        }
        self.commands.push(Command::Send { worker: id, flight: number, calls });
    }

    fn batches(&self, now: Time) -> Batches {
        let in_flight = self.in_flight(now);
        Batches {
            alone: self.alone_slots(&in_flight),
            writes: self.write_slots(&in_flight),
            may_batch_writes: self
                .workers
                .iter()
                .filter_map(|worker| worker.opened)
                .all(|opened| opened.may_batch_writes),
        }
    }

    /// Workers that will soon know whether their connection is still there.
    fn checking(&self, now: Time) -> usize {
        let is_young = |worker: &&Worker| matches!(worker.state, State::Checking { since } if since + YOUNG > now);
        self.workers.iter().filter(is_young).count()
    }

    pub(super) fn young_attempts(&self, now: Time) -> usize {
        let is_young = |since: Time| since + YOUNG > now;
        self.workers.iter().filter(|worker| worker.connecting_since().is_some_and(is_young)).count()
    }

    /// Opens connections side by side, as long as there are fewer attempts to count on than batches that wait.
    fn open(&mut self, now: Time) {
        let hanging = self.hanging(now);
        if self.workers.len() >= self.limits.max && hanging.is_none() {
            return;
        }
        let rows = self.rows();
        let batches = self.waiting.batches(self.admission(now, &rows), self.batches(now));
        let wanted = if self.is_outage { batches.min(1) } else { batches };
        let coming = self.checking(now) + self.young_attempts(now);
        if coming >= wanted {
            return;
        }
        if let Some(id) = hanging {
            self.give_up(id);
        }
        self.open_more(now, wanted - coming);
    }

    pub(super) fn open_more(&mut self, now: Time, connections: usize) {
        if self.is_ended || self.refusals.not_before.is_some_and(|time| now < time) {
            return;
        }
        for _ in 0..connections.min(self.limits.max.saturating_sub(self.workers.len())) {
            self.last_worker += 1;
            let id = WorkerId(self.last_worker);
            let state = State::Connecting { since: now, first: self.waiting.last_number() };
            self.workers.push(Worker { id, state, opened: None, doubted: None });
            self.commands.push(Command::Open(id));
        }
    }

    /// How old an attempt is when it is given up.
    pub(super) fn hanging_after(&self) -> Duration {
        HANGING.saturating_mul(1 << self.refusals.abandoned.min(3))
    }

    /// The oldest attempt, when it hangs and no connection may be opened beside it, for another to begin when it is gone.
    fn hanging(&self, now: Time) -> Option<WorkerId> {
        if self.workers.len() < self.limits.max || self.workers.iter().any(Worker::is_leaving) {
            return None;
        }
        let attempts = self.workers.iter().filter_map(|worker| Some((worker.connecting_since()?, worker.id)));
        attempts.min().filter(|(since, _)| *since + self.hanging_after() <= now).map(|(_, id)| id)
    }

    fn give_up(&mut self, id: WorkerId) {
        if let Some(worker) = self.worker(id) {
            worker.state = State::Closing { until: None, flights: Vec::new() };
            self.refusals.abandoned += 1;
            self.commands.push(Command::Close(id));
        }
    }
}
