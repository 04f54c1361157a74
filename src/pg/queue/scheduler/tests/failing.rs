//! Whom a connection that could not be opened rejects.

use super::steps::{PATIENCE, answer_all, connected, join_lookup, join_write, lookups};
use crate::pg::queue::scheduler::{
    Ending, Refusal,
    model::{MS, SECOND, World},
};

#[test]
fn the_first_connection_fails_fast() {
    let mut world = World::new(10, Some(PATIENCE), None);
    world.join(&lookups(&world, 3), true);
    world.refuse(world.opening[0], Refusal::Passing);
    assert_eq!(world.settled.len(), 3);
    assert_eq!(world.settled[&0], Ending::Failed("refused"));
}

#[test]
fn a_call_that_came_after_an_attempt_began_is_not_rejected_with_its_failure() {
    let mut world = World::new(10, Some(PATIENCE), None);
    join_lookup(&mut world);
    join_lookup(&mut world);
    let first = world.opening[0];
    world.refuse(first, Refusal::Passing);
    assert_eq!(world.settled.keys().copied().collect::<Vec<_>>(), [0]);
    assert_eq!(world.opening.len(), 1, "it is owed another attempt");
    world.connect(world.opening[0]);
    assert_eq!(world.in_flight(), [[1]]);
}

#[test]
fn a_failed_attempt_rejects_nobody_while_another_is_young() {
    let mut world = World::new(10, Some(PATIENCE), None);
    for _ in 0..10 {
        join_write(&mut world);
    }
    let attempts = world.opening.clone();
    // As many are refused as a role's connection limit is too small.
    for &worker in &attempts[..7] {
        world.refuse(worker, Refusal::Passing);
    }
    assert!(world.settled.is_empty());
    world.connect(attempts[7]);
    world.refuse(attempts[8], Refusal::Passing);
    while !world.sent.is_empty() || world.scheduler.waiting() > 0 {
        answer_all(&mut world);
        world.pass(100 * MS);
        while let Some(&worker) = world.opening.first() {
            world.refuse(worker, Refusal::Passing);
        }
    }
    assert_eq!(world.answered.len(), 10, "none was rejected");
}

#[test]
fn a_full_server_rejects_nobody_while_another_attempt_takes_its_time() {
    for refusal in [None, Some(Refusal::Full), Some(Refusal::Passing)] {
        let mut world = World::new(10, Some(PATIENCE), None);
        for _ in 0..9 {
            join_write(&mut world);
        }
        world.pass(SECOND);
        let attempts = world.opening.clone();
        let (last, others) = attempts.split_last().unwrap();
        for &worker in others {
            world.refuse(worker, Refusal::Full);
        }
        assert!(world.settled.is_empty(), "{:?}", world.settled);
        match refusal {
            None => {
                world.connect(*last);
                assert_eq!((world.in_flight().len(), world.settled.len()), (1, 0));
            }
            Some(refusal) => {
                world.refuse(*last, refusal);
                assert_eq!(world.settled.len(), 9, "{refusal:?}");
            }
        }
    }
}

#[test]
fn attempts_that_all_fail_do_not_keep_each_other_young_for_ever() {
    let mut world = World::new(10, Some(PATIENCE), None);
    for _ in 0..10 {
        join_write(&mut world);
    }
    let mut attempts = 0;
    while let Some(&worker) = world.opening.first() {
        world.refuse(worker, Refusal::Passing);
        attempts += 1;
        assert!(attempts < 30);
    }
    assert_eq!(world.settled.len(), 10);
}

#[test]
fn an_outage_is_waited_out_with_one_attempt_at_a_time() {
    let mut world = connected(10, 1);
    let worker = world.idle()[0];
    world.gone(worker);
    for _ in 0..5 {
        join_write(&mut world);
    }
    for worker in world.opening.clone() {
        world.refuse(worker, Refusal::Passing);
    }
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let since = world.now;
        while world.opening.is_empty() {
            world.pass(MS);
        }
        assert_eq!(world.opening.len(), 1);
        pauses.push((world.since(since)).as_millis());
        world.refuse(world.opening[0], Refusal::Passing);
    }
    assert!(world.settled.is_empty());
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] <= 500), "{pauses:?}");
    world.pass(SECOND);
    world.connect(world.opening[0]);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn an_error_that_waiting_does_not_mend_rejects_also_after_a_first_connection() {
    let mut world = connected(10, 1);
    let worker = world.idle()[0];
    world.gone(worker);
    join_lookup(&mut world);
    let id = world.joined - 1;
    world.refuse(world.opening[0], Refusal::Lasting);
    assert_eq!(world.settled[&id], Ending::Failed("refused"));
}
