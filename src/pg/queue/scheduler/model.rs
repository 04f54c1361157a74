//! What surrounds a scheduler in tests: calls that are numbers, workers that do what they are told when the test says so, and
//! the rules that hold after every event.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::Duration,
};

use super::{
    Command, Connection, Ending, Limits, Opened, Queued, Refusal, Rejection, Return, Scheduler, Time, Work, WorkerId,
    decide::YOUNG,
    worker::{Kind, State, Worker},
};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// A call waits this much longer than the user says when nothing has happened to it.
const GRACE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::pg::queue) struct Job {
    pub(super) id: u32,
    pub(super) statement: u64,
    pub(super) is_write: bool,
    pub(super) bytes: usize,
    pub(super) row: Option<u64>,
    pub(super) is_batchable: bool,
    pub(super) is_awaited: bool,
}

impl Job {
    pub(in crate::pg::queue) fn lookup(id: u32) -> Self {
        Self { id, statement: 1, is_write: false, bytes: 10, row: None, is_batchable: true, is_awaited: true }
    }

    /// A lookup that nobody waits for any longer.
    pub(in crate::pg::queue) fn of_ended(id: u32) -> Self {
        Self { is_awaited: false, ..Self::lookup(id) }
    }

    pub(super) fn write(id: u32) -> Self {
        Self { id, statement: 2, is_write: true, bytes: 10, row: None, is_batchable: false, is_awaited: true }
    }
}

impl Work for Job {
    type Error = &'static str;

    fn statement(&self) -> u64 {
        self.statement
    }

    fn is_write(&self) -> bool {
        self.is_write
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn row(&self) -> Option<u64> {
        self.row
    }

    fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    fn rejection(error: &&'static str) -> Option<Rejection> {
        match *error {
            "unknown" => Some(Rejection::Unknown),
            "query timeout" => Some(Rejection::QueryTimeout),
            "connect timeout" => Some(Rejection::ConnectTimeout),
            _ => None,
        }
    }

    fn shares_batch(&self, other: &Self) -> bool {
        self.is_batchable && other.is_batchable && self.statement == other.statement
    }
}

/// One statement that a worker has sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) worker: WorkerId,
    pub(super) flight: u64,
    pub(super) calls: Vec<Queued<Job>>,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) scheduler: Scheduler<Job>,
    pub(super) now: Time,
    pub(super) joined: u32,
    pub(super) opening: Vec<WorkerId>,
    /// With a question to the server, or with a look.
    pub(super) checking: Vec<(WorkerId, bool)>,
    pub(super) closing: Vec<WorkerId>,
    pub(super) sent: Vec<Sent>,
    pub(super) settled: BTreeMap<u32, Ending<&'static str>>,
    pub(super) answered: BTreeMap<u32, u32>,
    /// By the ids of the calls that have not ended.
    pub(super) known: BTreeMap<u32, Known>,
    /// The ids of the calls that have come since the last flush.
    unflushed: Vec<u32>,
    /// The workers that were idle before the last event, and since when.
    were_idle: Vec<(WorkerId, Time)>,
}

/// What has happened to a call, whatever the scheduler makes of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// When it has waited for as long as it may, where the user has set a limit.
    pub(super) bound: Option<Time>,
    was_lost: bool,
    /// Its batch failed, was held up, or lost its connection.
    pub(super) was_parted: bool,
    has_contended: bool,
}

impl World {
    pub(super) fn new(max: usize, patience: Option<Duration>, idle_timeout: Option<Duration>) -> Self {
        Self {
            scheduler: Scheduler::new(Limits { max, patience, idle_timeout }),
            now: SECOND,
            joined: 0,
            opening: Vec::new(),
            checking: Vec::new(),
            closing: Vec::new(),
            sent: Vec::new(),
            settled: BTreeMap::new(),
            answered: BTreeMap::new(),
            known: BTreeMap::new(),
            unflushed: Vec::new(),
            were_idle: Vec::new(),
        }
    }

