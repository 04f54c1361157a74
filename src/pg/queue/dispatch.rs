//! Tells the scheduler what has happened, and carries out what it commands: orders go to the workers, errors to the callers.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    task::AbortHandle,
    time::{self, Instant},
};

use super::scheduler::{
    Command, Connection as Fate, Ending, Limits, Opened, Queued, Return, Scheduler, Time, WorkerId,
};
use crate::pg::{
    chance::Chance,
    connection::{Lease, Lookups, Pool, Source},
    error::{Error, code},
    exchange::Call,
    settings::Settings,
};

/// Lookups that are sent to a connection while it is opened, at most: each has a text and an answer of its own.
const AHEAD: usize = 16;

/// What a worker is told to do.
pub(super) enum Order {
    Send {
        flight: u64,
        calls: Vec<Queued<Call>>,
    },
    /// Find out whether the connection is still there: by a question to the server, or by looking.
    Check {
        asks: bool,
    },
    Close,
}

/// Opens one connection, and does with it what is ordered until the connection is closed.
pub(super) type Work = fn(Arc<Dispatcher>, WorkerId, mpsc::UnboundedReceiver<Order>) -> BoxFuture<'static, ()>;

pub(super) struct Dispatcher {
    pub(super) settings: Settings,
    pub(super) pool: Pool,
    runtime: Handle,
    work: Work,
    began: Instant,
    state: Mutex<State>,
    /// The scheduler has to be woken earlier than `armed`.
    rearmed: Notify,
    /// A connection has been opened.
    pub(super) connected: Notify,
    chance: Arc<Chance>,
    /// A worker may keep the thread busy while it waits for an answer that comes soon.
    pub(super) may_spin: bool,
}

struct State {
    scheduler: Scheduler<Call>,
    workers: BTreeMap<WorkerId, Mailbox>,
    /// The number of the youngest call that was sent ahead.
    sent_ahead: u64,
    /// When the timer will wake the scheduler.
    armed: Option<Time>,
    timer: Option<AbortHandle>,
}

struct Mailbox {
    orders: mpsc::UnboundedSender<Order>,
    task: AbortHandle,
    /// While the connection is open.
    lease: Option<Arc<Lease>>,
}

impl Dispatcher {
    pub(super) fn new(
        settings: Settings,
        pool: impl FnOnce(Source) -> Pool,
        runtime: Handle,
        work: Work,
        chance: Arc<Chance>,
        may_spin: bool,
    ) -> Arc<Self> {
        let limits = Limits { max: settings.max, patience: settings.patience(), idle_timeout: settings.idle_timeout };
        let state = State {
            scheduler: Scheduler::new(limits),
            workers: BTreeMap::new(),
            sent_ahead: 0,
            armed: None,
            timer: None,
        };
        let dispatcher = Arc::new_cyclic(|this: &Weak<Self>| Self {
            settings,
            pool: pool(Box::new({
                let this = this.clone();
                move || this.upgrade()?.lookups_to_send_ahead()
            })),
            runtime,
            work,
            began: Instant::now(),
            state: Mutex::new(state),
            rearmed: Notify::new(),
            connected: Notify::new(),
            chance,
            may_spin,
        });
        let timer = dispatcher.runtime.spawn(keep_time(dispatcher.clone())).abort_handle();
        dispatcher.state().timer = Some(timer);
        dispatcher
    }

    /// Gives up what is under way.
    pub(super) fn destroy(&self) {
        self.pool.close();
        let (workers, timer) = {
            let mut state = self.state();
            (mem::take(&mut state.workers), state.timer.take())
        };
        for task in workers.into_values().map(|mailbox| mailbox.task).chain(timer) {
            task.abort();
        }
    }

    /// Of those that wait for a connection, the oldest that no other connection has been sent; the oldest where it has.
    fn lookups_to_send_ahead(&self) -> Option<Lookups> {
        let mut state = self.state();
        let State { scheduler, sent_ahead, .. } = &mut *state;
        let after = if scheduler.lookups_after(*sent_ahead).next().is_some() { *sent_ahead } else { 0 };
        let (_, first) = scheduler.lookups_after(after).next()?;
        let is_alike = |(_, call): &(u64, &Call)| call.forms == first.forms;
        let calls: Vec<_> = scheduler.lookups_after(after).take(AHEAD).take_while(is_alike).collect();
        if calls.len() > first.statement.most_ahead() {
            return None;
        }
        *sent_ahead = calls.last().map_or(after, |(number, _)| *number);
        Some(Lookups {
            statement: first.statement.clone(),
            forms: first.forms.to_vec(),
            parameters: calls.iter().map(|(_, call)| call.parameters.to_vec()).collect(),
        })
    }

    /// What `look` sees of the scheduler.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Scheduler<Call>) -> R) -> R {
        look(&self.state().scheduler)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic ends the worker that it happens in, and the scheduler is told so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The factor that spreads a pause: 0.5 to 1.5.
    pub(super) fn chance(&self) -> f64 {
        0.5 + self.chance.fraction()
    }

    fn now(&self) -> Time {
        self.began.elapsed()
    }

    pub(super) fn time_of(&self, at: Instant) -> Time {
        at.saturating_duration_since(self.began)
    }

