//! What a connection has to show before a write is sent over it.

use super::steps::{connected, join_lookup, join_write};
use crate::pg::queue::scheduler::{
    Connection,
    model::{MS, SECOND},
};

#[test]
fn a_connection_that_was_idle_is_looked_at_before_a_write_and_not_before_a_lookup() {
    let mut world = connected(2, 1);
    world.now += 51 * MS;
    join_write(&mut world);
    assert!(world.sent.is_empty());
    let (worker, asks) = world.checking[0];
    assert!(!asks);
    world.check(worker, true);
    assert_eq!(world.sent.len(), 1);

    let mut world = connected(2, 1);
    world.now += 60 * SECOND;
    join_lookup(&mut world);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_connection_that_was_idle_for_over_30_s_answers_a_question_before_a_write() {
    let mut world = connected(2, 1);
    world.now += 31 * SECOND;
    join_write(&mut world);
    assert!(world.checking[0].1);

    let mut world = connected(2, 1);
    world.now += 30 * SECOND;
    join_write(&mut world);
    assert!(!world.checking[0].1);
}

#[test]
fn a_connection_that_was_not_heard_from_since_another_was_lost_answers_a_question_before_a_write() {
    for is_idle in [false, true] {
        let mut world = connected(3, 2);
        if is_idle {
            world.gone(world.idle()[0]);
        } else {
            join_lookup(&mut world);
            world.end(world.last().flight, Connection::Ends, |_| None);
        }
        join_write(&mut world);
        let (worker, asks) = world.checking[0];
        assert!(asks && world.sent.is_empty());
        world.check(worker, true);
        world.end(world.last().flight, Connection::Stays, |_| None);
        join_write(&mut world);
        assert_eq!(world.sent.len(), 1, "it was heard from");
    }
}

#[test]
fn an_answer_that_may_be_older_than_a_loss_does_not_show_that_a_connection_is_still_there() {
    for is_waiting in [false, true] {
        let mut world = connected(2, 2);
        join_lookup(&mut world);
        let under_way = world.last().flight;
        world.now += MS;
        world.gone(world.idle()[0]);
        if is_waiting {
            join_write(&mut world);
        }
        world.answer(under_way);
        if !is_waiting {
            join_write(&mut world);
        }
        assert!(world.checking[0].1 && world.sent.is_empty());
    }
}

#[test]
fn a_connection_that_was_being_opened_when_another_was_lost_answers_a_question_before_a_write() {
    let mut world = connected(3, 1);
    join_lookup(&mut world);
    let under_way = world.last().flight;
    join_write(&mut world);
    world.now += MS;
    world.end(under_way, Connection::Ends, |_| None);
    world.connect(world.opening[0]);
    assert!(world.checking[0].1);
}

#[test]
fn a_connection_that_does_not_answer_the_question_is_given_up_and_the_write_goes_elsewhere() {
    let mut world = connected(2, 1);
    world.now += 31 * SECOND;
    join_write(&mut world);
    assert!(world.opening.is_empty());
    world.pass(250 * MS);
    assert_eq!(world.opening.len(), 1, "another is opened beside it");
    world.pass(2 * SECOND);
    assert!(world.checking.is_empty());
    world.connect(world.opening[0]);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_write_that_was_looked_for_in_vain_goes_over_another_connection() {
    let mut world = connected(2, 1);
    world.now += 51 * MS;
    join_write(&mut world);
    let (worker, _) = world.checking[0];
    world.check(worker, false);
    world.connect(world.opening[0]);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn as_many_connections_are_looked_at_as_writes_wait() {
    let mut world = connected(4, 3);
    world.now += 51 * MS;
    join_write(&mut world);
    assert_eq!(world.checking.len(), 1);
    join_write(&mut world);
    assert_eq!(world.checking.len(), 2);
}
