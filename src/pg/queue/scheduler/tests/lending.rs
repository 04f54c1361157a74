//! Questions beside the calls, and lookups that were sent ahead.

use super::steps::{answer_all, connected, join_lookup, join_write};
use crate::pg::queue::scheduler::{Loan, Opened, model::SECOND};

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
