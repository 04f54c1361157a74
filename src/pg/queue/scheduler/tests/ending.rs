//! What becomes of calls when a caller, or everything, has ended.

use super::steps::{answer_all, connected, join_lookup, join_write, lose};
use crate::pg::queue::scheduler::{Ending, Opened, Refusal, WorkerId, model::Job};

#[test]
fn an_event_of_an_unknown_worker_is_ignored() {
    let mut world = connected(2, 1);
    let stranger = WorkerId(999);
    world.scheduler.checked(world.now, stranger, true);
    world.scheduler.gone(world.now, stranger);
    world.scheduler.connect_failed(world.now, stranger, "refused", Refusal::Lasting);
    world.scheduler.connected(
        world.now,
        stranger,
        Opened { retire_at: None, may_batch_writes: true, round_trip: None },
        &[],
    );
    world.obey();
    assert_eq!(world.scheduler.connections(), 1);
}

#[test]
fn calls_of_a_caller_that_has_ended_are_taken_out_and_not_taken_back() {
    let mut world = connected(1, 1);
    let of_ended = |job: Job| Job { is_awaited: false, ..job };
    world.join(&[of_ended(Job::lookup(world.joined))], true);
    let flight = world.last().flight;
    let in_flight = world.joined - 1;
    for job in [Job::lookup, Job::write] {
        world.join(&[of_ended(job(world.joined)), job(world.joined + 1)], true);
    }
    world.scheduler.caller_ended(world.now);
    world.obey();
    let settled: Vec<u32> = world.settled.keys().copied().collect();
    assert_eq!(settled, [in_flight + 1, in_flight + 3]);
    assert_eq!(world.scheduler.waiting(), 2, "those of others wait");
    lose(&mut world, flight);
    assert_eq!(world.settled.get(&in_flight), Some(&Ending::Ended));
}

#[test]
fn what_waits_is_settled_at_the_end_and_what_is_in_flight_is_answered() {
    let mut world = connected(1, 1);
    join_write(&mut world);
    join_lookup(&mut world);
    let waiting = world.joined - 1;
    world.finish();
    assert_eq!(world.settled[&waiting], Ending::Ended);
    answer_all(&mut world);
    assert_eq!(world.closing.len(), 1);
    join_lookup(&mut world);
    assert_eq!(world.settled.len(), 2, "a later call too");
    world.close_all();
    assert_eq!(world.scheduler.connections(), 0);
}
