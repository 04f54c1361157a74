//! What chance alone would seldom bring together in one plan.

use std::time::Duration;

use super::{
    chance::Chance,
    database::Table,
    draw::{MOMENT, SECOND, WAITS, cut, instant},
    kinds::{OF_HOSTS, draw},
    plan::{Call, Cut, End, Event, Fault, Happening, Place, Plan, Stage, Trouble},
};
use crate::lucia::method::Method;

/// Adds to a plan; to one in five nothing.
pub(super) fn emphasise(chance: &Chance, plan: &mut Plan) {
    match chance.below(20) {
        0 | 1 => lose_what_is_slow(chance, plan),
        2 => start_in_trouble(chance, plan),
        3 | 10 => go_out_twice(chance, plan),
        11 => refuse_then_crash(chance, plan),
        12 => use_many_statements(chance, plan),
        13 => cut_what_is_idle(chance, plan),
        14 if chance.happens(10) => use_all_kinds_of_statements(chance, plan),
        4 => queue_for_a_row(chance, plan),
        5 => end_in_an_outage(chance, plan),
        6 => change_the_tables(chance, plan),
        7 => terminate_at_calls(chance, plan),
        8 => lose_lookups_in_turn(chance, plan),
        9 => cancel_late(chance, plan),
        15 => cut_requests(chance, plan),
        16 => merge_answers(chance, plan),
        _ => {}
    }
}

/// Statements that take a while, and whose connections end then.
fn lose_what_is_slow(chance: &Chance, plan: &mut Plan) {
    for _ in 0..2 + chance.below(5) {
        let (connection, place) = (chance.below(plan.max.min(3)), Place::Execution(chance.below(4)));
        let wait = chance.one_of(&[3 * MOMENT, 20 * MOMENT, 80 * MOMENT, 1300 * MOMENT, 4 * SECOND]);
        let end = chance.one_of(&[Trouble::Reset(cut(chance)), Trouble::Fatal("57P01")]);
        for (stage, trouble) in [(Stage::Received, Trouble::Wait(wait)), (Stage::Complete, end)] {
            plan.faults.push(Fault { connection, place, stage, trouble });
        }
    }
}

fn start_in_trouble(chance: &Chance, plan: &mut Plan) {
    let what = draw(&OF_HOSTS, chance, plan);
    plan.events.insert(0, Event { at: Duration::ZERO, what });
}

/// Two outages with calls in each, and one between that finds the server again.
fn go_out_twice(chance: &Chance, plan: &mut Plan) {
    let lasts = chance.one_of(&[400 * MOMENT, 1500 * MOMENT]);
    let at = instant(chance, &plan.calls);
    let again = at + lasts + 900 * MOMENT;
    for at in [at, again] {
        plan.events.push(Event { at, what: Happening::Crash { host: 0, lasts } });
        plan.calls.push(lookup(at + MOMENT));
    }
    plan.calls.push(lookup(at + lasts + 600 * MOMENT));
}

fn lookup(at: Duration) -> Call {
    Call { number: 0, at, method: Method::GetUser, id: "u0".to_owned(), other: None, variant: 0 }
}

/// A server that is full but for one connection, which is lost then.
fn refuse_then_crash(chance: &Chance, plan: &mut Plan) {
    let at = instant(chance, &plan.calls);
    plan.events.push(Event { at, what: Happening::Full { host: 0, lasts: 2 * SECOND, sessions: 1 } });
    for after in 0..8 {
        let at = at + after * 150 * MOMENT;
        plan.calls.extend([lookup(at), Call { method: Method::UpdateUser, ..lookup(at) }]);
        plan.calls.extend([Call { method: Method::GetKeysByUserId, ..lookup(at) }]);
    }
    let at = at + chance.one_of(&[300 * MOMENT, 600 * MOMENT, SECOND]);
    plan.events.push(Event { at, what: Happening::Crash { host: 0, lasts: 30 * MOMENT } });
}

/// Changes of one row, which is locked, and lookups beside them.
fn queue_for_a_row(chance: &Chance, plan: &mut Plan) {
    let at = instant(chance, &plan.calls);
    let lasts = chance.one_of(&[80 * MOMENT, SECOND, 4 * SECOND]);
    plan.events.push(Event { at, what: Happening::Lock { table: Table::User, id: "u0".to_owned(), lasts } });
    let update = Call { method: Method::UpdateUser, ..lookup(at) };
    plan.calls.extend(vec![update; plan.max + 2]);
    plan.calls.extend((0..3).map(|after| lookup(at + after * 20 * MOMENT)));
}

fn end_in_an_outage(chance: &Chance, plan: &mut Plan) {
    let at = instant(chance, &plan.calls);
    let before = at.saturating_sub(chance.one_of(&[Duration::ZERO, 5 * MOMENT, 80 * MOMENT]));
    let lasts = chance.one_of(&[400 * MOMENT, 2 * SECOND]);
    let what = if chance.happens(50) { Happening::Crash { host: 0, lasts } } else { draw(&OF_HOSTS, chance, plan) };
    plan.events.push(Event { at: before, what });
    plan.calls.extend((0..3).map(|_| lookup(before)));
    plan.end = Some(End { at: at + MOMENT * u32::try_from(chance.below(5)).unwrap(), gives_up: chance.happens(30) });
}

fn change_the_tables(chance: &Chance, plan: &mut Plan) {
    for _ in 0..2 {
        let table = chance.one_of(&[Table::User, Table::Key, Table::Session]);
        let what = if chance.happens(70) { Happening::AddColumn(table) } else { Happening::Retype(Table::User) };
        plan.events.push(Event { at: instant(chance, &plan.calls), what });
    }
}

