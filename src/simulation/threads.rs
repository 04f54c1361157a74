//! Two threads, as in a program: one calls, the other serves the connections. A call is queued while a worker falls asleep, or
//! while its connection is lost and the worker leaves.

use std::{
    hint,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, channel},
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Builder, sync::Notify, time::Instant};

use super::{
    plan::{Plan, plain},
    run::{Silent, adapter},
    state::Interrupt,
    world::World,
};
use crate::{
    lucia::method::Method,
    pg::{Answer, Error, Reply},
};

const CALLS: usize = 6_000;
/// Every so many calls a connection is cut.
const CUT_EVERY: usize = 4;
/// Longer than anything takes that is not forgotten, and shorter than any timer that would bring it to mind.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// Without falling asleep, which would give the other thread time.
fn wait(settled: &Receiver<Result<Answer, Error>>) -> Option<Result<Answer, Error>> {
    let began = Instant::now();
    while began.elapsed() < FORGOTTEN {
        match settled.try_recv() {
            Ok(result) => return Some(result),
            Err(TryRecvError::Empty) => hint::spin_loop(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    None
}

fn pause(turns: usize) {
    for _ in 0..turns {
        hint::spin_loop();
    }
}

/// One call after the other, each a little later after the answer to the last.
fn no_call_is_left(max: usize, may_spin: bool) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let world = World::new(Plan { max, latency: Duration::ZERO, connect_timeout: FORGOTTEN * 2, ..plain() }, false);
    let (queue, store) = adapter(&world, runtime.handle().clone(), may_spin);
    let is_over = Arc::new(Notify::new());
    let serving = thread::spawn({
        let is_over = is_over.clone();
        move || runtime.block_on(is_over.notified())
    });
    let (settle, settled) = channel();
    for number in 0..CALLS {
        let is_cut = number % CUT_EVERY == 0;
        if is_cut {
            let last = world.state().sessions.len().saturating_sub(1);
            world.interrupt(last, Interrupt::Crash);
        }
        pause(number / CUT_EVERY % 512 * if is_cut { 64 } else { 8 });
        let settle = settle.clone();
        // Nobody listens any more once a call has been left.
        let reply = Reply::with(Arc::new(Silent), move |result, _| drop(settle.send(result)));
        store.by_id(Method::GetUser, 0, [("u1".to_owned(), reply)], true);
        let result = wait(&settled).unwrap_or_else(|| panic!("call {number} is left, max {max}, {:?}", queue.load()));
        assert!(result.is_ok(), "call {number}: {result:?}");
    }
    queue.destroy();
    is_over.notify_one();
    serving.join().unwrap();
    assert!(world.state().record.violations.is_empty(), "{:?}", world.state().record.violations);
}

#[test]
fn a_call_that_meets_a_worker_that_falls_asleep_or_leaves_is_answered() {
    for max in [1, 2] {
        for may_spin in [false, true] {
            no_call_is_left(max, may_spin);
        }
    }
}
