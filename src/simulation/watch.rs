//! Looks again and again for a call that waits while a connection is free.

use std::{sync::Arc, time::Duration};

use tokio::time::{self, Instant};

use super::{
    plan::{Call, Happening, Plan, Trouble},
    record::Received,
    state::{Phase, Session, State},
    statement::Action,
    world::World,
};

const LOOK: Duration = Duration::from_millis(500);
/// Longer than any pause that is meant: of a contended statement, of a connection whose cancel is under way, of calls that
/// were sent behind a statement that is not answered.
const PATIENCE: Duration = Duration::from_secs(6);

/// Longer than the pause between attempts to connect while no connection is open.
const PAUSE: Duration = Duration::from_millis(600);

pub(super) async fn watch(world: Arc<World>) {
    let (mut before, mut found) = (Vec::new(), Vec::new());
    loop {
        time::sleep(LOOK).await;
        let beside = waiting(&world).into_iter().map(|number| (number, "is waiting while a connection is free"));
        let without = forgotten(&world).into_iter().map(|number| (number, "is waiting, and no connection is opened"));
        // Once may be the moment after a suspension, when nothing has run yet.
        let new = beside.chain(without).filter(|what| !found.contains(what)).collect::<Vec<_>>();
        for what in new.iter().filter(|what| before.contains(*what)) {
            world.violated(format!("call {}: {}", what.0, what.1));
            found.push(*what);
        }
        before = new;
    }
}

/// The numbers of the lookups that wait although nobody opens a connection for them, and none is open.
fn forgotten(world: &World) -> Vec<usize> {
    let (state, now) = (world.state(), Instant::now());
    let has_ended = state.record.ended_at.is_some();
    let is_recent = |over: Option<Instant>| over.is_none_or(|over| now - over <= PAUSE);
    if has_ended || state.record.connections.iter().any(|connection| is_recent(connection.over)) {
        return Vec::new();
    }
    let is_waiting = |call: &&Call, index: usize| {
        let record = state.record.calls[index].as_ref().filter(|record| record.settled.is_none());
        record.is_some_and(|record| now - record.made.at > PAUSE) && !call.action().is_write()
    };
    let calls = world.plan.calls.iter().enumerate();
    calls.filter(|(index, call)| is_waiting(call, *index)).map(|(_, call)| call.number).collect()
}

/// The numbers of the calls that nobody has been doing anything about for a while.
fn waiting(world: &World) -> Vec<usize> {
    let (state, now) = (world.state(), Instant::now());
    let is_free = |phase| matches!(phase, Phase::Idle { since } if now - since >= PATIENCE);
    // What is being prepared does not say for whom. What a cut connection has not received is nobody's, and what was sent
    // behind a lookup that was sent ahead has not been received either.
    // A call may ask which constraint is violated.
    let may_be_anyones = |session: &Session| match session.phase {
        _ if session.is_cut => true,
        Phase::Working { executes } => executes.is_none_or(|executes| {
            let received = &state.record.received[executes];
            received.is_ahead || matches!(received.action, Action::Question(_))
        }),
        _ => false,
    };
    let mut open = state.sessions.iter().filter(|session| session.is_open);
    if !open.clone().any(|session| is_free(session.phase)) || open.any(may_be_anyones) {
        return Vec::new();
    }
    let patience = PATIENCE + on_the_way(&world.plan);
    let is_waiting = |call: &&Call, index: usize| {
        let record = state.record.calls[index].as_ref().filter(|record| record.settled.is_none());
        record.is_some_and(|record| now - record.made.at >= patience) && is_left(world, &state, call, now)
    };
    let calls = world.plan.calls.iter().enumerate();
    calls.filter(|(index, call)| is_waiting(call, *index)).map(|(_, call)| call.number).collect()
}

/// For how long answers may be on their way, while their sessions are at rest, and the process be suspended.
fn on_the_way(plan: &Plan) -> Duration {
    let pause = |trouble| match trouble {
        Trouble::Split(_, pause) | Trouble::Merge(pause) => pause,
        _ => Duration::ZERO,
    };
    let jump = |what: &Happening| match what {
        Happening::Jump { by } => *by,
        _ => Duration::ZERO,
    };
    let pauses = plan.faults.iter().map(|fault| pause(fault.trouble));
    pauses.chain(plan.events.iter().map(|event| jump(&event.what))).sum()
}

fn is_left(world: &World, state: &State, call: &Call, now: Instant) -> bool {
    let mut received = state.record.received.iter().enumerate().filter(|(_, received)| call.is_part_of(received));
    let executing = |index| {
        state.sessions.iter().any(|session| match session.phase {
            Phase::Working { executes } => executes == Some(index),
            Phase::WaitingForStandby { executes } => executes == index,
            _ => false,
        })
    };
    let working = state.sessions.iter().filter(|session| matches!(session.phase, Phase::Working { .. })).count();
    let max = world.plan.max;
    let most = if call.action().is_write() {
        // Another server may be waited for, that takes changes.
        if world.plan.hosts > 1 {
            return false;
        }
        if max == 1 { 1 } else { max - 1 }
    } else {
        // What was lost or held up before goes alone, on no more than half of the connections.
        (max / 2).max(1)
    };
    // Changes of one row go one at a time where they contend.
    let changes = |received: &Received| {
        received.action.is_write() && received.calls.iter().any(|row| row.contains(&Some(call.id.clone())))
    };
    let takes_turns = call.action().is_write()
        && state.record.received.iter().enumerate().any(|(index, received)| executing(index) && changes(received));
    !takes_turns
        && working < most
        && received.all(|(index, received)| !executing(index) && now - received.at >= PATIENCE)
}
