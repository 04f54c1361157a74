//! When connections are opened, and when attempts are given up.

use std::collections::BTreeMap;

use super::steps::{PATIENCE, connected, join_lookup, join_write, lookup_of, lookups, lose};
use crate::pg::queue::scheduler::{
    Refusal, WorkerId,
    model::{Job, MS, SECOND, World},
};

#[test]
fn connections_are_opened_side_by_side_as_many_as_batches_wait() {
    let mut world = World::new(10, Some(PATIENCE), None);
    for _ in 0..5 {
        join_write(&mut world);
    }
    assert_eq!(world.opening.len(), 5);
    world.join(&lookups(&world, 16), true);
    assert_eq!(world.opening.len(), 6, "one for sixteen lookups");
    for _ in 0..20 {
        join_write(&mut world);
    }
    assert_eq!(world.opening.len(), 10);
}

#[test]
fn an_attempt_that_is_older_than_250_ms_is_not_counted_on() {
    let mut world = World::new(10, Some(PATIENCE), None);
    join_lookup(&mut world);
    assert_eq!(world.opening.len(), 1);
    world.pass(249 * MS);
    join_lookup(&mut world);
    assert_eq!(world.opening.len(), 1);
    world.pass(MS);
    assert_eq!(world.opening.len(), 2);
    world.connect(world.opening[1]);
    assert_eq!(world.in_flight(), [[0, 1]]);
}

#[test]
fn when_every_connection_hangs_in_opening_the_oldest_is_given_up_after_5_s() {
    let mut world = World::new(2, Some(PATIENCE), None);
    join_lookup(&mut world);
    world.pass(SECOND);
    let first = world.opening.clone();
    assert_eq!(first.len(), 2);
    world.pass(4 * SECOND);
    assert_eq!(world.opening.len(), 2);
    assert!(!world.opening.contains(&first[0]), "the oldest was given up");
    assert!(world.opening.contains(&first[1]));
}

#[test]
fn one_attempt_is_given_up_at_a_time() {
    let mut world = World::new(2, Some(PATIENCE), None);
    world.join(&[Job::lookup(0), lookup_of(1, 7)], true);
    assert_eq!(world.opening.len(), 2);
    world.now += 10 * SECOND;
    for _ in 0..2 {
        world.tick();
        assert_eq!((world.opening.len(), world.closing.len()), (1, 1));
    }
}

#[test]
fn no_attempt_is_given_up_while_another_connection_may_be_opened() {
    let mut world = World::new(30, Some(PATIENCE), None);
    join_lookup(&mut world);
    world.pass(6 * SECOND);
    assert_eq!(world.opening[..2], [WorkerId(1), WorkerId(2)]);
    assert_eq!(world.opening.len(), 25);
}

#[test]
fn a_server_that_takes_longer_than_5_s_to_let_a_client_in_is_given_the_time() {
    for max in [1, 2, 10] {
        let mut world = World::new(max, Some(PATIENCE), None);
        join_lookup(&mut world);
        let mut since = BTreeMap::new();
        while world.settled.is_empty() && world.answered.is_empty() {
            for &id in &world.opening {
                since.entry(id).or_insert(world.now);
            }
            let ready = world.opening.iter().find(|id| world.since(since[id]) >= 9 * SECOND);
            match ready.copied() {
                Some(id) => {
                    world.connect(id);
                    let flight = world.last().flight;
                    world.answer(flight);
                }
                None => world.pass(100 * MS),
            }
        }
        assert!(world.settled.is_empty(), "max {max}: {:?}", world.settled);
    }
}

#[test]
fn a_refusal_while_others_serve_delays_the_next_attempt_250_ms_doubling_to_8_s() {
    let mut world = connected(10, 1);
    join_write(&mut world);
    join_write(&mut world);
    for pause in [250, 500, 1000, 2000, 4000, 8000, 8000] {
        assert_eq!(world.opening.len(), 1);
        world.refuse(world.opening[0], Refusal::Passing);
        assert!(world.opening.is_empty());
        world.pass((pause - 1) * MS);
        assert!(world.opening.is_empty(), "{pause} ms");
        world.pass(MS);
    }
    world.connect(world.opening[0]);
    join_write(&mut world);
    assert_eq!(world.opening.len(), 1, "success resets the pause");
}

#[test]
fn attempts_that_are_refused_together_count_once() {
    let mut world = connected(10, 1);
    for _ in 0..6 {
        join_write(&mut world);
    }
    for worker in world.opening.clone() {
        world.refuse(worker, Refusal::Passing);
    }
    world.pass(249 * MS);
    assert!(world.opening.is_empty());
    world.pass(MS);
    assert!(!world.opening.is_empty());
}

#[test]
fn the_pause_after_a_refusal_is_over_when_the_last_connection_is_lost() {
    let mut world = connected(10, 1);
    join_write(&mut world);
    let flight = world.last().flight;
    join_write(&mut world);
    for pause in [250, 500, 1000, 2000] {
        world.refuse(world.opening[0], Refusal::Passing);
        world.pass(pause * MS);
    }
    world.refuse(world.opening[0], Refusal::Passing);
    lose(&mut world, flight);
    assert!(world.opening.is_empty());
    world.close_all();
    assert_eq!(world.opening.len(), 1);
}

#[test]
fn a_call_takes_an_idle_connection_also_within_250_ms_of_a_refusal() {
    let mut world = connected(3, 2);
    join_write(&mut world);
    join_lookup(&mut world);
    let lookup = world.last().flight;
    join_lookup(&mut world);
    world.refuse(world.opening[0], Refusal::Passing);
    world.answer(lookup);
    let second = world.last().flight;
    world.answer(second);
    join_lookup(&mut world);
    assert_eq!(world.last().calls[0].work.id, world.joined - 1);
}
