//! From a seed to a plan.

use std::time::Duration;

use super::{
    chance::Chance,
    draw::{MOMENT, SECOND, instant, moment},
    emphasis::emphasise,
    kinds::{OF_HOSTS, OTHERS, TROUBLES, draw},
    plan::{Call, End, Event, Fault, Place, Plan, Stage, Trouble},
};
use crate::lucia::method::{METHODS, Method};

pub(super) fn plan(seed: u64) -> Plan {
    let chance = Chance::new(seed);
    let has_pooler = chance.happens(15);
    let hosts = if chance.happens(15) { 2 } else { 1 };
    let max = chance.one_of(&[1, 2, 2, 3, 5, 10]);
    let mut plan = Plan {
        max,
        hosts,
        has_pooler,
        has_password: chance.happens(20),
        has_rule: chance.happens(15),
        target: if hosts > 1 {
            chance.one_of(&[None, Some("read-write"), Some("primary"), Some("prefer-standby")])
        } else {
            None
        },
        connect_timeout: chance.one_of(&[2 * SECOND, 5 * SECOND, 30 * SECOND]),
        query_timeout: chance.happens(25).then(|| chance.one_of(&[MOMENT * 300, SECOND, 3 * SECOND])),
        idle_timeout: chance.happens(10).then(|| chance.one_of(&[MOMENT * 20, SECOND])),
        max_lifetime: chance.happens(10).then(|| chance.one_of(&[MOMENT * 50, SECOND])),
        latency: chance.one_of(&[MOMENT / 10, MOMENT, 5 * MOMENT, 40 * MOMENT]),
        calls: calls(&chance),
        faults: Vec::new(),
        events: Vec::new(),
        end: None,
    };
    let span = plan.calls.last().map_or(MOMENT, |call| call.at + 100 * MOMENT);
    if chance.happens(80) {
        let faults = chance.below(7);
        plan.faults = (0..faults).map(|_| fault(&chance, &plan)).collect();
        let events = chance.below(4);
        plan.events = (0..events).map(|_| event(&chance, &plan, span)).collect();
    }
    if chance.happens(10) {
        plan.end = Some(End { at: instant(&chance, &plan.calls), gives_up: chance.happens(50) });
    }
    emphasise(&chance, &mut plan);
    plan.events.sort_by_key(|event| event.at);
    plan.calls.sort_by_key(|call| call.at);
    for (number, call) in plan.calls.iter_mut().enumerate() {
        call.number = number;
    }
    plan
}

fn calls(chance: &Chance) -> Vec<Call> {
    let ids = 2 + chance.below(6);
    let bursts = 1 + chance.below(12);
    let most = chance.one_of(&[1, 3, 8, 40]);
    let gap = chance.one_of(&[5 * MOMENT, 60 * MOMENT, 400 * MOMENT]);
    let reads = chance.one_of(&[20, 50, 80]);
    let mut calls = Vec::new();
    let mut at = Duration::ZERO;
    for _ in 0..bursts {
        let only = chance.happens(40).then(|| method(chance, reads));
        for _ in 0..=chance.below(most) {
            let method = only.unwrap_or_else(|| method(chance, reads));
            calls.push(call(chance, calls.len(), at, method, ids));
        }
        at += moment(chance, gap);
        if chance.happens(5) {
            at += 31 * SECOND;
        }
    }
    calls
}

fn method(chance: &Chance, reads: usize) -> Method {
    let is_read = chance.happens(reads);
    let methods: Vec<Method> =
        METHODS.iter().filter(|entry| entry.name.starts_with("get") == is_read).map(|entry| entry.method).collect();
    chance.one_of(&methods)
}

fn call(chance: &Chance, number: usize, at: Duration, method: Method, ids: usize) -> Call {
    let user = format!("u{}", chance.below(ids));
    let key = format!("k{}", chance.below(ids));
    let session = format!("s{}", chance.below(ids));
    let (id, other) = match method {
        Method::SetUser => (user, chance.happens(70).then_some(key)),
        Method::GetUser
        | Method::UpdateUser
        | Method::DeleteUser
        | Method::GetKeysByUserId
        | Method::DeleteKeysByUserId
        | Method::GetSessionsByUserId
        | Method::DeleteSessionsByUserId => (user, None),
        Method::SetKey => (key, Some(user)),
        Method::GetKey | Method::UpdateKey | Method::DeleteKey => (key, None),
        Method::SetSession => (session, Some(user)),
        Method::GetSession | Method::UpdateSession | Method::DeleteSession | Method::GetSessionAndUser => {
            (session, None)
        }
    };
    Call { number, at, method, id, other, variant: 0 }
}

fn fault(chance: &Chance, plan: &Plan) -> Fault {
    let trouble = draw(&TROUBLES, chance, plan);
    let stage = match trouble {
        // Once it is committed the server does not refuse a statement.
        Trouble::Error(_) => chance.one_of(&[Stage::Received, Stage::Received, Stage::Complete]),
        // The server has not even received all of it.
        Trouble::CutRequest(_) => Stage::Received,
        _ => chance.one_of(&[Stage::Received, Stage::Complete, Stage::Committed]),
    };
    let place = if chance.happens(40) { Place::Execution(chance.below(6)) } else { Place::Exchange(chance.below(12)) };
    Fault { connection: chance.below(plan.max + 3), place, stage, trouble }
}

fn event(chance: &Chance, plan: &Plan, span: Duration) -> Event {
    let what = draw(OF_HOSTS.iter().chain(&OTHERS), chance, plan);
    let at = if chance.happens(50) { instant(chance, &plan.calls) } else { moment(chance, span) };
    Event { at, what }
}
