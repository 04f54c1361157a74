//! Spinning in place of sleeping, for a loop that awaits one call after the other, or a few at once: falling asleep and being
//! woken would take the thread longer than all its work for such a call.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use tokio::{task, time::Instant};

/// How long the thread spins, for an answer as for the next statement. A server on the same machine takes half as long for
/// ten lookups.
const SPIN: Duration = Duration::from_micros(200);
/// How many statements in a row have to follow one another within `SPIN` before the thread spins.
const IN_A_ROW: u32 = 8;

/// How fast lone statements have followed one another.
#[derive(Default)]
pub(super) struct Succession {
    sent: Option<Instant>,
    answered: Option<Instant>,
    in_a_row: u32,
}

impl Succession {
    /// A lone statement is sent. True when the thread had better spin.
    pub(super) fn send(&mut self, now: Instant) -> bool {
        let follows = self.answered.take().is_some_and(|answered| now - answered < SPIN);
        self.in_a_row = if follows { self.in_a_row.saturating_add(1) } else { 0 };
        self.sent = Some(now);
        self.in_a_row >= IN_A_ROW
    }

    /// The statement is answered.
    pub(super) fn answer(&mut self, now: Instant) {
        let is_fast = self.sent.take().is_some_and(|sent| now - sent < 2 * SPIN);
        self.answered = is_fast.then_some(now);
    }
}

/// Whether there is another processor, for what the thread spins for.
pub fn may_spin() -> bool {
    thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

/// Looks for an event for a while, without letting the thread sleep. Other tasks run all the same. Who brings the event need
/// not wake the thread, which takes a system call: `look` asks for no waking.
pub(super) async fn spin<E>(mut look: impl FnMut(&mut Context<'_>) -> Poll<E>) -> Option<E> {
    let until = Instant::now() + SPIN;
    while Instant::now() < until {
        if let Poll::Ready(event) = poll_fn(|context| Poll::Ready(look(context))).await {
            return Some(event);
        }
        task::yield_now().await;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{IN_A_ROW, SPIN, Succession};

    /// Whether the thread spins for the last of so many statements.
    fn spins(statements: u32, answer_takes: Duration, pause: Duration) -> bool {
        let mut succession = Succession::default();
        let mut now = Instant::now();
        let mut is_spinning = false;
        for _ in 0..statements {
            is_spinning = succession.send(now);
            now += answer_takes;
            succession.answer(now);
            now += pause;
        }
        is_spinning
    }

    #[test]
    fn the_thread_spins_only_for_statements_that_keep_following_close_upon_one_another() {
        assert!(spins(IN_A_ROW + 1, SPIN, SPIN / 2));
        assert!(!spins(IN_A_ROW, SPIN, SPIN / 2));
        assert!(!spins(1000, SPIN, SPIN * 2));
        assert!(!spins(1000, SPIN * 3, SPIN / 2), "the server is far away");
    }
}
