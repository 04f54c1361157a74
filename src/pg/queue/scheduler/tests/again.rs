//! Calls that are sent again, and how long calls wait.

use super::steps::{PATIENCE, connected, join_lookup, join_write, lookups, lose};
use crate::pg::queue::scheduler::{
    Connection, Ending, Refusal, Return,
    model::{Job, MS, SECOND, World},
};

#[test]
fn a_call_whose_batch_failed_is_sent_by_itself_and_others_go_on() {
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 3), true);
    let (flight, id) = (world.last().flight, world.last().calls[0].work.id);
    world.join(&lookups(&world, 3), true);
    world.end(flight, Connection::Stays, |_| Some(Return::Alone));
    assert_eq!(world.in_flight(), [[id]]);
    for next in [vec![id + 1], vec![id + 2], vec![id + 3, id + 4, id + 5]] {
        let flight = world.last().flight;
        world.answer(flight);
        assert_eq!(world.in_flight(), [next]);
    }
}

#[test]
fn writes_whose_batch_failed_are_sent_one_by_one_in_their_order_before_younger_ones() {
    let mut world = connected(1, 1);
    let id = world.joined;
    let writes: Vec<_> = (id..id + 3).map(|id| Job { is_batchable: true, ..Job::write(id) }).collect();
    world.join(&writes, true);
    join_write(&mut world);
    world.end(world.last().flight, Connection::Stays, |_| Some(Return::Alone));
    for next in id..id + 4 {
        assert_eq!(world.in_flight(), [[next]]);
        world.answer(world.last().flight);
    }
}

#[test]
fn as_many_connections_are_opened_as_writes_are_to_be_sent_one_by_one() {
    let mut world = connected(10, 1);
    let id = world.joined;
    let writes: Vec<_> = (id..id + 4).map(|id| Job { is_batchable: true, ..Job::write(id) }).collect();
    world.join(&writes, true);
    world.end(world.last().flight, Connection::Stays, |_| Some(Return::Alone));
    assert_eq!((world.in_flight().len(), world.opening.len()), (1, 3));
}

#[test]
fn lookups_of_a_lost_connection_are_sent_again_and_their_wait_counts_from_the_first_loss() {
    let mut world = connected(1, 1);
    join_lookup(&mut world);
    world.now += 10 * SECOND;
    let (id, first) = (world.last().calls[0].work.id, world.last().flight);
    lose(&mut world, first);
    world.close_all();
    let lost_at = world.now;
    // The server is gone: attempts fail until the call has waited for long enough.
    while world.settled.is_empty() {
        while let Some(&worker) = world.opening.first() {
            world.refuse(worker, Refusal::Passing);
        }
        world.pass(100 * MS);
    }
    assert_eq!(world.settled[&id], Ending::Failed("refused"));
    assert!((PATIENCE..PATIENCE + SECOND).contains(&(world.since(lost_at))), "{:?}", world.since(lost_at));
}

#[test]
fn a_call_that_loses_one_connection_after_the_other_is_given_up_in_time() {
    let mut world = connected(1, 1);
    join_lookup(&mut world);
    let id = world.last().calls[0].work.id;
    let began = world.now;
    while world.settled.is_empty() {
        world.now += SECOND;
        let flight = world.last().flight;
        lose(&mut world, flight);
        world.close_all();
        while let Some(&worker) = world.opening.first() {
            world.connect(worker);
        }
    }
    assert_eq!(world.settled[&id], Ending::Failed("lost"));
    assert!(world.since(began) <= PATIENCE + 2 * SECOND);
}

#[test]
fn the_wait_of_a_call_counts_from_when_it_may_leave() {
    let mut world = World::new(1, Some(PATIENCE), None);
    world.join(&[Job::lookup(0)], false);
    // The program blocks the event loop: a breakpoint, or long work.
    world.pass(60 * SECOND);
    world.flush();
    assert!(world.settled.is_empty());
    world.connect(world.opening[0]);
    assert_eq!(world.in_flight(), [[0]]);
}

#[test]
fn a_call_waits_for_a_connection_no_longer_than_the_user_says() {
    let mut world = World::new(1, Some(PATIENCE), None);
    join_lookup(&mut world);
    world.pass(30_049 * MS);
    assert!(world.settled.is_empty());
    world.pass(MS);
    assert_eq!(world.settled[&0], Ending::TimedOut);
}
