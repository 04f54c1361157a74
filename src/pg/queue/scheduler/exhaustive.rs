//! Every state that can be reached with a few calls, refusals, losses and moments: the rules of `model` hold in each, and from
//! each the timers alone see to every call.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use super::{
    Connection, Refusal, Return, Time,
    model::{Job, SECOND, World},
    worker::State,
};

/// How often each thing may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    lookups: u32,
    writes: u32,
    refusals: u32,
    losses: u32,
    /// A batch is parted, a write contends, a cancel is sent.
    troubles: u32,
    ticks: u32,
    ends: u32,
}

#[derive(Clone, Debug)]
struct Place {
    world: World,
    left: Budget,
}

const PATIENCE: Duration = Duration::from_secs(6);

impl Place {
    /// The state, with times relative to now and ids renumbered.
    fn key(&self) -> Vec<i64> {
        let Self { world, left } = self;
        let now = world.now;
        #[expect(clippy::cast_possible_truncation, reason = "the test lasts for less than 2^63 microseconds")]
        let relative = |time: Time| time.as_micros() as i64 - now.as_micros() as i64;
        let maybe = |time: Option<Time>| time.map_or(i64::MIN, relative);
        let scheduler = &world.scheduler;
        let waiting = &scheduler.waiting;
        let queues = || {
            waiting.lookups.iter().map(|queue| &queue.calls).chain([
                &waiting.alone,
                &waiting.writes,
                &waiting.contended,
                &waiting.returned,
            ])
        };
        let mut numbers: Vec<u64> = queues()
            .flatten()
            .chain(world.sent.iter().flat_map(|sent| &sent.calls))
            .map(|queued| queued.number)
            .collect();
        numbers.sort_unstable();
        let rank = |number: u64| numbers.iter().filter(|other| **other <= number).count().cast_signed() as i64;
        let call = |queued: &super::Queued<Job>| {
            [
                rank(queued.number),
                i64::from(queued.work.is_write),
                maybe(queued.deadline),
                i64::from(queued.was_lost()) + 2 * i64::from(queued.is_alone()),
                i64::from(queued.contentions()),
                relative(queued.not_before().max(now)),
            ]
        };
        let mut workers: Vec<Vec<i64>> = scheduler
            .workers
            .iter()
            .map(|worker| {
                let mut key = match &worker.state {
                    State::Connecting { since, first } => vec![0, relative(*since), rank(*first)],
                    State::Idle { since } => vec![1, relative(*since)],
                    State::Checking { since } => vec![2, relative(*since)],
                    State::Busy { .. } => vec![3],
                    State::Closing { until, .. } => {
                        vec![4, maybe(*until), i64::from(world.closing.contains(&worker.id))]
                    }
                };
                key.push(worker.doubted.map_or(i64::MAX, relative));
                for sent in world.sent.iter().filter(|sent| sent.worker == worker.id) {
                    let flight = worker.flights().iter().find(|flight| flight.number == sent.flight).unwrap();
                    key.extend([i64::MAX, relative(flight.sent)]);
                    key.extend(sent.calls.iter().flat_map(call));
                }
                key
            })
            .collect();
        workers.sort_unstable();
        let mut key: Vec<i64> =
            workers.into_iter().flat_map(|worker| worker.into_iter().chain([i64::MAX - 1])).collect();
        for calls in queues() {
            key.push(i64::MAX - 2);
            key.extend(calls.iter().flat_map(call));
        }
        key.extend([
            rank(waiting.flushed),
            i64::from(scheduler.was_connected),
            i64::from(scheduler.is_outage),
            i64::from(scheduler.refusals.in_a_row),
            i64::from(scheduler.refusals.abandoned.min(3)),
            scheduler.refusals.not_before.map_or(0, |time| relative(time.max(now))),
            i64::from(scheduler.is_ended),
            maybe(waiting.earliest),
        ]);
        let Budget { lookups, writes, refusals, losses, troubles, ticks, ends } = *left;
        key.extend([lookups, writes, refusals, losses, troubles, ticks, ends].map(i64::from));
        key
    }

    fn to(&self, spend: impl Fn(&mut Budget) -> &mut u32, event: impl FnOnce(&mut World)) -> Option<Self> {
        let mut next = self.clone();
        let left = spend(&mut next.left);
        *left = left.checked_sub(1)?;
        event(&mut next.world);
        Some(next)
    }

    fn freely(&self, event: impl FnOnce(&mut World)) -> Self {
        let mut next = self.clone();
        event(&mut next.world);
        next
    }