    /// Carries out what the scheduler commands, and looks whether the rules hold.
    pub(super) fn obey(&mut self) {
        let mut commands: VecDeque<_> = self.scheduler.take_commands().collect();
        while let Some(command) = commands.pop_front() {
            match command {
                Command::Open(id) => self.opening.push(id),
                Command::Check { worker, asks } => self.checking.push((worker, asks)),
                Command::Send { worker, flight, calls } => {
                    assert!(!calls.is_empty());
                    let has = self.sent.iter().filter(|sent| sent.worker == worker).count();
                    assert!(has < 2, "three statements in flight");
                    assert!(!self.closing.contains(&worker), "sent to a worker that closes");
                    self.check_that_none_is_overtaken(worker, &calls[0], &commands);
                    self.sent.push(Sent { worker, flight, calls });
                }
                Command::Close(id) => {
                    assert!(!self.closing.contains(&id), "closed twice");
                    assert!(!self.sent.iter().any(|sent| sent.worker == id), "closed under a statement in flight");
                    self.opening.retain(|other| *other != id);
                    self.checking.retain(|(other, _)| *other != id);
                    self.closing.push(id);
                }
                Command::Settle(queued, ending) => {
                    self.known.remove(&queued.work.id);
                    assert!(self.settled.insert(queued.work.id, ending).is_none(), "settled twice");
                }
            }
        }
        let idle = self.scheduler.workers.iter().filter_map(|worker| Some((worker.id, worker.idle_since()?)));
        self.were_idle.clear();
        self.were_idle.extend(idle);
        self.check_rules();
    }

