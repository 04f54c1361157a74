//! Where calls wait, and the runners that take them. A runner leases one connection, takes what waits (one call, or
//! several lookups, insertions or deletions of one kind), sends it, settles it, and goes home when nothing waits.
//!
//! Calls that come together travel together, and so does what waits until a connection is free: a server does sixteen in
//! one statement for little more than the price of one.

use std::{
    collections::HashMap,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use deadpool::managed::{Object, PoolError, Timeouts};
use futures_util::{
    StreamExt,
    future::{Either, join_all, select},
    stream::FuturesUnordered,
};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{self, JoinHandle},
    time,
};

use super::{
    pace::{await_next, awake, may_stay_awake},
    waiting::{Front, Load, State, Waiting, settle_all},
};
use crate::pg::{
    connection::{Lease, Pool, Program, new_pool},
    error::{Error, code},
    exchange::{Call, Outcome, Spares, Verdict, carry_out},
    settings::Settings,
    statement::Statement,
};

/// How often the queue looks for calls that have waited too long and connections that are too old.
const ROUND: Duration = Duration::from_millis(500);
/// After a connection could not be opened while others work, how long until the next is tried.
const REFUSAL: Duration = Duration::from_millis(250);
/// A connection that was idle for longer than this may have died without anyone having looked. A write does not rely on
/// it: what it loses cannot be done again.
const FRESH: Duration = Duration::from_millis(50);
/// Statements that a connection has under way at a time. A third gave nothing.
const UNDERWAY: usize = 2;
/// After this, lookups are not likely to be answered soon: others do not wait for their connection.
const PROMPT: Duration = Duration::from_millis(5);
/// How often a statement is done again that the server rolled back for another one's sake.
const CONTENTION_ATTEMPTS: u32 = 20;
/// Statements known at a time. Writes vary with the columns that they name.
const STATEMENTS: usize = 1000;

pub struct Queue {
    settings: Settings,
    pool: Pool,
    runtime: Handle,
    state: Mutex<State>,
    statements: Mutex<HashMap<String, Arc<Statement>>>,
    destroyed: Notify,
    may_stay_awake: bool,
}

impl Queue {
    pub(in crate::pg) fn new(settings: Settings, program: Arc<dyn Program>, runtime: Handle) -> Arc<Self> {
        let pool = new_pool(settings.clone(), program);
        let queue = Arc::new(Self {
            settings,
            pool,
            runtime,
            state: Mutex::default(),
            statements: Mutex::default(),
            destroyed: Notify::new(),
            may_stay_awake: may_stay_awake(),
        });
        queue.runtime.spawn(keep_order(Arc::downgrade(&queue)));
        queue
    }

