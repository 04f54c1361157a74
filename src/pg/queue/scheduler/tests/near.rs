//! When lookups wait for connections that answer soon, and when a second statement is sent behind the first.

use super::steps::{PATIENCE, answer_all, connected, join_lookup, join_write, lookups};
use crate::pg::queue::scheduler::{
    Connection,
    model::{Job, MS, World},
};

/// Three connections that have just been sent 16 lookups each, of ten.
fn near() -> World {
    let mut world = connected(10, 4);
    for _ in 0..3 {
        world.join(&lookups(&world, 16), true);
    }
    assert_eq!(world.sent.len(), 3);
    world
}

#[test]
fn with_a_near_server_lookups_wait_for_three_connections_that_answer_soon() {
    let mut world = near();
    join_lookup(&mut world);
    assert_eq!((world.sent.len(), world.idle().len(), world.opening.len()), (3, 1, 0));
    let first = world.sent[0].flight;
    world.answer(first);
    assert_eq!(world.last().calls.len(), 1, "the connection that has answered takes it");
}

#[test]
fn no_lookup_waits_while_fewer_than_48_calls_are_in_flight() {
    let mut world = connected(10, 4);
    for count in [16, 16, 15] {
        world.join(&lookups(&world, count), true);
    }
    join_lookup(&mut world);
    assert_eq!(world.sent.len(), 4);
}

#[test]
fn a_lookup_that_is_held_does_not_hold_a_younger_write() {
    let mut world = near();
    join_lookup(&mut world);
    join_write(&mut world);
    assert_eq!(world.last().calls.len(), 1);
    assert!(world.last().calls[0].work.is_write);
}

#[test]
fn lookups_do_not_wait_for_a_connection_that_has_not_answered_for_5_ms() {
    let mut world = near();
    join_lookup(&mut world);
    assert_eq!(world.scheduler.next_wake(), Some(world.now + 5 * MS));
    world.pass(5 * MS);
    assert_eq!(world.sent.len(), 4);
}

#[test]
fn a_server_is_near_only_while_it_answers_a_single_lookup_in_less_than_1_ms() {
    let mut world = World::new(10, Some(PATIENCE), None);
    join_lookup(&mut world);
    world.connect(world.opening[0]);
    world.now += MS;
    let first = world.last().flight;
    world.answer(first);
    for _ in 0..4 {
        world.join(&lookups(&world, 16), true);
        for worker in world.opening.clone() {
            world.connect(worker);
        }
    }
    assert_eq!(world.scheduler.busy(), 4, "none was held");
}

#[test]
fn when_many_lookups_wait_a_second_statement_is_sent_behind_the_first() {
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 64), true);
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.sent[0].worker, world.sent[1].worker);
}

#[test]
fn no_second_statement_follows_a_write_a_lone_lookup_or_few_lookups() {
    for first in [Job::write(100), Job::lookup(100)] {
        let mut world = connected(1, 1);
        world.join(&[Job { id: world.joined, ..first }], true);
        world.join(&lookups(&world, 64), true);
        assert_eq!(world.sent.len(), 1, "{first:?}");
    }
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 16), true);
    world.join(&lookups(&world, 15), true);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn no_second_statement_is_sent_while_another_connection_may_be_opened() {
    let mut world = connected(10, 1);
    world.join(&lookups(&world, 64), true);
    assert_eq!((world.sent.len(), world.opening.len()), (1, 3));
}

#[test]
fn lookups_do_not_wait_for_a_connection_that_will_serve_nobody_any_more() {
    let mut world = connected(4, 3);
    for _ in 0..4 {
        world.join(&lookups(&world, 16), true);
    }
    let (worker, flight) = (world.sent[2].worker, world.sent[2].flight);
    assert_eq!((world.sent.len(), world.last().worker), (4, worker), "its second statement");
    world.end(flight, Connection::Cancelled, |_| None);
    join_lookup(&mut world);
    assert_eq!(world.opening.len(), 1);
}

#[test]
fn only_the_answer_to_a_single_lookup_tells_that_a_server_is_near() {
    for first in [vec![Job::write(0)], vec![Job::lookup(0), Job::lookup(1)]] {
        let mut world = World::new(10, Some(PATIENCE), None);
        world.join(&first, true);
        world.connect(world.opening[0]);
        answer_all(&mut world);
        for _ in 0..4 {
            world.join(&lookups(&world, 16), true);
            for worker in world.opening.clone() {
                world.connect(worker);
            }
        }
        assert_eq!(world.scheduler.busy(), 4, "none was held after {first:?}");
    }
}

#[test]
fn a_connection_is_busy_until_its_second_statement_is_answered_too() {
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 32), true);
    let [first, second] = [0, 1].map(|at| world.sent[at].flight);
    world.answer(first);
    assert_eq!((world.scheduler.busy(), world.idle().len()), (1, 0));
    world.answer(second);
    assert_eq!((world.scheduler.busy(), world.idle().len()), (0, 1));
}
