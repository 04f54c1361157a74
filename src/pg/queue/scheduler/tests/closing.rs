//! When connections are closed.

use super::steps::{PATIENCE, answer_all, connected, join_lookup, lookups};
use crate::pg::queue::scheduler::{
    Connection, Opened, Return,
    model::{SECOND, World},
};

#[test]
fn an_idle_connection_is_closed_when_its_lifetime_is_over_and_when_it_was_idle_for_too_long() {
    let mut world = World::new(2, Some(PATIENCE), Some(20 * SECOND));
    join_lookup(&mut world);
    let retire_at = Some(world.now + 10 * SECOND);
    world.connect_with(world.opening[0], Opened { retire_at, may_batch_writes: true, round_trip: None });
    answer_all(&mut world);
    assert_eq!(world.scheduler.next_wake(), retire_at, "nothing else wakes the process");
    world.pass(10 * SECOND);
    assert_eq!(world.scheduler.connections(), 0);
    assert_eq!(world.scheduler.next_wake(), None);

    join_lookup(&mut world);
    world.connect(world.opening[0]);
    answer_all(&mut world);
    world.pass(19 * SECOND);
    assert_eq!(world.scheduler.idle(), 1);
    world.pass(SECOND);
    assert_eq!(world.scheduler.connections(), 0);
}

#[test]
fn a_busy_connection_is_closed_after_its_answer_when_its_lifetime_is_over() {
    let mut world = World::new(1, Some(PATIENCE), None);
    join_lookup(&mut world);
    let retire_at = Some(world.now + SECOND);
    world.connect_with(world.opening[0], Opened { retire_at, may_batch_writes: true, round_trip: None });
    world.pass(2 * SECOND);
    assert_eq!(world.sent.len(), 1);
    answer_all(&mut world);
    assert_eq!(world.closing.len(), 1);
}

#[test]
fn a_connection_whose_lifetime_is_over_takes_no_second_statement_and_is_closed_after_both_that_it_has() {
    let mut world = World::new(1, Some(PATIENCE), None);
    world.join(&lookups(&world, 32), true);
    let retire_at = Some(world.now + SECOND);
    world.connect_with(world.opening[0], Opened { retire_at, may_batch_writes: true, round_trip: None });
    let [first, second] = [0, 1].map(|at| world.sent[at].flight);
    world.now += SECOND;
    world.answer(first);
    world.join(&lookups(&world, 16), true);
    assert_eq!((world.sent.len(), world.closing.len()), (1, 0));
    world.answer(second);
    assert_eq!((world.sent.len(), world.closing.len()), (0, 1));
}

#[test]
fn a_connection_that_a_cancel_is_under_way_to_serves_nobody_until_that_is_spent() {
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 2), true);
    let (worker, flight) = (world.last().worker, world.last().flight);
    world.end(flight, Connection::Cancelled, |_| Some(Return::Alone));
    assert!(world.sent.is_empty());
    assert!(world.closing.is_empty(), "the cancel would be lost");
    assert!(world.opening.is_empty(), "it counts");
    world.cancel_spent(worker);
    assert_eq!(world.closing, [worker]);
    world.gone(worker);
    assert_eq!(world.opening.len(), 1);
}

#[test]
fn a_second_cancel_to_a_connection_is_waited_for_as_the_first_is() {
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 128), true);
    let [first, second] = [0, 1].map(|at| world.sent[at].flight);
    let worker = world.last().worker;
    world.end(first, Connection::Cancelled, |_| None);
    world.cancel_spent(worker);
    assert!(world.closing.is_empty(), "a statement is in flight");
    world.end(second, Connection::Cancelled, |_| None);
    assert!(world.closing.is_empty(), "its cancel would be lost");
    world.cancel_spent(worker);
    assert_eq!(world.closing, [worker]);
}

#[test]
fn a_cancel_is_waited_for_2_s_at_most() {
    let mut world = connected(1, 1);
    join_lookup(&mut world);
    let (worker, flight) = (world.last().worker, world.last().flight);
    world.end(flight, Connection::Cancelled, |_| None);
    world.pass(2 * SECOND);
    assert!(!world.scheduler.workers.iter().any(|other| other.id == worker));
}
