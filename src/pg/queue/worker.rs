//! A worker: opens one connection, and does with it what the scheduler orders until the connection is closed. It counts
//! nothing and decides nothing.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use deadpool::managed::{PoolError, Timeouts};
use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, error::TryRecvError},
    task::{self, JoinHandle},
    time::{self, Instant},
};

use super::{
    dispatch::Dispatcher,
    leaving::Leaving,
    mailbox::Order,
    scheduler::{CANCEL, Connection as Fate, Opened, Queued, Refusal, Return, Work, WorkerId},
    spin::{Succession, spin},
};
use crate::pg::{
    connection::{Ahead, Lease},
    error::{Error, code},
    exchange::{Alarm, Call, Outcome, Verdict, carry_out},
};

/// The pool has room for as many connections as the scheduler has workers.
const AT_ONCE: Timeouts = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };

pub(super) async fn run(mut leaving: Leaving, mut orders: UnboundedReceiver<Order>) {
    let (dispatcher, id) = leaving.begin();
    let lease = match select(pin!(dispatcher.pool.timeout_get(&AT_ONCE)), pin!(orders.recv())).await {
        Either::Left((Ok(lease), _)) => leaving.lease.insert(lease),
        Either::Left((Err(error), _)) => {
            let error = match error {
                PoolError::Backend(error) => error,
                other => Error::failure(code::CONNECTION_CLOSED, format!("no connection can be opened: {other}")),
            };
            let refusal = Refusal::of(&error);
            return dispatcher.tell(|scheduler, now| scheduler.connect_failed(now, id, error, refusal));
        }
        Either::Right(_) => return,
    };
    let opened = Opened {
        retire_at: lease.retire_at.map(|at| dispatcher.time_of(at)),
        may_batch_writes: lease.statements.may_batch_writes,
        round_trip: lease.round_trip,
    };
    let ahead = lease.ahead.take();
    let is_free = dispatcher.opened(id, opened, ahead.as_ref().map_or(&[], |ahead| &ahead.lookups.calls));
    let (dispatcher, succession) = (&dispatcher, Succession::default());
    let mut worker = Worker { dispatcher, id, lease, ahead, succession, is_spinning: false };
    if is_free || worker.outlast_ahead(&mut orders).await {
        worker.serve(&mut orders).await;
    }
    orders.close();
    while let Some(order) = orders.recv().await {
        dispatcher.undelivered(id, order);
    }
}

/// What happens to a worker.
enum Event {
    Ordered(Order),
    /// A statement has ended.
    Ended {
        flight: u64,
        calls: Vec<Queued<Call>>,
        outcome: Outcome,
        alarm: Alarm,
    },
    /// The server has received every request to cancel.
    CancelSpent,
    /// The connection was lost while nothing was in flight, or nobody will order anything any more.
    Closed,
}

/// How a worker waits for orders.
#[derive(Clone, Copy)]
enum Listening {
    /// The next order wakes the thread.
    Asleep,
    /// The thread is awake anyway.
    Spinning,
}

impl Listening {
    fn poll(self, orders: &mut UnboundedReceiver<Order>, context: &mut Context<'_>) -> Poll<Option<Order>> {
        match self {
            Self::Asleep => orders.poll_recv(context),
            Self::Spinning => match orders.try_recv() {
                Ok(order) => Poll::Ready(Some(order)),
                Err(TryRecvError::Disconnected) => Poll::Ready(None),
                Err(TryRecvError::Empty) => Poll::Pending,
            },
        }
    }
}

struct Worker<'a> {
    dispatcher: &'a Arc<Dispatcher>,
    id: WorkerId,
    lease: &'a Lease,
    /// What was sent ahead, until the first calls are ordered.
    ahead: Option<Ahead>,
    succession: Succession,
    /// The thread stays busy until the next event, which is likely to come soon.
    is_spinning: bool,
}