    /// All that can happen next.
    fn next(&self) -> Vec<Self> {
        let world = &self.world;
        let id = world.joined;
        let mut next = vec![
            self.to(|left| &mut left.lookups, |world| world.join(&[Job::lookup(id)], true)),
            self.to(|left| &mut left.lookups, |world| world.join(&[Job::lookup(id)], false)),
            self.to(|left| &mut left.writes, |world| world.join(&[Job { row: Some(1), ..Job::write(id) }], true)),
            self.to(|left| &mut left.ends, World::finish),
            Some(self.freely(World::flush)),
        ];
        for &worker in &world.opening {
            next.push(Some(self.freely(|world| world.connect(worker))));
            for refusal in [Refusal::Passing, Refusal::Full] {
                next.push(self.to(|left| &mut left.refusals, |world| world.refuse(worker, refusal)));
            }
        }
        for &(worker, _) in &world.checking {
            next.push(Some(self.freely(|world| world.check(worker, true))));
            next.push(self.to(|left| &mut left.losses, |world| world.check(worker, false)));
        }
        for &worker in &world.closing {
            next.push(Some(self.freely(|world| world.gone(worker))));
        }
        for worker in world.idle() {
            next.push(self.to(|left| &mut left.losses, |world| world.gone(worker)));
        }
        for worker in &world.scheduler.workers {
            let id = worker.id;
            if matches!(worker.state, State::Closing { until: Some(_), .. }) {
                next.push(Some(self.freely(|world| world.cancel_spent(id))));
            }
        }
        for sent in &world.sent {
            let flight = sent.flight;
            let is_write = sent.calls.iter().any(|queued| queued.work.is_write);
            next.push(Some(self.freely(|world| world.answer(flight))));
            // A write whose connection is lost has an unknown outcome: it does not come back.
            let lost = move |world: &mut World| {
                world.end(flight, Connection::Ends, |_| (!is_write).then_some(Return::Lost("lost")));
            };
            next.push(self.to(|left| &mut left.losses, lost));
            let held = move |world: &mut World| world.end(flight, Connection::Cancelled, |_| Some(Return::Alone));
            next.push(self.to(|left| &mut left.troubles, held));
            let contended =
                move |world: &mut World| world.end(flight, Connection::Stays, |_| Some(Return::Contended("40001")));
            next.push(self.to(|left| &mut left.troubles, contended));
        }
        if let Some(wake) = world.scheduler.next_wake() {
            next.push(self.to(
                |left| &mut left.ticks,
                |world| {
                    world.now = world.now.max(wake);
                    world.tick();
                },
            ));
        }
        next.into_iter().flatten().collect()
    }

    /// Nothing happens any more but that workers close which are told to, and that time passes.
    fn left_alone(&self, good: &mut HashSet<Vec<i64>>) {
        let mut place = self.clone();
        place.world.flush();
        let mut seen = Vec::new();
        for _ in 0..500 {
            place.world.close_all();
            let key = place.key();
            if place.world.scheduler.waiting() == 0 || good.contains(&key) {
                good.extend(seen);
                return;
            }
            seen.push(key);
            let wake = place.world.scheduler.next_wake();
            let wake = wake.unwrap_or_else(|| panic!("calls wait, and nothing will ever happen: {:#?}", place.world));
            assert!(wake >= place.world.now, "a moment that has passed: {:#?}", place.world);
            place.world.now = wake;
            place.world.tick();
        }
        panic!("calls wait for ever: {:#?}", place.world);
    }
}

fn explore(max: usize, left: Budget) -> usize {
    let world = World::new(max, Some(PATIENCE), Some(20 * SECOND));
    let start = Place { world, left };
    let mut seen = HashSet::from([start.key()]);
    let mut good = HashSet::new();
    let mut to_visit = VecDeque::from([start]);
    while let Some(place) = to_visit.pop_front() {
        place.left_alone(&mut good);
        for next in place.next() {
            if seen.insert(next.key()) {
                to_visit.push_back(next);
            }
        }
    }
    seen.len()
}

const BUDGET: Budget = Budget { lookups: 2, writes: 1, refusals: 1, losses: 1, troubles: 1, ticks: 2, ends: 1 };

#[test]
fn with_one_connection_no_call_is_left_in_any_state() {
    let states = explore(1, Budget { writes: 2, ..BUDGET });
    assert!(states > 50_000, "{states} states");
}

#[test]
fn with_two_connections_no_call_is_left_in_any_state() {
    let states = explore(2, Budget { ends: 0, ..BUDGET });
    assert!(states > 50_000, "{states} states");
}

#[test]
fn with_three_connections_no_call_is_left_in_any_state() {
    let states = explore(3, Budget { writes: 2, lookups: 1, ticks: 1, ..BUDGET });
    assert!(states > 50_000, "{states} states");
}