    pub(in crate::pg) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The one statement of this text and these declared types: what is prepared once is prepared for all adapters.
    pub fn statement(&self, statement: Statement) -> Arc<Statement> {
        let mut known = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= STATEMENTS {
            known.clear();
        }
        known.entry(statement.key()).or_insert_with(|| Arc::new(statement)).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves nothing half done that the counts' guard does not mend.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the calls in: they are settled whatever happens. They wait until those that come together are all there, which
    /// the last ones or `start` say, or as many have come as travel together.
    pub fn join(self: &Arc<Self>, calls: impl IntoIterator<Item = Call>, are_last: bool) {
        let deadline = self.settings.deadline();
        let mut state = self.state();
        if state.is_ended {
            drop(state);
            for call in calls {
                call.reply.settle(Err(Error::failure(code::CONNECTION_ENDED, "the adapter has ended")));
            }
            return;
        }
        let mut may_leave = are_last;
        for call in calls {
            state.next_number += 1;
            let number = state.next_number;
            let waiting = Waiting { call, number, deadline, was_lost: false, goes_alone: false, contentions: 0 };
            may_leave |= state.put(waiting, false);
        }
        if are_last {
            state.complete = state.next_number;
        }
        if may_leave {
            self.start_runner(state);
        }
    }

    pub fn load(&self) -> Load {
        let status = self.pool.status();
        let state = self.state();
        let lookups: usize = state.lookups.iter().map(|lane| lane.calls.len()).sum();
        Load {
            max: self.settings.max,
            connections: status.size,
            idle: status.available,
            waiting: lookups + state.writes.len(),
        }
    }

    /// Sees to it that what waits is on its way, or will be when a connection is free.
    pub fn start(self: &Arc<Self>) {
        let mut state = self.state();
        state.complete = state.next_number;
        self.start_runner(state);
    }

    /// Starts one runner if a call waits that none is on its way to.
    fn start_runner(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let max = self.settings.max;
        if state.is_ended || state.starting > 0 || state.runners >= max {
            return;
        }
        match state.front(max) {
            None => return,
            Some(Front::Lookup(_)) if state.is_well_served() => return,
            Some(_) => {}
        }
        if state.leased > 0 && state.refused_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        state.runners += 1;
        state.starting += 1;
        drop(state);
        let queue = self.clone();
        self.runtime.spawn(async move {
            let destroyed = pin!(queue.destroyed.notified());
            let runner = pin!(Runner::new(&queue).run());
            match select(runner, destroyed).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        });
    }

    async fn carry_out(&self, lease: &Lease, mut waiting: Vec<Waiting>) -> (Vec<Waiting>, Outcome) {
        let batch = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        for waiting in &mut waiting {
            waiting.call.reply.set_out(batch);
        }
        let calls: Vec<&Call> = waiting.iter().map(|waiting| &waiting.call).collect();
        let outcome = carry_out(lease, &self.settings, &calls, self).await;
        (waiting, outcome)
    }

    /// Settles the calls that are done with; returns the others.
    fn settle(&self, calls: Vec<Waiting>, verdicts: Vec<Verdict>) -> Vec<Waiting> {
        let deadline = self.settings.deadline();
        let together = calls.len() > 1;
        let mut again = Vec::new();
        for (mut waiting, verdict) in calls.into_iter().zip(verdicts) {
            let result = match verdict {
                Verdict::Again(_) if waiting.may_wait_again(deadline) => None,
                Verdict::AgainAlone => {
                    waiting.goes_alone = true;
                    waiting.deadline = deadline;
                    None
                }
                Verdict::Contended(_) if waiting.contentions < CONTENTION_ATTEMPTS => {
                    waiting.contentions += 1;
                    waiting.goes_alone |= together && waiting.contentions > CONTENTION_ATTEMPTS / 2;
                    None
                }
                Verdict::Answered(answer) => Some(Ok(answer)),
                Verdict::Again(error)
                | Verdict::Contended(error)
                | Verdict::Failed(error)
                | Verdict::Unknown(error) => Some(Err(error)),
            };
            match result {
                Some(result) => waiting.call.reply.settle(result),
                None => again.push(waiting),
            }
        }
        again
    }

    /// Waits for nothing: calls that still wait are settled as ended, connections close as they come back.
    fn end(&self) {
        let calls = {
            let mut state = self.state();
            state.is_ended = true;
            state.drain(|_| true)
        };
        settle_all(calls, &Error::failure(code::CONNECTION_ENDED, "the adapter has ended"));
        self.pool.close();
    }

    /// As `end`, and gives up what is under way.
    pub(in crate::pg) fn destroy(&self) {
        self.end();
        self.destroyed.notify_waiters();
    }
}

impl Spares for Queue {
    type Spare = Lease;

    async fn lend(&self) -> Option<Lease> {
        let at_once = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };
        self.pool.timeout_get(&at_once).await.ok()
    }
}

/// One runner's part of the counts in `State`, given back when it goes home, however it does.
#[expect(clippy::struct_excessive_bools, reason = "each says whether the runner is part of one of the counts")]
struct Runner<'a> {
    queue: &'a Arc<Queue>,
    is_starting: bool,
    has_lease: bool,
    is_writing: bool,
    is_prompt: bool,
    is_probing: bool,
    /// Calls that it has taken.
    underway: usize,
    /// Requests to cancel that its connection waits for.
    cancelling: Vec<JoinHandle<()>>,
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.runners -= 1;
        state.starting -= usize::from(self.is_starting);
        state.leased -= usize::from(self.has_lease);
        state.writing -= usize::from(self.is_writing);
        state.prompt -= usize::from(self.is_prompt);
        state.underway -= self.underway;
        if self.is_probing {
            state.probing = false;
        }
        if state.leased > 0 || state.probing || !state.has_calls() {
            return;
        }
        self.queue.start_runner(state);
    }
}

impl<'a> Runner<'a> {
    fn new(queue: &'a Arc<Queue>) -> Self {
        Self {
            queue,
            is_starting: true,
            has_lease: false,
            is_writing: false,
            is_prompt: false,
            is_probing: false,
            underway: 0,
            cancelling: Vec::new(),
        }
    }

