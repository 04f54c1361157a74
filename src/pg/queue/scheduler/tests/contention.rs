//! Writes that the server has rolled back in favour of others.

use super::steps::{connected, contend, join_lookup, join_write, lookups};
use crate::pg::queue::scheduler::{
    Connection, Ending, Opened, Return,
    model::{Job, MS, SECOND, World},
};

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
fn a_contended_write_is_sent_again_where_its_pause_ends_within_the_patience_since_it_was_first_sent() {
    for (waited, is_settled) in [(4_999, false), (5_000, true)] {
        let mut world = World::new(2, Some(5 * SECOND), None);
        join_write(&mut world);
        world.connect(world.opening[0]);
        world.now += waited * MS;
        contend(&mut world);
        assert_eq!(world.settled.contains_key(&0), is_settled, "{waited} ms");
    }
}

#[test]
fn a_write_that_takes_turns_waits_for_one_of_its_row_that_was_sent_before() {
    let mut world = connected(4, 4);
    let id = world.joined;
    let of_row = |id| Job { row: Some(9), ..Job::write(id) };
    world.join(&[of_row(id)], true);
    contend(&mut world);
    world.join(&[of_row(id + 1)], true);
    let other = world.last().flight;
    world.pass(MS);
    contend(&mut world);
    world.pass(10 * MS);
    assert_eq!(world.in_flight(), [[id + 1]]);
    world.answer(other);
    assert_eq!(world.in_flight(), [[id]]);
}

#[test]
fn a_new_write_waits_for_one_of_its_row_that_takes_turns_and_is_in_flight() {
    let mut world = connected(4, 4);
    let id = world.joined;
    let of_row = |id| Job { row: Some(9), ..Job::write(id) };
    world.join(&[of_row(id)], true);
    for _ in 0..2 {
        contend(&mut world);
        world.pass(10 * MS);
    }
    world.join(&[of_row(id + 1)], true);
    assert_eq!(world.in_flight(), [[id]]);
    world.answer(world.last().flight);
    assert_eq!(world.in_flight(), [[id + 1]]);
}

#[test]
fn a_write_that_has_waited_for_a_connection_waits_also_for_one_of_its_row_that_takes_turns() {
    let mut world = connected(3, 3);
    let id = world.joined;
    let of_row = |id| Job { row: Some(9), ..Job::write(id) };
    world.join(&[of_row(id)], true);
    for _ in 0..2 {
        contend(&mut world);
        world.pass(10 * MS);
    }
    world.join(&[Job::write(id + 1), of_row(id + 2)], true);
    assert_eq!(world.in_flight(), [[id], [id + 1]]);
    world.answer(world.last().flight);
    assert_eq!(world.in_flight(), [[id]]);
    world.answer(world.last().flight);
    assert_eq!(world.in_flight(), [[id + 2]]);
}

#[test]
fn a_write_that_comes_back_goes_before_a_younger_one_of_its_row_that_takes_turns() {
    let mut world = connected(4, 4);
    let id = world.joined;
    let batchable = |id, row| Job { row: Some(row), is_batchable: true, ..Job::write(id) };
    world.join(&[batchable(id, 7), batchable(id + 1, 9)], true);
    let batch = world.last().flight;
    world.join(&[Job { row: Some(9), ..Job::write(id + 2) }], true);
    contend(&mut world);
    world.pass(MS);
    contend(&mut world);
    world.end(batch, Connection::Stays, |_| Some(Return::Alone));
    assert_eq!(world.in_flight(), [[id], [id + 1]]);
    world.pass(10 * MS);
    assert_eq!(world.in_flight().len(), 2, "the younger one waits");
    world.answer(world.last().flight);
    assert_eq!(world.in_flight(), [[id], [id + 2]]);
}

