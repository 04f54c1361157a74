//! What is counted.

use super::steps::{connected, join_lookup, join_write};
use crate::pg::queue::scheduler::{
    Connection, Ending, Figures, Refusal, Rejection, Return, Times,
    model::{MS, SECOND, World},
};

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

#[test]
fn connections_are_counted_and_those_that_are_idle_or_busy() {
    let mut world = connected(6, 4);
    join_write(&mut world);
    join_lookup(&mut world);
    let scheduler = &world.scheduler;
    assert_eq!((scheduler.connections(), scheduler.idle(), scheduler.busy(), scheduler.waiting()), (4, 2, 2, 0));
}
