//! How many connections each kind of call may hold, and which it takes.

use super::steps::{connected, join_lookup, join_write, lookups};
use crate::pg::queue::scheduler::{
    Connection, Return,
    model::{MS, SECOND},
};

#[test]
fn writes_leave_one_connection_to_lookups() {
    let mut world = connected(3, 3);
    for _ in 0..4 {
        join_write(&mut world);
    }
    assert_eq!(world.sent.len(), 2);
    join_lookup(&mut world);
    assert_eq!(world.sent.len(), 3);
    let write = world.sent[0].flight;
    world.answer(write);
    assert_eq!(world.sent.len(), 3);
    assert_eq!(world.scheduler.waiting(), 1);
}

#[test]
fn with_one_connection_writes_have_it() {
    let mut world = connected(1, 1);
    join_write(&mut world);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn lookups_that_are_sent_alone_hold_at_most_half_of_the_connections() {
    let mut world = connected(4, 4);
    world.join(&lookups(&world, 4), true);
    let flight = world.last().flight;
    world.end(flight, Connection::Cancelled, |_| Some(Return::Alone));
    assert_eq!(world.sent.len(), 2);
    join_lookup(&mut world);
    assert_eq!(world.sent.len(), 3, "reads of others go on");
}

#[test]
fn a_silent_lookup_that_was_sent_alone_does_not_hold_up_the_next_one_beside_an_idle_connection() {
    let mut world = connected(2, 2);
    world.join(&lookups(&world, 2), true);
    let (flight, id) = (world.last().flight, world.last().calls[0].work.id);
    world.end(flight, Connection::Stays, |_| Some(Return::Alone));
    world.pass(999 * MS);
    assert_eq!(world.in_flight(), [[id]]);
    world.pass(MS);
    assert_eq!(world.in_flight(), [[id], [id + 1]]);
}

#[test]
fn silent_lookups_that_were_sent_alone_leave_a_connection_to_others() {
    let mut world = connected(4, 4);
    world.join(&lookups(&world, 8), true);
    let flight = world.last().flight;
    world.end(flight, Connection::Stays, |_| Some(Return::Alone));
    assert_eq!(world.sent.len(), 2);
    world.pass(SECOND);
    assert_eq!(world.sent.len(), 3);
    world.pass(10 * SECOND);
    assert_eq!(world.sent.len(), 3);
    join_lookup(&mut world);
    assert_eq!(world.sent.len(), 4, "reads of others go on");
}

#[test]
fn the_connection_that_was_used_last_is_used_next() {
    let mut world = connected(3, 3);
    join_lookup(&mut world);
    let (worker, flight) = (world.last().worker, world.last().flight);
    world.now += MS;
    world.answer(flight);
    join_lookup(&mut world);
    assert_eq!(world.last().worker, worker);
}
