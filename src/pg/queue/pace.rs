//! Statements that follow close upon one another, one at a time, as in a loop that awaits each call, or a few at once. To
//! fall asleep and be woken takes the thread longer than all else that it does for them: while they come so, it stays
//! awake for the next.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use tokio::task;

/// How long it stays awake, for an answer as for the next statement. A server on the same machine takes half as long for
/// ten lookups.
const AWAKE: Duration = Duration::from_micros(200);
/// So many in a row have come, and been answered, in less than that before it does.
const IN_A_ROW: u32 = 8;

/// How fast lone statements follow one another.
#[derive(Default)]
pub(super) struct Pace {
    sent: Option<Instant>,
    answered: Option<Instant>,
    in_a_row: u32,
}

impl Pace {
    /// A lone statement is sent. True when the thread had better stay awake.
    pub(super) fn send(&mut self, now: Instant) -> bool {
        let follows = self.answered.take().is_some_and(|answered| now - answered < AWAKE);
        self.in_a_row = if follows { self.in_a_row.saturating_add(1) } else { 0 };
        self.sent = Some(now);
        self.in_a_row >= IN_A_ROW
    }

    /// It is answered.
    pub(super) fn answer(&mut self, now: Instant) {
        let is_fast = self.sent.take().is_some_and(|sent| now - sent < 2 * AWAKE);
        self.answered = is_fast.then_some(now);
    }
}

/// Whether there is another processor, for what the thread is awake for.
pub(super) fn may_stay_awake() -> bool {
    thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

/// `future`, for a while without letting the thread sleep. Other tasks run all the same.
pub(super) async fn awake<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let until = Instant::now() + AWAKE;
    while Instant::now() < until {
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return output;
        }
        task::yield_now().await;
    }
    future.await
}

/// Waits for `has_come`, for a while.
pub(super) async fn await_next(has_come: impl Fn() -> bool) {
    let until = Instant::now() + AWAKE;
    while !has_come() && Instant::now() < until {
        task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{AWAKE, IN_A_ROW, Pace};

    /// Whether the thread stays awake for the last of so many statements.
    fn stays_awake(statements: u32, answer_takes: Duration, pause: Duration) -> bool {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut is_awake = false;
        for _ in 0..statements {
            is_awake = pace.send(now);
            now += answer_takes;
            pace.answer(now);
            now += pause;
        }
        is_awake
    }

    #[test]
    fn the_thread_stays_awake_only_for_statements_that_keep_following_close_upon_one_another() {
        assert!(stays_awake(IN_A_ROW + 1, AWAKE, AWAKE / 2));
        assert!(!stays_awake(IN_A_ROW, AWAKE, AWAKE / 2));
        assert!(!stays_awake(1000, AWAKE, AWAKE * 2));
        assert!(!stays_awake(1000, AWAKE * 3, AWAKE / 2), "the server is far away");
    }
}
