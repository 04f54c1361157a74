//! A question beside the calls: it goes over a connection that has nothing else to do.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    dispatch::Dispatcher,
    mailbox::Order,
    scheduler::{Loan, Scheduler},
};
use crate::pg::exchange::Spares;

impl Spares for Arc<Dispatcher> {
    async fn see_committed(&self, process_id: i32) -> Option<bool> {
        let id = loop {
            let connected = self.connected.notified();
            match self.tell(Scheduler::borrow) {
                Loan::Of(id) => break id,
                Loan::Later => connected.await,
                Loan::None => return None,
            }
        };
        let (answer, answered) = oneshot::channel();
        self.order(id, Order::SeeCommitted { process_id, answer });
        answered.await.ok()
    }
}
