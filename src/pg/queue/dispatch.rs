//! Tells the scheduler what has happened, and carries out what it commands: orders go to the workers, errors to the callers.

use std::{
    mem,
    sync::{Arc, PoisonError, Weak},
};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::{Handle, Id},
    sync::{Notify, mpsc},
    task::AbortHandle,
    time::Instant,
};

use super::{
    ahead::lookups_to_send_ahead,
    inbox::{Inbox, Watch},
    mailbox::{Addressed, Mailboxes, Order},
    refusal::refusal,
    scheduler::{Command, Connection as Fate, Ending, Limits, Opened, Return, Scheduler, Time, WorkerId},
    sync::{Mutex, MutexGuard},
};
use crate::pg::{
    chance::Chance,
    connection::{Lookups, Pool, Source},
    error::{Error, code},
    exchange::Call,
    settings::Settings,
};

/// Opens one connection, and does with it what is ordered until the connection is closed; in the runtime of this id.
pub(super) type Work = fn(Arc<Dispatcher>, Id, WorkerId, mpsc::UnboundedReceiver<Order>) -> BoxFuture<'static, ()>;

/// Takes calls in, and tells the time; in the runtime of this id.
pub(super) type Clock = fn(Arc<Dispatcher>, Id) -> BoxFuture<'static, ()>;

/// The runtime that tasks are spawned in; another one when the last has failed.
pub(super) type Runtime = Box<dyn Fn() -> Handle + Send + Sync>;

pub(super) struct Dispatcher {
    pub(super) settings: Settings,
    pub(super) pool: Pool,
    runtime: Runtime,
    work: Work,
    pub(super) began: Instant,
    inbox: Inbox<Call>,
    state: Mutex<State>,
    /// Calls have come in, or the scheduler has to be woken earlier than `armed`.
    pub(super) called: Notify,
    /// A connection has been opened.
    pub(super) connected: Notify,
    chance: Arc<Chance>,
    /// A worker may keep the thread busy while it waits for an answer that comes soon.
    pub(super) may_spin: bool,
}

pub(super) struct State {
    scheduler: Scheduler<Call>,
    /// Empty: memory for what is taken from the inbox.
    taken: Vec<Call>,
    workers: Mailboxes,
    /// The number of the youngest call that was sent ahead.
    sent_ahead: u64,
    /// When the scheduler is told the time next.
    pub(super) armed: Option<Time>,
    clock: Option<AbortHandle>,
}