    pub(super) fn join(&mut self, jobs: &[Job], flush: bool) {
        self.joined += u32::try_from(jobs.len()).unwrap();
        self.known.extend(jobs.iter().map(|job| (job.id, Known::default())));
        self.unflushed.extend(jobs.iter().map(|job| job.id));
        self.scheduler.queued(self.now, jobs.iter().copied(), false);
        self.obey();
        if flush {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        let bound = self.scheduler.limits.patience.map(|patience| self.now + patience + GRACE);
        for id in self.unflushed.drain(..) {
            if let Some(known) = self.known.get_mut(&id) {
                known.bound = known.bound.or(bound);
            }
        }
        self.scheduler.queued(self.now, [], true);
        self.obey();
    }

    pub(super) fn connect(&mut self, id: WorkerId) {
        self.connect_with(id, Opened { retire_at: None, may_batch_writes: true, round_trip: None });
    }

    pub(super) fn connect_with(&mut self, id: WorkerId, opened: Opened) {
        self.opening.retain(|other| *other != id);
        self.scheduler.connected(self.now, id, opened, &[]);
        self.obey();
    }

    pub(super) fn refuse(&mut self, id: WorkerId, refusal: Refusal) {
        self.opening.retain(|other| *other != id);
        self.scheduler.connect_failed(self.now, id, "refused", refusal);
        self.obey();
    }

    pub(super) fn check(&mut self, id: WorkerId, is_open: bool) {
        self.checking.retain(|(other, _)| *other != id);
        self.scheduler.checked(self.now, id, is_open);
        self.obey();
    }

    /// Every call of the statement is answered.
    pub(super) fn answer(&mut self, flight: u64) {
        self.end(flight, Connection::Stays, |_| None);
    }

    /// The statement ends; `why` says which of its calls come back.
    pub(super) fn end(
        &mut self,
        flight: u64,
        connection: Connection,
        why: impl Fn(&Queued<Job>) -> Option<Return<&'static str>>,
    ) {
        let at = self.sent.iter().position(|sent| sent.flight == flight).expect("it is in flight");
        let Sent { worker, calls, .. } = self.sent.remove(at);
        let sent = self.scheduler.flights().find(|other| other.number == flight).map_or(self.now, |flight| flight.sent);
        let mut returned = Vec::new();
        for queued in calls {
            if let Some(why) = why(&queued) {
                self.comes_back(queued.work.id, &why, sent);
                returned.push((queued, why));
            } else {
                self.known.remove(&queued.work.id);
                *self.answered.entry(queued.work.id).or_default() += 1;
            }
        }
        self.scheduler.answered(self.now, worker, flight, returned, connection, 1.0);
        self.obey();
    }

    /// The wait of a call that is sent again counts from its first loss, from when it was parted from its batch, and from
    /// when it was sent that the server rolled back first.
    fn comes_back(&mut self, id: u32, why: &Return<&'static str>, sent: Time) {
        let patience = self.scheduler.limits.patience;
        let known = self.known.get_mut(&id).expect("it has not ended");
        let from = match why {
            Return::Lost(_) => (!mem::replace(&mut known.was_lost, true)).then_some(self.now),
            Return::Alone => Some(self.now),
            Return::Contended(_) => (!mem::replace(&mut known.has_contended, true)).then_some(sent),
        };
        known.was_parted |= !matches!(why, Return::Contended(_));
        if let (Some(from), Some(patience)) = (from, patience) {
            known.bound = Some(from + patience);
        }
    }

    pub(super) fn cancel_spent(&mut self, id: WorkerId) {
        self.scheduler.cancel_spent(self.now, id);
        self.obey();
    }

    /// The worker is gone: it closed, or lost its connection while it was idle.
    pub(super) fn gone(&mut self, id: WorkerId) {
        self.closing.retain(|other| *other != id);
        self.scheduler.gone(self.now, id);
        self.obey();
    }

    pub(super) fn close_all(&mut self) {
        while let Some(&id) = self.closing.first() {
            self.gone(id);
        }
    }

    pub(super) fn tick(&mut self) {
        self.scheduler.tick(self.now);
        self.obey();
    }

    /// Time passes, and the scheduler is told at each moment that it has named.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(wake) = self.scheduler.next_wake().filter(|wake| *wake <= until) {
            assert!(wake >= self.now, "a moment that has passed");
            self.now = wake;
            self.tick();
            self.close_all();
        }
        self.now = until;
    }

    pub(super) fn finish(&mut self) {
        self.scheduler.ended(self.now);
        self.obey();
    }

    pub(super) fn idle(&self) -> Vec<WorkerId> {
        self.scheduler.workers.iter().filter(|worker| worker.idle_since().is_some()).map(|worker| worker.id).collect()
    }

    pub(super) fn since(&self, time: Time) -> Duration {
        self.now.saturating_sub(time)
    }

    /// The ids of the calls in flight, by statement, in the order in which those were sent.
    pub(super) fn in_flight(&self) -> Vec<Vec<u32>> {
        self.sent.iter().map(|sent| sent.calls.iter().map(|queued| queued.work.id).collect()).collect()
    }

    pub(super) fn last(&self) -> &Sent {
        self.sent.last().expect("something is in flight")
    }

    fn workers_where(&self, is: impl Fn(&Worker) -> bool) -> usize {
        self.scheduler.workers.iter().filter(|worker| is(worker)).count()
    }

    /// A call is about to be sent over `worker`: no older one could have been, which waits, or is sent `later` in the same
    /// moment. Each queue is judged by itself, by its first call.
    fn check_that_none_is_overtaken(&self, worker: WorkerId, sent: &Queued<Job>, later: &VecDeque<Command<Job>>) {
        let waiting = &self.scheduler.waiting;
        if waiting.is_empty() && later.is_empty() {
            return;
        }
        let sent_later = later.iter().filter_map(|command| match command {
            Command::Send { calls, .. } => Some(calls),
            _ => None,
        });
        let queues = waiting.lookups.iter().map(|queue| &queue.calls).chain([&waiting.alone, &waiting.writes]);
        let not_sent: Vec<_> = queues.flatten().chain(sent_later.flatten()).collect();
        let first = |is_of: &dyn Fn(&Queued<Job>) -> bool| {
            not_sent.iter().filter(|queued| is_of(queued)).min_by_key(|queued| queued.number).copied()
        };
        // Lookups may be held for connections that answer soon: `tests` says when.
        let may_be_held = self.sent.iter().map(|sent| sent.calls.len()).sum::<usize>() >= 48;
        let is_lookup = |other: &Queued<Job>| !other.work.is_write && !other.is_alone();
        let mut lookups: BTreeMap<u64, &Queued<Job>> = BTreeMap::new();
        for other in not_sent.iter().filter(|other| !may_be_held && is_lookup(other)) {
            let first = lookups.entry(other.work.statement).or_insert(other);
            if other.number < first.number {
                *first = other;
            }
        }
        let alone = first(&|other| !other.work.is_write && other.is_alone()).filter(|_| self.may_be_sent_alone());
        let write = first(&|other| other.work.is_write && other.contentions() == 0);
        let is_contended = |other: &&Queued<Job>| other.work.is_write && other.contentions() > 0;
        let contended = not_sent.iter().copied().filter(is_contended).chain(&waiting.contended);
        let writes = write.into_iter().chain(contended);
        let writes = writes.filter(|write| self.may_take_a_write(worker) && self.is_due(write));
        let older = lookups.into_values().chain(alone).chain(writes).filter(|other| other.number < sent.number);
        let older: Vec<_> = older.filter(|other| other.number <= waiting.flushed).collect();
        assert!(older.is_empty(), "{sent:?} is sent before {older:?}: {self:#?}");
    }

    fn may_be_sent_alone(&self) -> bool {
        let max = self.scheduler.limits.max;
        let flights = self.scheduler.flights().filter(|flight| flight.kind == Kind::Alone);
        let flights = flights.filter(|flight| self.sent.iter().any(|sent| sent.flight == flight.number));
        let (answering, silent): (Vec<_>, Vec<_>) = flights.partition(|flight| flight.sent + SECOND > self.now);
        let most = if max > 2 { max - 1 } else { max };
        answering.len() < (max / 2).max(1) && answering.len() + silent.len() < most
    }

    /// Another connection is left to lookups, and this one has just been heard from.
    fn may_take_a_write(&self, id: WorkerId) -> bool {
        let max = self.scheduler.limits.max;
        let writing = self.sent.iter().filter(|sent| sent.calls[0].work.is_write).count();
        let since = self.were_idle.iter().find(|(worker, _)| *worker == id).map(|(_, since)| *since);
        let is_doubted = self.scheduler.workers.iter().any(|worker| worker.id == id && worker.doubted.is_some());
        writing < if max == 1 { 1 } else { max - 1 }
            && !is_doubted
            && since.is_none_or(|since| self.since(since) <= 50 * MS)
    }

    fn check_rules(&self) {
        let Self { scheduler, .. } = self;
        let max = scheduler.limits.max;
        assert!(scheduler.workers.len() <= max, "more connections than max");
        let writing = self.workers_where(|worker| worker.has(Kind::Write));
        assert!(max == 1 || writing < max, "writes hold the last connection");
        let (answering, alone) = self.sent_alone();
        assert!(answering <= (max / 2).max(1), "lookups sent alone hold more than half of the connections");
        assert!(max <= 2 || alone < max, "lookups sent alone hold the last connection");
        self.check_calls();
        self.check_workers();
        if !scheduler.is_ended {
            self.check_that_nothing_waits_in_vain();
        }
    }

    /// Connections with a lookup that was sent alone less than a second ago, and with any.
    fn sent_alone(&self) -> (usize, usize) {
        let is_answering = |worker: &Worker| {
            worker.flights().iter().any(|flight| flight.kind == Kind::Alone && flight.sent + SECOND > self.now)
        };
        (self.workers_where(is_answering), self.workers_where(|worker| worker.has(Kind::Alone)))
    }

    /// Every call is in one place: it waits, or is in flight, or has been settled, once.
    fn check_calls(&self) {
        let in_flight: usize = self.sent.iter().map(|sent| sent.calls.len()).sum();
        let answered = self.answered.values().sum::<u32>() as usize;
        let ended = answered + self.settled.len();
        assert_eq!(
            in_flight + ended + self.scheduler.waiting.len(),
            self.joined as usize,
            "a call is lost, or doubled"
        );
    }

    fn check_workers(&self) {
        for worker in &self.scheduler.workers {
            let id = worker.id;
            let flights = self.sent.iter().filter(|sent| sent.worker == id).count();
            assert_eq!(worker.flights().len(), flights, "{worker:?}");
            match &worker.state {
                State::Connecting { .. } => assert!(self.opening.contains(&id), "{worker:?}"),
                State::Checking { .. } => assert!(self.checking.iter().any(|(other, _)| *other == id), "{worker:?}"),
                State::Busy { flights } => assert!((1..=2).contains(&flights.len()), "{worker:?}"),
                State::Closing { until: None, flights } if flights.is_empty() => {
                    assert!(self.closing.contains(&id), "{worker:?}");
                }
                State::Idle { .. } | State::Closing { .. } => {}
            }
        }
    }

    fn is_due(&self, queued: &Queued<Job>) -> bool {
        let rows = || self.sent.iter().flat_map(|sent| &sent.calls).chain(self.scheduler.waiting.contended.iter());
        let shares_row = |other: &Queued<Job>| other.work.row.is_some() && other.work.row == queued.work.row;
        let takes_turns = rows().any(|other| shares_row(other) && other.contentions() >= 2);
        let is_behind = rows().any(|other| shares_row(other) && other.number < queued.number);
        let in_flight = self.sent.iter().flat_map(|sent| &sent.calls).any(shares_row);
        queued.not_before() <= self.now && !(takes_turns && (is_behind || in_flight))
    }

    /// No call that may be sent waits beside an idle connection, or while another may be opened.
    fn check_that_nothing_waits_in_vain(&self) {
        let Scheduler { limits, waiting, workers, refusals, is_outage, .. } = &self.scheduler;
        if self.sent.iter().map(|sent| sent.calls.len()).sum::<usize>() >= 48 {
            // Lookups may be held for connections that answer soon: `tests` says when.
            return;
        }
        let flushed = waiting.flushed;
        let lookups = waiting.lookups.iter().filter(|queue| queue.calls.iter().any(|queued| queued.number <= flushed));
        let (answering, alone) = self.sent_alone();
        let most_alone = if limits.max > 2 { limits.max - 1 } else { limits.max } - alone;
        let most_alone = most_alone.min((limits.max / 2).max(1) - answering);
        let most_writes =
            if limits.max == 1 { 1 } else { limits.max - 1 } - self.workers_where(|worker| worker.has(Kind::Write));
        let first = waiting.writes.front().filter(|first| first.number <= flushed);
        let writes =
            usize::from(first.is_some()) + usize::from(waiting.contended.iter().any(|queued| self.is_due(queued)));
        let (alone, writes) = (waiting.alone.len().min(most_alone), writes.min(most_writes));
        let batches = lookups.count() + alone + writes;
        if batches == 0 {
            return;
        }
        let checking = workers.iter().filter(|worker| matches!(worker.state, State::Checking { .. })).count();
        let is_idle = workers.iter().any(|worker| worker.idle_since().is_some());
        // A connection that was idle for long is looked at before a write.
        assert!(!is_idle || (batches == writes && checking >= writes), "a call waits beside an idle connection");
        let is_paused = refusals.not_before.is_some_and(|time| time > self.now);
        let is_young = |worker: &Worker| match worker.state {
            State::Connecting { since, .. } | State::Checking { since } => since + YOUNG > self.now,
            _ => false,
        };
        let coming = workers.iter().filter(|worker| is_young(worker)).count();
        let wanted = if *is_outage { 1 } else { batches };
        let may_open = workers.len() < limits.max && !is_paused && coming < wanted;
        assert!(!may_open, "a call waits while a connection may be opened");
    }
}
