//! The task that stands between the inbox, the clock and the scheduler.

use std::{pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use tokio::time;

use super::{dispatch::Dispatcher, scheduler::Scheduler};

/// Takes calls in, and tells the scheduler that time has passed, when it has asked to be told: the one timer.
pub(super) async fn serve(dispatcher: Arc<Dispatcher>) {
    let mut sleep = pin!(time::sleep_until(dispatcher.began));
    let mut set = None;
    loop {
        dispatcher.take_in();
        let armed = dispatcher.state().armed;
        if let Some(wake) = armed
            && armed != set
        {
            sleep.as_mut().reset(dispatcher.began + wake);
            set = armed;
        }
        let called = pin!(dispatcher.called.notified());
        if armed.is_none() {
            called.await;
        } else if let Either::Right(_) = select(called, sleep.as_mut()).await {
            set = None;
            dispatcher.state().armed = None;
            dispatcher.tell(Scheduler::tick);
        }
    }
}
