//! When the scheduler asks to be woken.

use super::steps::{PATIENCE, answer_all, connected, join_lookup};
use crate::pg::queue::scheduler::{
    Ending,
    model::{MS, World},
};

#[test]
fn a_call_that_waits_for_a_busy_connection_wakes_nobody_before_its_patience_is_over() {
    let mut world = connected(1, 1);
    join_lookup(&mut world);
    join_lookup(&mut world);
    assert_eq!(world.scheduler.next_wake(), Some(world.now + PATIENCE + 50 * MS));
}

#[test]
fn an_attempt_to_connect_that_nobody_waits_for_wakes_nobody() {
    let mut world = World::new(2, Some(PATIENCE), None);
    join_lookup(&mut world);
    world.pass(250 * MS);
    world.connect(world.opening[0]);
    answer_all(&mut world);
    assert_eq!(world.opening.len(), 1);
    assert_eq!(world.scheduler.next_wake(), None);
}

#[test]
fn a_call_whose_patience_is_over_ends_also_where_the_scheduler_is_woken_late() {
    let mut world = World::new(1, Some(PATIENCE), None);
    join_lookup(&mut world);
    world.now += 2 * PATIENCE;
    world.tick();
    assert_eq!(world.settled[&0], Ending::TimedOut);
}