impl Worker<'_> {
    async fn serve(mut self, orders: &mut UnboundedReceiver<Order>) {
        let Self { dispatcher, id, lease, .. } = self;
        let mut in_flight = FuturesUnordered::new();
        // Of flights that have ended.
        let mut alarms: Vec<Alarm> = Vec::new();
        let mut cancels: FuturesUnordered<JoinHandle<()>> = FuturesUnordered::new();
        let mut closed = pin!(lease.closed());
        loop {
            let mut look = |context: &mut Context<'_>, listening: Listening| {
                if let Poll::Ready(Some(event)) = in_flight.poll_next_unpin(context) {
                    return Poll::Ready(event);
                }
                if let Poll::Ready(order) = listening.poll(orders, context) {
                    return Poll::Ready(order.map_or(Event::Closed, Event::Ordered));
                }
                if let Poll::Ready(Some(_)) = cancels.poll_next_unpin(context) {
                    return Poll::Ready(Event::CancelSpent);
                }
                if in_flight.is_empty() && cancels.is_empty() {
                    return closed.as_mut().poll(context).map(|()| Event::Closed);
                }
                Poll::Pending
            };
            let soon = if self.is_spinning {
                let watch = dispatcher.watch();
                let soon = spin(|context| {
                    dispatcher.take_in();
                    look(context, Listening::Spinning)
                })
                .await;
                drop(watch);
                dispatcher.take_in();
                soon
            } else {
                None
            };
            let event = match soon {
                Some(event) => event,
                None => poll_fn(|context| look(context, Listening::Asleep)).await,
            };
            match event {
                Event::Ordered(Order::Send { flight, calls }) => {
                    self.is_spinning = self.spins_for(&calls);
                    let ahead = self.ahead.take().and_then(|ahead| ahead.of(calls.iter().map(|queued| queued.number)));
                    let alarm = alarms.pop().unwrap_or_default();
                    in_flight.push(send(dispatcher, lease, flight, calls, ahead, alarm));
                }
                Event::Ended { flight, calls, outcome, alarm } => {
                    alarms.push(alarm);
                    cancels.extend(self.ended(flight, calls, outcome));
                }
                Event::Ordered(Order::Check { asks }) => {
                    let Either::Left((is_open, _)) = select(pin!(is_open(lease, asks)), pin!(orders.recv())).await
                    else {
                        return;
                    };
                    if !self.checked(is_open) {
                        return;
                    }
                }
                Event::Ordered(Order::SeeCommitted { process_id, answer }) => {
                    let question = pin!(lease.sees_committed(process_id));
                    let Either::Left((is_committed, _)) = select(question, pin!(orders.recv())).await else { return };
                    let is_open = self.checked(!lease.client.is_closed());
                    if let Ok(is_committed) = is_committed {
                        // Who asked may have given up.
                        let _ = answer.send(is_committed);
                    }
                    if !is_open {
                        return;
                    }
                }
                Event::CancelSpent if cancels.is_empty() => {
                    dispatcher.tell(|scheduler, now| scheduler.cancel_spent(now, id));
                }
                Event::CancelSpent => {}
                Event::Ordered(Order::Close) | Event::Closed => return,
            }
        }
    }

    /// Waits until what was sent ahead is over, for which other connections have been found; false where the connection is to be
    /// closed. A lookup that meets a lock is cancelled then, as the server would go on with it.
    async fn outlast_ahead(&mut self, orders: &mut UnboundedReceiver<Order>) -> bool {
        let Some(mut ahead) = self.ahead.take() else { return true };
        match select(pin!(ahead.answers()), pin!(orders.recv())).await {
            Either::Left(_) => self.checked(!self.lease.client.is_closed()),
            Either::Right(_) => {
                // Nothing else is sent over the connection: a late request meets nobody.
                let _ = time::timeout(CANCEL, self.lease.cancel()).await;
                false
            }
        }
    }

    /// Tells the scheduler whether the connection is still there.
    fn checked(&self, is_open: bool) -> bool {
        self.dispatcher.tell(|scheduler, now| scheduler.checked(now, self.id, is_open));
        is_open
    }

    /// Returns what ends when the server has received every request to cancel.
    fn ended(&mut self, flight: u64, calls: Vec<Queued<Call>>, outcome: Outcome) -> Option<JoinHandle<()>> {
        let Outcome { verdicts, is_open, spent } = outcome;
        let fate = match &spent {
            Some(_) => Fate::Cancelled,
            None if is_open => Fate::Stays,
            None => Fate::Ends,
        };
        self.succession.answer(Instant::now());
        self.answer(flight, calls, verdicts, fate);
        spent
    }

    /// Lookups are sent over this connection alone, and follow close upon the last.
    fn spins_for(&mut self, calls: &[Queued<Call>]) -> bool {
        let is_write = calls.iter().any(|queued| queued.work.statement.access.is_write());
        self.dispatcher.may_spin
            && !is_write
            && self.dispatcher.look(|scheduler| scheduler.busy() == 1)
            && self.succession.send(Instant::now())
    }

    /// Tells the scheduler that a statement has ended, and then settles its calls: a caller that calls again at once finds this
    /// connection free.
    fn answer(&self, flight: u64, calls: Vec<Queued<Call>>, verdicts: Vec<Verdict>, fate: Fate) {
        let (mut settled, mut rejected) = (Vec::with_capacity(calls.len()), Vec::new());
        let mut returned = Vec::new();
        for (queued, verdict) in calls.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Answered(answer) => settled.push((queued.work.reply, Ok(answer))),
                Verdict::Failed(error) | Verdict::Unknown(error) => {
                    rejected.extend(Call::rejection(&error));
                    settled.push((queued.work.reply, Err(error)));
                }
                Verdict::Again(error) => returned.push((queued, Return::Lost(error))),
                Verdict::AgainAlone => returned.push((queued, Return::Alone)),
                Verdict::Contended(error) => returned.push((queued, Return::Contended(error))),
            }
        }
        let chance = self.dispatcher.chance();
        self.dispatcher.tell(|scheduler, now| {
            scheduler.rejected(rejected);
            scheduler.answered(now, self.id, flight, returned, fate, chance);
        });
        for (reply, result) in settled {
            reply.settle(result);
        }
    }
}

async fn send(
    dispatcher: &Arc<Dispatcher>,
    lease: &Lease,
    flight: u64,
    mut calls: Vec<Queued<Call>>,
    ahead: Option<Ahead>,
    mut alarm: Alarm,
) -> Event {
    let together = u32::try_from(calls.len()).unwrap_or(u32::MAX);
    for queued in &mut calls {
        queued.work.reply.mark_sent(together);
    }
    let works: Vec<&Call> = calls.iter().map(|queued| &queued.work).collect();
    let outcome = carry_out(lease, &dispatcher.settings, &works, ahead, dispatcher, &mut alarm).await;
    Event::Ended { flight, calls, outcome, alarm }
}

async fn is_open(lease: &Lease, asks: bool) -> bool {
    if asks {
        return lease.client.check_connection().await.is_ok();
    }
    // One turn of the runtime, in which the driver reads that the connection was closed.
    task::yield_now().await;
    !lease.client.is_closed()
}