/// Connections end at the moment that they are to be used.
fn terminate_at_calls(chance: &Chance, plan: &mut Plan) {
    for _ in 0..3 {
        let what = Happening::Terminate { connection: chance.below(plan.max + 1) };
        plan.events.push(Event { at: instant(chance, &plan.calls), what });
    }
}

/// The younger of two batches of lookups is lost first, and the older while the younger is done again.
fn lose_lookups_in_turn(chance: &Chance, plan: &mut Plan) {
    plan.max = chance.one_of(&[2, 3]);
    plan.faults.retain(|fault| fault.connection > 1);
    for call in &mut plan.calls {
        call.at += SECOND;
    }
    let of = |method, prefix: &'static str| {
        (0..4).map(move |id| Call { method, id: format!("{prefix}{}", 100 + id), ..lookup(Duration::ZERO) })
    };
    plan.calls.splice(0..0, of(Method::GetUser, "u").chain(of(Method::GetKey, "k")));
    for (connection, wait) in [(0, chance.one_of(&[20 * MOMENT, 80 * MOMENT, 300 * MOMENT])), (1, 3 * MOMENT)] {
        for (stage, trouble) in
            [(Stage::Received, Trouble::Wait(wait)), (Stage::Complete, Trouble::Reset(Cut::After(0)))]
        {
            plan.faults.push(Fault { connection, place: Place::Execution(0), stage, trouble });
        }
    }
}

/// More statements than a connection keeps prepared.
fn use_many_statements(chance: &Chance, plan: &mut Plan) {
    (plan.max, plan.latency, plan.connect_timeout) = (chance.one_of(&[1, 2]), MOMENT / 10, 30 * SECOND);
    let at = instant(chance, &plan.calls);
    plan.calls.extend((0..200).map(|after| Call {
        method: Method::UpdateSession,
        variant: usize::try_from(after % 125).unwrap(),
        ..lookup(at + after * MOMENT)
    }));
}

/// More statements than are known at a time. Each is refused: the user that it names is nobody.
fn use_all_kinds_of_statements(chance: &Chance, plan: &mut Plan) {
    (plan.max, plan.latency, plan.connect_timeout) = (2, MOMENT / 10, 30 * SECOND);
    let at = instant(chance, &plan.calls);
    plan.calls.extend((0..1_100).map(|after| Call {
        method: Method::SetSession,
        other: Some("nobody".to_owned()),
        variant: usize::try_from(after).unwrap(),
        ..lookup(at + after * MOMENT)
    }));
}

/// Idle connections are cut silently, and called over at once, later, or after so long that they are asked first.
fn cut_what_is_idle(chance: &Chance, plan: &mut Plan) {
    let last = plan.calls.last().map_or(MOMENT, |call| call.at);
    let at = last + chance.one_of(&[100 * MOMENT, 2 * SECOND]);
    let cut = |connection| Event { at, what: Happening::CutSilently { connection } };
    plan.events.extend((0..plan.max.min(4)).map(cut));
    let again = at + chance.one_of(&[5 * MOMENT, 10 * SECOND, 31 * SECOND, 50 * SECOND]);
    let is_write_first = chance.happens(50);
    for after in 0..4 {
        let at = again + after * 20 * MOMENT;
        let write =
            Call { method: Method::UpdateUser, ..lookup(at + if is_write_first { Duration::ZERO } else { MOMENT }) };
        plan.calls.extend([write, lookup(at)]);
    }
}

/// Statements for many calls that hold each other up, are cancelled, and the request reaches the server later.
fn cancel_late(chance: &Chance, plan: &mut Plan) {
    let at = instant(chance, &plan.calls);
    let by = chance.one_of(&[80 * MOMENT, 300 * MOMENT, SECOND]);
    plan.events.push(Event { at, what: Happening::DelayCancels { lasts: 40 * SECOND, by, is_unnoticed: true } });
    plan.calls.extend((0..4).map(|_| lookup(at)));
    plan.calls.extend((0..20).map(|after| lookup(at + SECOND + after * 100 * MOMENT)));
    for _ in 0..4 {
        let (connection, place) = (chance.below(plan.max.min(3)), Place::Execution(chance.below(4)));
        let trouble = Trouble::Wait(chance.one_of(&[1010 * MOMENT, 1300 * MOMENT]));
        plan.faults.push(Fault { connection, place, stage: Stage::Received, trouble });
    }
}

/// Connections end while a request is written.
fn cut_requests(chance: &Chance, plan: &mut Plan) {
    for _ in 0..2 + chance.below(5) {
        let (connection, place) = (chance.below(plan.max.min(3)), Place::Execution(chance.below(4)));
        plan.faults.push(Fault {
            connection,
            place,
            stage: Stage::Received,
            trouble: Trouble::CutRequest(cut(chance)),
        });
    }
}

/// Many lookups, whose answers come together with those of others, and of changes.
fn merge_answers(chance: &Chance, plan: &mut Plan) {
    plan.max = chance.one_of(&[1, 2]);
    let at = instant(chance, &plan.calls);
    for after in 0..3 {
        let at = at + after * MOMENT;
        plan.calls.extend((0..40).map(|id| Call { id: format!("u{}", id % 4), ..lookup(at) }));
        plan.calls.push(Call { method: Method::UpdateUser, ..lookup(at) });
    }
    for _ in 0..6 {
        let (connection, place) = (chance.below(2), Place::Execution(chance.below(8)));
        let trouble = Trouble::Merge(chance.one_of(&WAITS));
        plan.faults.push(Fault { connection, place, stage: Stage::Received, trouble });
    }
}
