//! States that tests begin with, and steps that many of them take.

use std::time::Duration;

use crate::pg::queue::scheduler::{
    Connection, Return,
    model::{Job, World},
};

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// With as many idle connections.
pub(super) fn connected(max: usize, connections: usize) -> World {
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

pub(super) fn answer_all(world: &mut World) {
    while let Some(sent) = world.sent.first() {
        let flight = sent.flight;
        world.answer(flight);
    }
}

pub(super) fn lookup_of(id: u32, statement: u64) -> Job {
    Job { statement, ..Job::lookup(id) }
}

pub(super) fn lookups(world: &World, count: u32) -> Vec<Job> {
    (world.joined..world.joined + count).map(Job::lookup).collect()
}

pub(super) fn join_lookup(world: &mut World) {
    world.join(&lookups(world, 1), true);
}

pub(super) fn join_write(world: &mut World) {
    world.join(&[Job::write(world.joined)], true);
}

pub(super) fn lose(world: &mut World, flight: u64) {
    world.end(flight, Connection::Ends, |queued| (!queued.work.is_write).then_some(Return::Lost("lost")));
}

pub(super) fn contend(world: &mut World) {
    let flight = world.last().flight;
    world.end(flight, Connection::Stays, |_| Some(Return::Contended("40001")));
}
