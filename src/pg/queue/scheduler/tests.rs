//! Each policy in its own words.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Connection, Ending, Figures, Loan, Opened, Refusal, Rejection, Return, Times, WorkerId,
    batch::{BATCH, batch_size},
    model::{Job, MS, SECOND, World},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// With as many idle connections.
fn connected(max: usize, connections: usize) -> World {
    let mut world = World::new(max, Some(PATIENCE), None);
    let writes: Vec<_> = (0..connections).map(|_| lookup_of(world.joined, 100)).collect();
    for (index, job) in writes.into_iter().enumerate() {
        world.join(&[Job { id: world.joined, statement: 100 + index as u64, ..job }], true);
    }
    for worker in world.opening.clone() {
        world.connect(worker);
    }
    answer_all(&mut world);
    assert_eq!(world.idle().len(), connections);
    world
}

fn answer_all(world: &mut World) {
    while let Some(sent) = world.sent.first() {
        let flight = sent.flight;
        world.answer(flight);
    }
}

fn lookup_of(id: u32, statement: u64) -> Job {
    Job { statement, ..Job::lookup(id) }
}

fn lookups(world: &World, count: u32) -> Vec<Job> {
    (world.joined..world.joined + count).map(Job::lookup).collect()
}

fn join_lookup(world: &mut World) {
    world.join(&lookups(world, 1), true);
}

fn join_write(world: &mut World) {
    world.join(&[Job::write(world.joined)], true);
}

fn lose(world: &mut World, flight: u64) {
    world.end(flight, Connection::Ends, |queued| (!queued.work.is_write).then_some(Return::Lost("lost")));
}

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
fn a_server_is_near_only_while_it_answers_a_single_lookup_within_1_ms() {
    let mut world = World::new(10, Some(PATIENCE), None);
    join_lookup(&mut world);
    world.connect(world.opening[0]);
    world.now += 2 * MS;
    let first = world.last().flight;
    world.answer(first);
    for _ in 0..4 {
        world.join(&lookups(&world, 16), true);
        for worker in world.opening.clone() {
            world.connect(worker);
        }
    }
    assert_eq!(world.sent.len(), 4, "none was held");
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

fn contend(world: &mut World) {
    let flight = world.last().flight;
    world.end(flight, Connection::Stays, |_| Some(Return::Contended("40001")));
}

#[test]
fn a_contended_write_pauses_twice_as_long_each_time_up_to_500_ms() {
    let mut world = connected(2, 2);
    join_write(&mut world);
    for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 500] {
        contend(&mut world);
        assert!(world.sent.is_empty());
        assert_eq!(world.scheduler.next_wake(), Some(world.now + pause * MS));
        world.pass(pause * MS);
        for (worker, _) in world.checking.clone() {
            world.check(worker, true);
        }
        assert_eq!(world.sent.len(), 1, "after {pause} ms");
    }
}

