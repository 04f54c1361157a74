//! Which calls leave together, and which of them first.

use super::steps::{PATIENCE, answer_all, connected, join_lookup, lookup_of, lookups};
use crate::pg::queue::scheduler::{
    Opened,
    batch::{BATCH, batch_size},
    model::{Job, World},
};

#[test]
fn calls_of_one_turn_leave_together_when_it_is_over() {
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 3), false);
    assert!(world.sent.is_empty());
    world.join(&lookups(&world, 2), false);
    world.flush();
    assert_eq!(world.last().calls.len(), 5);
}

#[test]
fn a_full_batch_leaves_before_its_turn_is_over() {
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 15), false);
    assert!(world.sent.is_empty());
    world.join(&lookups(&world, 1), false);
    assert_eq!(world.last().calls.len(), 16);
}

#[test]
fn a_full_batch_of_writes_has_a_connection_opened_before_its_turn_is_over() {
    let mut world = World::new(2, Some(PATIENCE), None);
    let writes: Vec<_> = (0..16).map(|id| Job { is_batchable: true, ..Job::write(id) }).collect();
    world.join(&writes[..15], false);
    assert!(world.opening.is_empty());
    world.join(&writes[15..], false);
    assert_eq!(world.opening.len(), 1);
}

#[test]
fn a_connection_that_has_just_answered_takes_what_has_come_of_an_unfinished_turn() {
    let mut world = connected(1, 1);
    join_lookup(&mut world);
    let first = world.last().flight;
    world.join(&lookups(&world, 2), false);
    world.answer(first);
    assert_eq!(world.last().calls.len(), 2);
}

#[test]
fn a_batch_is_a_quarter_of_what_is_in_flight_and_waits_between_16_and_128() {
    assert_eq!(batch_size(0, 1), 16);
    assert_eq!(batch_size(0, 256), 64);
    assert_eq!(batch_size(200, 200), 100);
    assert_eq!(batch_size(10_000, 10_000), *BATCH.end());
    let mut world = connected(1, 1);
    world.join(&lookups(&world, 256), true);
    assert_eq!(world.sent[0].calls.len(), 64);
}

#[test]
fn a_batch_of_writes_has_at_most_32() {
    let mut world = connected(3, 1);
    let writes: Vec<_> =
        (world.joined..world.joined + 1000).map(|id| Job { is_batchable: true, ..Job::write(id) }).collect();
    world.join(&writes, true);
    assert_eq!(world.sent[0].calls.len(), 32);
}

#[test]
fn writes_are_sent_one_by_one_over_a_connection_that_may_not_batch_them() {
    let mut world = World::new(2, Some(PATIENCE), None);
    let writes: Vec<_> = (0..5).map(|id| Job { is_batchable: true, ..Job::write(id) }).collect();
    world.join(&writes, true);
    world.connect_with(world.opening[0], Opened { retire_at: None, may_batch_writes: false, round_trip: None });
    assert_eq!(world.in_flight(), [[0]]);
}

#[test]
fn large_parameters_are_sent_apart() {
    let mut world = connected(1, 1);
    let large = |id| Job { bytes: 600_000, ..Job::lookup(id) };
    let id = world.joined;
    world.join(&[large(id), large(id + 1), Job::lookup(id + 2)], true);
    assert_eq!(world.in_flight(), [[id]]);
    answer_all(&mut world);
    assert!(world.sent.is_empty());
    assert!(world.answered.contains_key(&(id + 2)));
}

#[test]
fn the_oldest_call_goes_first_whatever_its_kind() {
    let mut world = connected(1, 1);
    join_lookup(&mut world);
    let first = world.last().flight;
    let id = world.joined;
    world.join(&[Job::write(id), lookup_of(id + 1, 7), Job::lookup(id + 2)], true);
    world.answer(first);
    assert_eq!(world.in_flight(), [[id]]);
    let write = world.last().flight;
    world.answer(write);
    assert_eq!(world.in_flight(), [[id + 1]]);
    let other = world.last().flight;
    world.answer(other);
    assert_eq!(world.in_flight(), [[id + 2]]);
}

#[test]
fn the_size_of_a_batch_is_known_for_when_more_calls_have_come() {
    let mut world = connected(1, 1);
    join_lookup(&mut world);
    world.join(&lookups(&world, 39), true);
    assert_eq!(world.scheduler.batch_with(world.now, 40), (1 + 39 + 40) / 4);
}
