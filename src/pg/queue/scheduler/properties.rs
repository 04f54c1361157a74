//! Random events with ten connections and batches: the rules of `model` hold after each, and besides the order of calls, the
//! limits of batches, and the bounds of waits.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::{
    Connection, Opened, Refusal, Return,
    model::{Job, MS, SECOND, World},
};

#[derive(Clone, Debug)]
enum Event {
    Lookups { statement: u64, count: u32, bytes: usize, flush: bool },
    Writes { count: u32, row: Option<u64>, is_batchable: bool, flush: bool },
    Flush,
    Connect { which: usize, lifetime: Option<u16>, may_batch_writes: bool },
    Refuse { which: usize, refusal: Refusal },
    Answer(usize),
    Lose { which: usize, are_writes_undone: bool },
    Part(usize),
    Contend(usize),
    Cancel(usize),
    Check(usize, bool),
    Die(usize),
    Close(usize),
    Spend(usize),
    Pass(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let which = any::<usize>;
    prop_oneof![
        4 => (0..3u64, prop_oneof![9 => 1..70u32, 1 => 500..700u32], prop_oneof![Just(10), Just(100_000), Just(2_000_000)], any::<bool>())
            .prop_map(|(statement, count, bytes, flush)| Event::Lookups { statement, count, bytes, flush }),
        3 => (1..50u32, proptest::option::of(0..3u64), any::<bool>(), any::<bool>())
            .prop_map(|(count, row, is_batchable, flush)| Event::Writes { count, row, is_batchable, flush }),
        2 => Just(Event::Flush),
        6 => (which(), proptest::option::of(0..5000u16), any::<bool>())
            .prop_map(|(which, lifetime, may_batch_writes)| Event::Connect { which, lifetime, may_batch_writes }),
        1 => (which(), refusal()).prop_map(|(which, refusal)| Event::Refuse { which, refusal }),
        10 => which().prop_map(Event::Answer),
        2 => (which(), any::<bool>())
            .prop_map(|(which, are_writes_undone)| Event::Lose { which, are_writes_undone }),
        1 => which().prop_map(Event::Part),
        2 => which().prop_map(Event::Contend),
        1 => which().prop_map(Event::Cancel),
        3 => (which(), any::<bool>()).prop_map(|(which, is_open)| Event::Check(which, is_open)),
        1 => which().prop_map(Event::Die),
        2 => which().prop_map(Event::Close),
        1 => which().prop_map(Event::Spend),
        3 => (0..3000u16).prop_map(Event::Pass),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![Just(Refusal::Lasting), Just(Refusal::Passing), Just(Refusal::Full)]
}

fn pick<T: Copy>(list: &[T], which: usize) -> Option<T> {
    (!list.is_empty()).then(|| list[which % list.len()])
}

fn apply(world: &mut World, event: &Event) {
    let id = world.joined;
    let flights: Vec<_> = world.sent.iter().map(|sent| sent.flight).collect();
    let is_write =
        |world: &World, flight| world.sent.iter().any(|sent| sent.flight == flight && sent.calls[0].work.is_write);
    match *event {
        Event::Lookups { statement, count, bytes, flush } => {
            let jobs: Vec<_> = (id..id + count).map(|id| Job { statement, bytes, ..Job::lookup(id) }).collect();
            world.join(&jobs, flush);
        }
        Event::Writes { count, row, is_batchable, flush } => {
            let jobs: Vec<_> =
                (id..id + count).map(|id| Job { statement: 9, row, is_batchable, ..Job::write(id) }).collect();
            world.join(&jobs, flush);
        }
        Event::Flush => world.flush(),
        Event::Connect { which, lifetime, may_batch_writes } => {
            if let Some(worker) = pick(&world.opening, which) {
                let retire_at = lifetime.map(|time| world.now + u32::from(time) * MS);
                world.connect_with(worker, Opened { retire_at, may_batch_writes, round_trip: None });
            }
        }
        Event::Refuse { which, refusal } => {
            if let Some(worker) = pick(&world.opening, which) {
                world.refuse(worker, refusal);
            }
        }
        Event::Answer(which) => {
            if let Some(flight) = pick(&flights, which) {
                world.answer(flight);
            }
        }
        Event::Lose { which, are_writes_undone } => {
            if let Some(flight) = pick(&flights, which) {
                let comes_back = are_writes_undone || !is_write(world, flight);
                world.end(flight, Connection::Ends, |_| comes_back.then_some(Return::Lost("lost")));
            }
        }
        Event::Part(which) => {
            if let Some(flight) = pick(&flights, which) {
                world.end(flight, Connection::Stays, |_| Some(Return::Alone));
            }
        }
        Event::Contend(which) => {
            if let Some(flight) = pick(&flights, which) {
                world.end(flight, Connection::Stays, |_| Some(Return::Contended("40001")));
            }
        }
        Event::Cancel(which) => {
            if let Some(flight) = pick(&flights, which) {
                world.end(flight, Connection::Cancelled, |_| None);
            }
        }
        Event::Check(which, is_open) => {
            if let Some((worker, _)) = pick(&world.checking, which) {
                world.check(worker, is_open);
            }
        }
        Event::Die(which) => {
            if let Some(worker) = pick(&world.idle(), which) {
                world.gone(worker);
            }
        }
        Event::Close(which) => {
            if let Some(worker) = pick(&world.closing, which) {
                world.gone(worker);
            }
        }
        Event::Spend(which) => {
            let workers: Vec<_> = world.scheduler.workers.iter().map(|worker| worker.id).collect();
            if let Some(worker) = pick(&workers, which) {
                world.cancel_spent(worker);
            }
        }
        Event::Pass(time) => world.pass(u32::from(time) * MS),
    }
}

/// What holds of every statement in flight.
fn check_batches(world: &World) {
    for sent in &world.sent {
        let first = &sent.calls[0];
        let bytes: usize = sent.calls.iter().map(|queued| queued.work.bytes).sum();
        let most = if first.work.is_write { 32 } else { 128 };
        assert!(sent.calls.len() <= most);
        assert!(sent.calls.len() == 1 || bytes <= 1 << 20, "{bytes} bytes in one statement");
        for queued in &sent.calls {
            assert_eq!((queued.work.statement, queued.work.is_write), (first.work.statement, first.work.is_write));
            let was_parted = world.known[&queued.work.id].was_parted;
            assert!(sent.calls.len() == 1 || !was_parted, "a call whose batch failed is sent by itself");
        }
        assert!(sent.calls.is_sorted_by_key(|queued| queued.number), "the order within a queue");
    }
}

/// No call in a queue is younger than one behind it.
fn check_order(world: &World) {
    let waiting = &world.scheduler.waiting;
    let queues = waiting.lookups.iter().map(|queue| &queue.calls);
    for calls in queues.chain([&waiting.alone, &waiting.writes, &waiting.contended]) {
        assert!(calls.iter().is_sorted_by_key(|queued| queued.number));
    }
}

/// No call waits for longer than the user says, counted from when its connection was first lost, however often that happens.
fn check_waits(world: &World) {
    let waiting = &world.scheduler.waiting;
    for queued in waiting.queues().flatten() {
        let bound = world.known[&queued.work.id].bound;
        assert!(bound.is_none_or(|bound| world.now < bound), "{queued:?} has waited for too long");
    }
}

/// Whatever has happened: let alone, every call ends within the bounds that the user has set.
fn check_that_all_end(mut world: World, patience: Duration) {
    world.flush();
    let until = world.now + patience;
    while world.now < until {
        world.close_all();
        let wake = world.scheduler.next_wake().unwrap_or(until).min(until);
        world.pass(wake.saturating_sub(world.now));
        check_waits(&world);
    }
    assert_eq!(world.scheduler.waiting(), 0, "{world:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_whatever_happens(events in vec(event(), 1..120), max in 1..=10usize) {
        let patience = 30 * SECOND;
        let mut world = World::new(max, Some(patience), Some(5 * SECOND));
        for event in events {
            apply(&mut world, &event);
            check_batches(&world);
            check_order(&world);
        }
        check_that_all_end(world.clone(), patience + SECOND);
        world.finish();
        while let Some(sent) = world.sent.first() {
            let flight = sent.flight;
            world.answer(flight);
        }
        world.close_all();
        let cancelled: Vec<_> = world.scheduler.workers.iter().map(|worker| worker.id).collect();
        for worker in cancelled {
            world.cancel_spent(worker);
        }
        world.close_all();
        prop_assert_eq!(world.scheduler.connections(), 0);
        prop_assert_eq!(world.settled.len() + world.answered.len(), world.joined as usize);
    }
}