impl Dispatcher {
    pub(super) fn new(
        settings: Settings,
        pool: impl FnOnce(Source) -> Pool,
        runtime: Runtime,
        work: Work,
        chance: Arc<Chance>,
        may_spin: bool,
    ) -> Arc<Self> {
        let limits = Limits { max: settings.max, patience: settings.patience(), idle_timeout: settings.idle_timeout };
        let state = State {
            scheduler: Scheduler::new(limits),
            taken: Vec::new(),
            workers: Mailboxes::default(),
            sent_ahead: 0,
            armed: None,
            clock: None,
        };
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            settings,
            pool: pool(Box::new({
                let this = this.clone();
                move || this.upgrade()?.lookups_to_send_ahead()
            })),
            runtime,
            work,
            began: Instant::now(),
            inbox: Inbox::default(),
            state: Mutex::new(state),
            called: Notify::new(),
            connected: Notify::new(),
            chance,
            may_spin,
        })
    }

    pub(super) fn runtime(&self) -> Handle {
        (self.runtime)()
    }

    pub(super) fn attend(self: &Arc<Self>, clock: Clock) {
        let task = self.spawn_clock(clock);
        self.state().clock = Some(task);
    }

    /// The runtime has failed: `clock` goes on in the next one, unless the queue was destroyed.
    pub(super) fn attend_again(self: &Arc<Self>, clock: Clock) {
        let task = self.spawn_clock(clock);
        match &mut self.state().clock {
            Some(clock) => *clock = task,
            None => task.abort(),
        }
    }

    fn spawn_clock(self: &Arc<Self>, clock: Clock) -> AbortHandle {
        let runtime = self.runtime();
        runtime.spawn(clock(self.clone(), runtime.id())).abort_handle()
    }

    /// Not to be called while the state is locked: a runtime that has failed drops the task, which tells the scheduler.
    fn spawn_worker(self: &Arc<Self>, id: WorkerId, orders: mpsc::UnboundedReceiver<Order>) {
        let runtime = self.runtime();
        let task = runtime.spawn((self.work)(self.clone(), runtime.id(), id, orders)).abort_handle();
        self.state().workers.serve(id, task);
    }

    fn lookups_to_send_ahead(&self) -> Option<Lookups> {
        let State { scheduler, sent_ahead, .. } = &mut *self.state();
        lookups_to_send_ahead(scheduler, sent_ahead)
    }

    /// Gives up what is under way.
    pub(super) fn destroy(&self) {
        self.pool.close();
        let (workers, clock) = {
            let mut state = self.state();
            (mem::take(&mut state.workers), state.clock.take())
        };
        for task in workers.into_tasks().chain(clock) {
            task.abort();
        }
    }

    /// What `look` sees of the scheduler.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Scheduler<Call>) -> R) -> R {
        look(&self.state().scheduler)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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

    /// Queues calls; all that are queued may be sent when `are_last`.
    pub(super) fn queue(self: &Arc<Self>, calls: impl IntoIterator<Item = Call>, are_last: bool) {
        match self.inbox.put(calls, are_last) {
            Ok(true) => self.called.notify_one(),
            Ok(false) => {}
            Err(calls) => self.tell(|scheduler, now| scheduler.queued(now, calls, are_last)),
        }
    }

    /// Calls that wait, and that come later, are settled as ended.
    pub(super) fn end(self: &Arc<Self>) {
        self.inbox.close();
        self.tell(Scheduler::ended);
    }

    /// Calls that nobody waits for any longer are settled as ended, and none of them is sent any more.
    pub(super) fn caller_ended(self: &Arc<Self>) {
        for call in self.inbox.take_unawaited() {
            call.reply.settle(Err(refusal(&self.settings, Ending::Ended)));
        }
        self.tell(Scheduler::caller_ended);
    }

    /// The runtime's thread is awake, and takes calls in by itself.
    pub(super) fn watch(&self) -> Watch<'_, Call> {
        self.inbox.watch()
    }

    pub(super) fn take_in(self: &Arc<Self>) {
        if self.inbox.is_filled() {
            self.tell(|_, _| ());
        }
    }

    /// Tells the scheduler what has happened since, and carries out what it commands.
    pub(super) fn tell<R>(self: &Arc<Self>, event: impl FnOnce(&mut Scheduler<Call>, Time) -> R) -> R {
        let (mut settled, mut orders, mut opened) = (Vec::new(), Vec::new(), Vec::new());
        let result = {
            let state = &mut *self.state();
            let now = self.now();
            if self.inbox.is_filled() {
                self.inbox.hand_over(&mut state.taken, &mut state.scheduler, now);
            }
            let result = event(&mut state.scheduler, now);
            let workers = &mut state.workers;
            for command in state.scheduler.take_commands() {
                match command {
                    Command::Open(id) => opened.push((id, workers.open(id))),
                    Command::Check { worker, asks } => orders.extend(workers.address(worker, Order::Check { asks })),
                    Command::Send { worker, flight, calls } => {
                        orders.extend(workers.address(worker, Order::Send { flight, calls }));
                    }
                    Command::Close(worker) => orders.extend(workers.address(worker, Order::Close)),
                    Command::Settle(queued, ending) => settled.push((queued, ending)),
                }
            }
            let wake = state.scheduler.next_wake();
            if wake.is_some_and(|wake| state.armed.is_none_or(|armed| wake < armed)) {
                state.armed = wake;
                self.called.notify_one();
            }
            result
        };
        for (id, orders) in opened {
            self.spawn_worker(id, orders);
        }
        // Outside of the lock, as a send wakes the other thread. The order in which two threads send does not matter: a
        // worker is ordered to do something else only when it has told that the last thing is done, but for a second
        // statement behind a first.
        for Addressed { worker, mailbox, order } in orders {
            if let Err(mpsc::error::SendError(order)) = mailbox.send(order) {
                self.undelivered(worker, order);
            }
        }
        // A caller that is told may make another call, which takes the lock.
        for (queued, ending) in settled {
            queued.work.reply.settle(Err(refusal(&self.settings, ending)));
        }
        result
    }

    /// A worker has opened its connection, over which lookups were sent ahead for these calls; whether it may be ordered something.
    pub(super) fn opened(self: &Arc<Self>, id: WorkerId, opened: Opened, ahead: &[u64]) -> bool {
        let is_free = self.tell(|scheduler, now| scheduler.connected(now, id, opened, ahead));
        self.connected.notify_waiters();
        is_free
    }

    /// A worker was ordered what it cannot do any more: its connection was lost at the same moment.
    pub(super) fn undelivered(self: &Arc<Self>, id: WorkerId, order: Order) {
        if let Order::Send { flight, calls } = order {
            let lost = || Return::Lost(Error::failure(code::CONNECTION_CLOSED, "the connection was lost"));
            let returned = calls.into_iter().map(|queued| (queued, lost())).collect();
            self.tell(|scheduler, now| scheduler.answered(now, id, flight, returned, Fate::Ends, 1.0));
        }
    }

    /// Orders what the scheduler knows of.
    pub(super) fn order(&self, id: WorkerId, order: Order) {
        let addressed = self.state().workers.address(id, order);
        if let Some(Addressed { mailbox, order, .. }) = addressed {
            // A worker that is gone drops what it was ordered.
            let _ = mailbox.send(order);
        }
    }

    /// A worker is gone, and its connection is closed.
    pub(super) fn left(self: &Arc<Self>, id: WorkerId) {
        self.tell(|scheduler, now| scheduler.gone(now, id));
        self.state().workers.close(id);
    }
}