    /// Tells the scheduler what has happened, and carries out what it commands.
    pub(super) fn tell<R>(self: &Arc<Self>, event: impl FnOnce(&mut Scheduler<Call>, Time) -> R) -> R {
        let (mut settled, mut orders) = (Vec::new(), Vec::new());
        let result = {
            let state = &mut *self.state();
            let result = event(&mut state.scheduler, self.now());
            let workers = &mut state.workers;
            for command in state.scheduler.take_commands() {
                match command {
                    Command::Open(id) => {
                        let (orders, inbox) = mpsc::unbounded_channel();
                        let task = self.runtime.spawn((self.work)(self.clone(), id, inbox)).abort_handle();
                        workers.insert(id, Mailbox { orders, task, lease: None });
                    }
                    Command::Check { worker, asks } => {
                        orders.extend(to_mailbox(workers, worker, Order::Check { asks }));
                    }
                    Command::Send { worker, flight, calls } => {
                        orders.extend(to_mailbox(workers, worker, Order::Send { flight, calls }));
                    }
                    Command::Close(worker) => orders.extend(to_mailbox(workers, worker, Order::Close)),
                    Command::Settle(queued, ending) => settled.push((queued, ending)),
                }
            }
            let wake = state.scheduler.next_wake();
            if wake.is_some_and(|wake| state.armed.is_none_or(|armed| wake < armed)) {
                state.armed = wake;
                self.rearmed.notify_one();
            }
            result
        };
        // Outside of the lock, as a send wakes the other thread. The order in which two threads send does not matter: a
        // worker is ordered to do something else only when it has told that the last thing is done, but for a second
        // statement behind a first.
        for (worker, mailbox, order) in orders {
            if let Err(mpsc::error::SendError(order)) = mailbox.send(order) {
                self.undelivered(worker, order);
            }
        }
        // A caller that is told may make another call, which takes the lock.
        for (queued, ending) in settled {
            self.settle(queued, ending);
        }
        result
    }

    fn settle(&self, queued: Queued<Call>, ending: Ending<Error>) {
        let error = match ending {
            Ending::Failed(error) => error,
            Ending::Ended => Error::failure(code::CONNECTION_ENDED, "the adapter has ended"),
            Ending::TimedOut => self.timed_out(),
        };
        queued.work.reply.settle(Err(error));
    }

    fn timed_out(&self) -> Error {
        let limit = self.settings.patience().unwrap_or_default();
        let each = if self.settings.connect_timeout == Some(limit) { "" } else { " for each host" };
        let message = format!(
            "waited {} s (connect_timeout{each}) for a connection: all {} (max) are busy or being opened",
            limit.as_secs_f64(),
            self.settings.max
        );
        Error::failure(code::CONNECT_TIMEOUT, message)
    }

    /// A worker has opened its connection.
    pub(super) fn opened(self: &Arc<Self>, id: WorkerId, lease: &Arc<Lease>, opened: Opened) {
        if let Some(mailbox) = self.state().workers.get_mut(&id) {
            mailbox.lease = Some(lease.clone());
        }
        self.tell(|scheduler, now| scheduler.connected(now, id, opened));
        self.connected.notify_waiters();
    }

    /// A worker was ordered what it cannot do any more: its connection was lost at the same moment.
    pub(super) fn undelivered(self: &Arc<Self>, id: WorkerId, order: Order) {
        if let Order::Send { flight, calls } = order {
            let lost = || Return::Lost(Error::failure(code::CONNECTION_CLOSED, "the connection was lost"));
            let returned = calls.into_iter().map(|queued| (queued, lost())).collect();
            self.tell(|scheduler, now| scheduler.answered(now, id, flight, returned, Fate::Ends, 1.0));
        }
    }

    pub(super) fn lease_of(&self, id: WorkerId) -> Option<Arc<Lease>> {
        self.state().workers.get(&id)?.lease.clone()
    }

    /// A worker is about to close its connection.
    pub(super) fn closed(&self, id: WorkerId) {
        if let Some(mailbox) = self.state().workers.get_mut(&id) {
            mailbox.lease = None;
        }
    }

    /// A worker is gone.
    pub(super) fn left(self: &Arc<Self>, id: WorkerId) {
        self.tell(|scheduler, now| scheduler.gone(now, id));
        self.state().workers.remove(&id);
    }
}

fn to_mailbox(
    workers: &BTreeMap<WorkerId, Mailbox>,
    worker: WorkerId,
    order: Order,
) -> Option<(WorkerId, mpsc::UnboundedSender<Order>, Order)> {
    Some((worker, workers.get(&worker)?.orders.clone(), order))
}

/// The one timer: tells the scheduler that time has passed, when it has asked to be told.
async fn keep_time(dispatcher: Arc<Dispatcher>) {
    loop {
        let wake = {
            let mut state = dispatcher.state();
            state.armed = state.scheduler.next_wake();
            state.armed
        };
        match wake {
            None => dispatcher.rearmed.notified().await,
            Some(wake) => {
                let at = dispatcher.began + wake.max(Duration::ZERO);
                if time::timeout_at(at, dispatcher.rearmed.notified()).await.is_err() {
                    dispatcher.tell(Scheduler::tick);
                }
            }
        }
    }
}
