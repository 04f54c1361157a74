//! A connection that has nothing to do, lent for one question.

use std::{ops::Deref, sync::Arc};

use super::{
    dispatch::Dispatcher,
    scheduler::{Loan, Scheduler, WorkerId},
};
use crate::pg::{
    connection::{Connection, Lease},
    exchange::Spares,
};

/// Dropped, it gives the connection back.
pub(in crate::pg) struct Spare {
    dispatcher: Arc<Dispatcher>,
    id: WorkerId,
    lease: Arc<Lease>,
}

impl Deref for Spare {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.lease
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let is_open = !self.lease.client.is_closed();
        self.dispatcher.tell(|scheduler, now| scheduler.checked(now, self.id, is_open));
    }
}

impl Spares for Arc<Dispatcher> {
    type Spare = Spare;

    async fn lend(&self) -> Option<Spare> {
        let id = loop {
            let connected = self.connected.notified();
            match self.tell(Scheduler::borrow) {
                Loan::Of(id) => break id,
                Loan::Later => connected.await,
                Loan::None => return None,
            }
        };
        let lease = self.lease_of(id)?;
        Some(Spare { dispatcher: self.clone(), id, lease })
    }
}
