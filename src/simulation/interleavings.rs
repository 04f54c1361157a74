//! The threads of a program, in the orders that a seed draws: some call, and one serves the connections. What shuttle runs is
//! the queue and all below it as they ship; each use of what the threads share may let another one go on.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use shuttle::{
    Config, FailurePersistence, Runner,
    rand::{Rng, thread_rng},
    scheduler::RandomScheduler,
    thread::{self, yield_now},
};
use tokio::{
    runtime::{Builder, Runtime},
    task, time,
};

use super::{
    histories::variable,
    plan::{Plan, plain},
    run::{Silent, adapter, count_panics},
    state::Interrupt,
    world::World,
};
use crate::{
    lucia::{method::Method, store::Store},
    pg::{Error, Queue, Reply, explore},
};

/// Interleavings of a usual test run.
const USUAL: u64 = 500;
/// Calls of a thread, one after the other, with a pause before some.
const CALLS: usize = 40;
/// The runtime has had so many turns, in which nobody has helped it, and nothing was settled: nothing will be.
const FORGOTTEN: usize = 600;
/// Time passes in one turn of this many.
const PASSES_IN: u32 = 4;
/// All turns together are shorter than any timer that would bring a forgotten call to mind.
const PASSES: Duration = Duration::from_micros(5);

#[derive(Default)]
struct Count {
    made: AtomicUsize,
    settled: AtomicUsize,
    /// Threads that call no more.
    done: AtomicUsize,
    /// The queue ends, or will at once.
    is_ended: AtomicBool,
    /// Of calls before that.
    errors: Mutex<Vec<Error>>,
}

impl Count {
    fn under_way(&self) -> usize {
        self.made.load(Ordering::Relaxed) - self.settled.load(Ordering::Relaxed)
    }
}

/// One call after the other.
fn call(world: &World, queue: &Queue, store: &Store, count: &Arc<Count>, ends: bool) {
    for number in 0..CALLS {
        if number % 10 == 0 {
            for _ in 0..thread_rng().gen_range(0..1_000) {
                yield_now();
            }
        }
        match thread_rng().gen_range(0..40) {
            0 => {
                let last = world.state().sessions.len().saturating_sub(1);
                world.interrupt(last, Interrupt::Crash);
            }
            1 => _ = queue.load(),
            _ => {}
        }
        let answered = Arc::new(AtomicUsize::new(0));
        let settle = {
            let (count, answered) = (count.clone(), answered.clone());
            move |result, _| {
                if let Err(error) = result
                    && !count.is_ended.load(Ordering::Relaxed)
                {
                    count.errors.lock().unwrap().push(error);
                }
                count.settled.fetch_add(1, Ordering::Relaxed);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let reply = Reply::with(Arc::new(Silent), settle);
        let method = [Method::GetUser, Method::GetKeysByUserId][thread_rng().gen_range(0..2)];
        let is_flushed = thread_rng().gen_range(0..4) > 0;
        count.made.fetch_add(1, Ordering::Relaxed);
        store.by_id(method, 0, [("u1".to_owned(), reply)], is_flushed);
        if !is_flushed {
            queue.flush();
        }
        if ends && number == CALLS - 1 {
            count.is_ended.store(true, Ordering::Relaxed);
            queue.end();
        }
        while answered.load(Ordering::Relaxed) == 0 {
            yield_now();
        }
    }
    count.done.fetch_add(1, Ordering::Relaxed);
}

/// A turn of the runtime: all that can run does, and no thread sleeps.
fn turn(runtime: &Runtime) {
    let passes = thread_rng().gen_ratio(1, PASSES_IN);
    runtime.block_on(async {
        if passes {
            time::advance(PASSES).await;
        } else {
            task::yield_now().await;
        }
    });
}

fn no_call_is_left(seed: u64) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (max, threads) = ([1, 2][thread_rng().gen_range(0..2)], thread_rng().gen_range(1..3));
    let world = World::new(Plan { max, latency: Duration::ZERO, ..plain() }, false);
    let (queue, store) = adapter(&world, runtime.handle().clone(), true);
    let count = Arc::new(Count::default());
    let callers: Vec<_> = (0..threads)
        .map(|number| {
            let (world, queue, store, count) = (world.clone(), queue.clone(), store.clone(), count.clone());
            thread::spawn(move || call(&world, &queue, &store, &count, number == 0))
        })
        .collect();
    let (mut turns, mut settled) = (0, 0);
    while count.done.load(Ordering::Relaxed) < threads {
        turn(&runtime);
        turns = if count.settled.load(Ordering::Relaxed) == settled && count.under_way() > 0 { turns + 1 } else { 0 };
        settled = count.settled.load(Ordering::Relaxed);
        assert!(turns < FORGOTTEN, "seed {seed}: a call is left, {:?}", queue.load());
        yield_now();
    }
    for caller in callers {
        caller.join().unwrap();
    }
    queue.destroy();
    let errors = count.errors.lock().unwrap();
    assert!(errors.is_empty(), "seed {seed}: {errors:?}");
    let violations = &world.state().record.violations;
    assert!(violations.is_empty(), "seed {seed}: {violations:?}");
}

#[test]
fn no_interleaving_of_threads_leaves_a_call_behind() {
    let from = variable("SIMULATION_FROM").unwrap_or(0);
    let seeds = variable("SIMULATION_SEEDS").unwrap_or(USUAL);
    let panics = count_panics();
    for seed in from..from + seeds {
        let mut config = Config::new();
        config.stack_size = 1 << 20;
        config.failure_persistence = FailurePersistence::None;
        let scheduler = RandomScheduler::new_from_seed(seed, 1);
        Runner::new(scheduler, config).run(move || explore(|| no_call_is_left(seed)));
        assert_eq!(count_panics(), panics, "seed {seed}: something panicked");
    }
}