#[test]
fn a_new_write_waits_for_one_of_its_row_that_takes_turns_and_pauses() {
    let mut world = connected(4, 4);
    let id = world.joined;
    let of_row = |id, row| Job { row: Some(row), ..Job::write(id) };
    world.join(&[of_row(id, 9)], true);
    contend(&mut world);
    world.pass(MS);
    contend(&mut world);
    world.join(&[of_row(id + 1, 9), of_row(id + 2, 8)], true);
    assert_eq!(world.in_flight(), [[id + 2]]);
    world.pass(10 * MS);
    assert_eq!(world.in_flight(), [[id + 2], [id]]);
    world.answer(world.last().flight);
    assert_eq!(world.in_flight(), [[id + 2], [id + 1]]);
}

#[test]
fn contended_writes_are_sent_again_in_batches_of_32_at_most() {
    let mut world = connected(1, 1);
    let id = world.joined;
    let writes: Vec<_> = (id..id + 40).map(|id| Job { is_batchable: true, ..Job::write(id) }).collect();
    world.join(&writes, true);
    while !world.sent.is_empty() {
        contend(&mut world);
    }
    world.pass(MS);
    assert_eq!(world.last().calls.len(), 32);
    world.answer(world.last().flight);
    assert_eq!(world.last().calls.len(), 8);
}

#[test]
fn contended_writes_are_sent_one_by_one_where_writes_are_not_batched() {
    for (may_batch_writes, is_batchable) in [(false, true), (true, false)] {
        let mut world = World::new(1, None, None);
        world.join(&[0, 1].map(|id| Job { is_batchable, ..Job::write(id) }), true);
        world.connect_with(world.opening[0], Opened { retire_at: None, may_batch_writes, round_trip: None });
        contend(&mut world);
        contend(&mut world);
        world.pass(MS);
        assert_eq!(world.in_flight(), [[0]]);
    }
}

#[test]
fn a_write_that_takes_turns_is_sent_by_itself() {
    let mut world = connected(1, 1);
    let id = world.joined;
    let batchable = |id, row| Job { row: Some(row), is_batchable: true, ..Job::write(id) };
    world.join(&[batchable(id, 1)], true);
    contend(&mut world);
    world.pass(MS);
    contend(&mut world);
    world.join(&[batchable(id + 1, 2)], true);
    contend(&mut world);
    world.now += 10 * MS;
    world.tick();
    assert_eq!(world.in_flight(), [[id]]);
}

#[test]
fn a_contended_write_that_finds_no_connection_again_ends_with_the_servers_error() {
    let mut world = World::new(1, Some(5 * SECOND), None);
    join_write(&mut world);
    world.connect(world.opening[0]);
    contend(&mut world);
    join_lookup(&mut world);
    world.pass(5 * SECOND);
    assert_eq!(world.settled[&0], Ending::Failed("40001"));
}

#[test]
fn lookups_that_the_server_rolled_back_pause_as_writes_do_and_are_sent_again_together() {
    let mut world = connected(1, 1);
    let id = world.joined;
    world.join(&lookups(&world, 3), true);
    for pause in [1, 2, 4] {
        contend(&mut world);
        assert!(world.sent.is_empty());
        assert_eq!(world.scheduler.next_wake(), Some(world.now + pause * MS));
        world.pass(pause * MS);
        assert_eq!(world.in_flight(), [[id, id + 1, id + 2]], "after {pause} ms");
    }
}

#[test]
fn lookups_that_pause_let_younger_ones_pass_and_stay_by_themselves_where_they_were() {
    let mut world = connected(1, 1);
    let id = world.joined;
    world.join(&lookups(&world, 2), true);
    world.end(world.last().flight, Connection::Stays, |_| Some(Return::Alone));
    contend(&mut world);
    assert_eq!(world.in_flight(), [[id + 1]]);
    contend(&mut world);
    join_lookup(&mut world);
    assert_eq!(world.in_flight(), [[id + 2]]);
    world.pass(MS);
    for next in [id, id + 1] {
        world.answer(world.last().flight);
        assert_eq!(world.in_flight(), [[next]]);
    }
}