#[test]
fn a_contended_write_lets_others_pass_while_it_pauses() {
    let mut world = connected(2, 2);
    join_write(&mut world);
    contend(&mut world);
    join_write(&mut world);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_contended_write_ends_with_the_servers_error_when_the_patience_since_it_was_first_sent_is_over() {
    for patience in [Some(5 * SECOND), None] {
        let mut world = World::new(2, patience, None);
        join_write(&mut world);
        world.connect(world.opening[0]);
        let began = world.now;
        while world.settled.is_empty() {
            if world.sent.is_empty() {
                world.pass(MS);
            } else {
                world.now += 100 * MS;
                contend(&mut world);
            }
            for (worker, _) in world.checking.clone() {
                world.check(worker, true);
            }
        }
        assert_eq!(world.settled[&0], Ending::Failed("40001"));
        let took = world.since(began);
        let limit = patience.unwrap_or(30 * SECOND);
        assert!((limit * 9 / 10..=limit + SECOND).contains(&took), "{took:?}");
    }
}

#[test]
fn writes_of_a_row_that_has_contended_twice_go_one_at_a_time_and_in_order() {
    let mut world = connected(4, 4);
    let of_row = |id| Job { row: Some(9), ..Job::write(id) };
    let id = world.joined;
    world.join(&[of_row(id), of_row(id + 1), of_row(id + 2)], true);
    assert_eq!(world.sent.len(), 3);
    for _ in 0..2 {
        for sent in world.sent.clone() {
            world.end(sent.flight, Connection::Stays, |_| Some(Return::Contended("40001")));
        }
        world.pass(10 * MS);
    }
    assert_eq!(world.in_flight(), [[id]], "the first alone");
    world.join(&[of_row(id + 3), Job { row: Some(8), ..Job::write(id + 4) }], true);
    assert_eq!(world.in_flight(), [[id], [id + 4]], "another row's write goes on");
    for next in 1..4 {
        let flight = world.sent.iter().find(|sent| sent.calls[0].work.row == Some(9)).unwrap().flight;
        world.answer(flight);
        let of_row: Vec<_> = world.sent.iter().filter(|sent| sent.calls[0].work.row == Some(9)).collect();
        assert_eq!(of_row.len(), 1);
        assert_eq!(of_row[0].calls[0].work.id, id + next);
    }
}

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

#[test]
fn a_question_beside_the_calls_goes_over_an_idle_connection_or_one_that_is_opened_for_it() {
    let mut world = connected(3, 1);
    join_write(&mut world);
    assert_eq!(world.scheduler.borrow(world.now), Loan::Later);
    world.obey();
    world.connect(world.opening[0]);
    let Loan::Of(worker) = world.scheduler.borrow(world.now) else { panic!("it is idle") };
    world.checking.push((worker, true));
    world.obey();
    world.check(worker, true);
    assert_eq!(world.idle(), [worker]);
    for _ in 0..2 {
        join_lookup(&mut world);
    }
    world.connect(world.opening[0]);
    assert_eq!(world.scheduler.borrow(world.now), Loan::None, "with max connections there is none");
}

#[test]
fn a_worker_that_is_asked_a_question_serves_nobody_before_it_has_answered_and_is_closed_after_2_s() {
    let mut world = connected(1, 1);
    let Loan::Of(worker) = world.scheduler.borrow(world.now) else { panic!("it is idle") };
    world.checking.push((worker, true));
    join_lookup(&mut world);
    assert!(world.sent.is_empty());
    world.pass(2 * SECOND);
    assert!(!world.scheduler.workers.iter().any(|other| other.id == worker));
    assert_eq!(world.opening.len(), 1);
}

#[test]
fn a_connection_over_which_lookups_were_sent_ahead_that_others_have_answered_serves_nobody_before_they_are_over() {
    let opened = Opened { retire_at: None, may_batch_writes: true, round_trip: None };
    for (is_waiting, sent) in [(true, 1), (false, 0)] {
        let mut world = connected(2, 1);
        join_lookup(&mut world);
        let flight = world.last().flight;
        join_lookup(&mut world);
        let ahead = [world.scheduler.lookups_after(0).next().unwrap().0];
        let id = world.opening[0];
        if !is_waiting {
            world.answer(flight);
            answer_all(&mut world);
        }
        world.opening.clear();
        assert_eq!(world.scheduler.connected(world.now, id, opened, &ahead), is_waiting);
        world.checking.extend((!is_waiting).then_some((id, true)));
        world.obey();
        assert_eq!(world.sent.iter().filter(|other| other.worker == id).count(), sent);
        if !is_waiting {
            assert!(!world.idle().contains(&id));
            world.check(id, true);
            assert!(world.idle().contains(&id));
        }
    }
}

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

#[test]
fn what_happens_is_counted_once() {
    let mut world = World::new(1, Some(30 * SECOND), None);
    join_lookup(&mut world);
    world.pass(3 * MS);
    world.connect(world.opening[0]);
    world.pass(7 * MS);
    world.answer(world.last().flight);

    join_lookup(&mut world);
    world.end(world.last().flight, Connection::Ends, |_| Some(Return::Lost("lost")));
    world.close_all();
    world.connect(world.opening[0]);
    world.answer(world.last().flight);

    join_lookup(&mut world);
    world.end(world.last().flight, Connection::Cancelled, |_| None);
    world.cancel_spent(world.scheduler.workers[0].id);
    world.close_all();

    join_write(&mut world);
    world.connect(world.opening[0]);
    world.end(world.last().flight, Connection::Stays, |_| Some(Return::Contended("40001")));
    world.pass(MS);
    world.answer(world.last().flight);
    world.gone(world.idle()[0]);

    let figures = Figures {
        opened: 3,
        lost: 2,
        retried: 2,
        cancelled: 1,
        waits: Times { sum: 3 * MS, buckets: [5, 1, 0, 0, 0, 0, 0, 0, 0, 0] },
        uses: Times { sum: 7 * MS, buckets: [5, 0, 1, 0, 0, 0, 0, 0, 0, 0] },
        ..Figures::default()
    };
    assert_eq!(world.scheduler.figures, figures);
}

#[test]
fn a_call_that_is_rejected_is_counted_by_the_reason_wherever_it_is_settled() {
    let mut world = World::new(1, Some(30 * SECOND), None);
    join_lookup(&mut world);
    world.pass(31 * SECOND);
    assert_eq!(world.settled[&0], Ending::TimedOut);
    for _ in 0..2 {
        join_lookup(&mut world);
        world.scheduler.connect_failed(world.now, world.opening.remove(0), "connect timeout", Refusal::Lasting);
        world.obey();
    }
    assert_eq!(world.settled[&1], Ending::Failed("connect timeout"));
    world.scheduler.rejected([Rejection::Unknown, Rejection::QueryTimeout, Rejection::Unknown]);
    join_lookup(&mut world);
    world.finish();

    let figures = Figures { unknown: 2, query_timeouts: 1, connect_timeouts: 2, ..Figures::default() };
    assert_eq!(world.scheduler.figures(), figures);
}
