//! The timer of an exchange.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::{self, Instant, Sleep};

/// Goes on from one exchange to the next, and is set only to go off earlier: setting it takes two system calls, and nearly
/// all answers come long before it goes off.
#[derive(Default)]
pub(in crate::pg) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// `None` when `work` takes longer than `limit`.
    pub(super) async fn within<T>(&mut self, limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
        let Some(due) = limit.and_then(|limit| Instant::now().checked_add(limit)) else { return Some(work.await) };
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            let sleep = self.0.get_or_insert_with(|| Box::pin(time::sleep_until(due)));
            if sleep.deadline() > due {
                sleep.as_mut().reset(due);
            }
            while sleep.as_mut().poll(context).is_ready() {
                if sleep.deadline() >= due {
                    return Poll::Ready(None);
                }
                // It was set for an earlier exchange.
                sleep.as_mut().reset(due);
            }
            Poll::Pending
        })
        .await
    }

    /// It does not go off any more.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn every_exchange_has_its_own_limit_however_the_alarm_was_set_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(exchanges());
    }

    async fn exchanges() {
        let mut alarm = Alarm::default();
        for limit in [30, 1, 5, 2, 40, 1] {
            assert_eq!(alarm.within(Some(SECOND * limit), ready(7)).await, Some(7));
            let began = Instant::now();
            let answer = time::sleep(SECOND * limit / 2);
            assert_eq!(alarm.within(Some(SECOND * limit), answer).await, Some(()));
            assert_eq!(alarm.within(Some(SECOND * limit), pending::<()>()).await, None);
            assert_eq!(began.elapsed().as_millis(), (SECOND * (3 * limit) / 2).as_millis());
        }
        assert_eq!(alarm.within(None, time::sleep(SECOND * 99)).await, Some(()));
        assert_eq!(alarm.within(Some(Duration::MAX), time::sleep(SECOND * 99)).await, Some(()));
    }
}
