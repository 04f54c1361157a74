//! The task that stands between the inbox, the clock and the scheduler.

use std::{pin::pin, sync::Arc};

use futures_util::future::{BoxFuture, Either, select};
use tokio::{runtime::Id, time};

use super::{dispatch::Dispatcher, scheduler::Scheduler};

/// Takes calls in, and tells the scheduler that time has passed, when it has asked to be told: the one timer.
pub(super) fn serve(dispatcher: Arc<Dispatcher>, runtime: Id) -> BoxFuture<'static, ()> {
    let serving = Serving { dispatcher, runtime };
    Box::pin(async move { tell_the_time(&serving.dispatcher).await })
}

/// Goes on in another runtime when its own has failed, which drops it.
struct Serving {
    dispatcher: Arc<Dispatcher>,
    runtime: Id,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.dispatcher.runtime().id() != self.runtime {
            self.dispatcher.attend_again(serve);
        }
    }
}

async fn tell_the_time(dispatcher: &Arc<Dispatcher>) {
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