    async fn run(mut self) {
        while let Some(lease) = self.lease().await {
            if self.serve(&lease).await {
                return;
            }
            self.give_up(lease);
        }
    }

    /// Carries out what waits until nothing does; false when the connection is of no more use.
    async fn serve(&mut self, lease: &Lease) -> bool {
        let queue = self.queue;
        let mut underway = FuturesUnordered::new();
        let mut is_open = true;
        let mut may_be_followed = false;
        // Lookups, one of many statements that follow close upon one another.
        let mut is_awake = false;
        loop {
            while is_open && underway.len() < UNDERWAY {
                let calls = if underway.is_empty() {
                    self.take(lease)
                } else if may_be_followed {
                    self.take_more()
                } else {
                    Vec::new()
                };
                if calls.is_empty() {
                    break;
                }
                // What goes alone may be slow, and a write may wait for another.
                may_be_followed = calls.len() > 1 && !self.is_writing;
                is_awake = self.stays_awake();
                self.underway += calls.len();
                underway.push(queue.carry_out(lease, calls));
            }
            let next = self.next(underway.next());
            let next = if is_awake { awake(next).await } else { next.await };
            let Some((calls, outcome)) = next else { return is_open };
            self.come_back(calls.len(), outcome.verdicts.iter().any(Verdict::is_answer));
            self.cancelling.extend(outcome.spent);
            let again = queue.settle(calls, outcome.verdicts);
            if !again.is_empty() {
                self.put_back(again);
                if !underway.is_empty() {
                    // They need not wait for what this connection still has to answer.
                    queue.start_runner(queue.state());
                }
            }
            is_open &= outcome.is_open && !lease.is_worn();
            if is_awake && is_open {
                await_next(|| queue.state().is_complete()).await;
            }
        }
    }

    /// Waits for what is under way. While that may come soon, others may wait for it too.
    async fn next<T>(&mut self, underway: impl Future<Output = T>) -> T {
        let mut underway = pin!(underway);
        if self.is_prompt {
            if let Ok(next) = time::timeout(PROMPT, underway.as_mut()).await {
                return next;
            }
            let mut state = self.queue.state();
            state.prompt -= 1;
            self.is_prompt = false;
            self.queue.start_runner(state);
        }
        underway.await
    }

    fn take(&mut self, lease: &Lease) -> Vec<Waiting> {
        let max = self.queue.settings.max;
        let mut state = self.queue.state();
        state.prompt -= usize::from(self.is_prompt);
        self.is_prompt = false;
        if self.is_writing {
            state.writing -= 1;
            self.is_writing = false;
        }
        if self.is_starting {
            state.starting -= 1;
            self.is_starting = false;
        }
        let calls = state.take(max, lease.statements.may_batch_writes);
        if let Some(first) = calls.first() {
            if first.call.statement.access.is_write() {
                state.writing += 1;
                self.is_writing = true;
            } else {
                state.prompt += 1;
                self.is_prompt = true;
            }
            self.queue.start_runner(state);
        } else {
            // Nobody may join between this look and the count.
            state.leased -= usize::from(self.has_lease);
            self.has_lease = false;
        }
        calls
    }

    /// Lookups are sent over this connection alone, and follow close upon the last.
    fn stays_awake(&self) -> bool {
        if self.is_writing || !self.queue.may_stay_awake {
            return false;
        }
        let mut state = self.queue.state();
        state.leased == 1 && state.pace.send(Instant::now())
    }

    /// While a statement is under way the next can be on its way, so that the server need not wait for it: when many lookups
    /// wait, and there is nobody else to take them.
    fn take_more(&mut self) -> Vec<Waiting> {
        let max = self.queue.settings.max;
        let mut state = self.queue.state();
        if self.is_starting {
            state.starting -= 1;
            self.is_starting = false;
        }
        let calls = if state.runners < max && !state.is_well_served() { Vec::new() } else { state.take_batch(max) };
        if calls.is_empty() {
            // They may have come while this runner was about to take them.
            self.queue.start_runner(state);
        }
        calls
    }

    /// So many calls are no longer under way. When they are answered it says that it is about to take more: who is
    /// answered now, and calls again at once, need not start another runner.
    fn come_back(&mut self, calls: usize, with_answers: bool) {
        let mut state = self.queue.state();
        state.underway -= calls;
        self.underway -= calls;
        if with_answers {
            state.pace.answer(Instant::now());
            state.starting += usize::from(!self.is_starting);
            self.is_starting = true;
        }
    }

