//! The way from the scheduler to its workers: each has a mailbox for what it is ordered to do.

use std::collections::BTreeMap;

use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::AbortHandle,
};

use super::scheduler::{Queued, WorkerId};
use crate::pg::exchange::Call;

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
    /// Find out whether what the server's process has in flight is committed, and say so where somebody still wants to know.
    SeeCommitted {
        process_id: i32,
        answer: oneshot::Sender<bool>,
    },
    Close,
}

/// An order that is on its way.
pub(super) struct Addressed {
    pub(super) worker: WorkerId,
    pub(super) mailbox: UnboundedSender<Order>,
    pub(super) order: Order,
}

#[derive(Default)]
pub(super) struct Mailboxes(BTreeMap<WorkerId, Mailbox>);

struct Mailbox {
    orders: UnboundedSender<Order>,
    /// Once it has been spawned.
    task: Option<AbortHandle>,
}

impl Mailboxes {
    pub(super) fn open(&mut self, worker: WorkerId) -> UnboundedReceiver<Order> {
        let (orders, inbox) = unbounded_channel();
        self.0.insert(worker, Mailbox { orders, task: None });
        inbox
    }

    pub(super) fn address(&self, worker: WorkerId, order: Order) -> Option<Addressed> {
        Some(Addressed { worker, mailbox: self.0.get(&worker)?.orders.clone(), order })
    }

    /// `task` serves the mailbox, unless that was closed meanwhile.
    pub(super) fn serve(&mut self, worker: WorkerId, task: AbortHandle) {
        match self.0.get_mut(&worker) {
            Some(mailbox) => mailbox.task = Some(task),
            None => task.abort(),
        }
    }

    pub(super) fn close(&mut self, worker: WorkerId) {
        self.0.remove(&worker);
    }

    pub(super) fn into_tasks(self) -> impl Iterator<Item = AbortHandle> {
        self.0.into_values().filter_map(|mailbox| mailbox.task)
    }
}