    fn give_up(&mut self, lease: Lease) {
        let cancelling = mem::take(&mut self.cancelling);
        self.queue.runtime.spawn(async move {
            join_all(cancelling).await;
            drop(Object::take(lease));
        });
        let mut state = self.queue.state();
        state.leased -= 1;
        state.prompt -= usize::from(self.is_prompt);
        // The next may be of another server.
        state.round_trip = None;
        self.has_lease = false;
        self.is_prompt = false;
    }

    /// A connection, or `None` when there is nothing to do for this runner.
    async fn lease(&mut self) -> Option<Lease> {
        let mut pause = Duration::from_millis(20);
        loop {
            if self.is_starting && self.queue.pool.status().available == 0 {
                // A connection has to be opened: other calls may start runners meanwhile.
                self.queue.state().starting -= 1;
                self.is_starting = false;
            }
            let since = self.queue.state().next_number;
            let error = match self.queue.pool.get().await {
                Ok(lease) => {
                    let is_for_write = matches!(self.queue.state().front(self.queue.settings.max), Some(Front::Write));
                    if is_for_write || Object::metrics(&lease).last_used() > FRESH {
                        // Lets the connection find out that it was closed while nobody looked.
                        task::yield_now().await;
                        if lease.client.is_closed() {
                            drop(Object::take(lease));
                            continue;
                        }
                    }
                    let mut state = self.queue.state();
                    state.was_connected = true;
                    state.round_trip = [state.round_trip, lease.round_trip].into_iter().flatten().min();
                    state.leased += 1;
                    self.has_lease = true;
                    if self.is_probing {
                        state.probing = false;
                        self.is_probing = false;
                    }
                    return Some(lease);
                }
                Err(PoolError::Backend(error)) => error,
                Err(_) => return None,
            };
            self.refuse(&error, since)?;
            time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// What follows from a connection that could not be opened: `Some` when it is to be tried again.
    fn refuse(&mut self, error: &Error, since: u64) -> Option<()> {
        let mut state = self.queue.state();
        if state.is_ended {
            return None;
        }
        if state.leased > 0 || (state.probing && !self.is_probing) {
            // The calls are in other hands.
            state.refused_until = Some(Instant::now() + REFUSAL);
            return None;
        }
        let is_outage = state.was_connected && error.is_passing();
        let now = Instant::now();
        // Who has come since this attempt began is owed another one.
        let late = state.drain(|waiting| {
            (!is_outage && waiting.number <= since) || waiting.deadline.is_some_and(|deadline| deadline <= now)
        });
        let goes_on = state.has_calls();
        if goes_on {
            state.probing = true;
            self.is_probing = true;
        }
        drop(state);
        settle_all(late, error);
        goes_on.then_some(())
    }

    fn put_back(&self, calls: Vec<Waiting>) {
        let mut ended = Vec::new();
        let mut state = self.queue.state();
        for waiting in calls.into_iter().rev() {
            if state.is_ended {
                ended.push(waiting);
            } else {
                state.put(waiting, true);
            }
        }
        drop(state);
        settle_all(ended, &Error::failure(code::CONNECTION_ENDED, "the adapter has ended"));
    }
}

/// Settles calls that have waited for a connection for too long, and retires idle connections.
async fn keep_order(queue: Weak<Queue>) {
    let mut round = ROUND;
    loop {
        time::sleep(round).await;
        let Some(queue) = queue.upgrade() else { return };
        let settings = &queue.settings;
        round = settings.connect_timeout.map_or(ROUND, |limit| ROUND.min(limit / 4).max(Duration::from_millis(5)));
        let now = Instant::now();
        let late = queue.state().drain(|waiting| waiting.deadline.is_some_and(|deadline| deadline <= now));
        if let (false, Some(limit)) = (late.is_empty(), settings.patience()) {
            let each = if settings.connect_timeout == Some(limit) { "" } else { " for each host" };
            let message = format!(
                "waited {} s (connect_timeout{each}) for a connection: all {} (max) are busy or being opened",
                limit.as_secs_f64(),
                settings.max
            );
            settle_all(late, &Error::failure(code::CONNECT_TIMEOUT, message));
        }
        queue.pool.retain(|connection, metrics| {
            let is_idle_too_long = settings.idle_timeout.is_some_and(|limit| metrics.last_used() >= limit);
            !is_idle_too_long && !connection.is_worn()
        });
        if queue.pool.is_closed() {
            return;
        }
    }
}
