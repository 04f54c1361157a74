//! What chance alone would seldom bring together in one plan.

use std::time::Duration;

use super::{
    chance::Chance,
    database::Table,
    generate::{MOMENT, SECOND, event_of_host, instant},
    plan::{Call, End, Event, Fault, Happening, Plan, Stage, Trouble},
};
use crate::lucia::method::Method;

/// Adds to a plan, or to one in three nothing.
pub(super) fn emphasise(chance: &Chance, plan: &mut Plan) {
    match chance.below(12) {
        0 | 1 => lose_what_is_slow(chance, plan),
        2 => start_in_trouble(chance, plan),
        3 => go_out_often(chance, plan),
        4 => queue_for_a_row(chance, plan),
        5 => end_in_an_outage(chance, plan),
        6 => change_the_tables(chance, plan),
        7 => terminate_at_calls(chance, plan),
        _ => {}
    }
}

/// Statements that take a while, and whose connections end then.
fn lose_what_is_slow(chance: &Chance, plan: &mut Plan) {
    for _ in 0..2 + chance.below(5) {
        let (connection, exchange) = (chance.below(plan.max.min(3)), 3 + chance.below(5));
        let wait = chance.one_of(&[3 * MOMENT, 20 * MOMENT, 80 * MOMENT, 1300 * MOMENT, 4 * SECOND]);
        let end = chance.one_of(&[Trouble::Reset(chance.below(200)), Trouble::Fatal("57P01")]);
        for (stage, trouble) in [(Stage::Received, Trouble::Wait(wait)), (Stage::Complete, end)] {
            plan.faults.push(Fault { connection, exchange, stage, trouble });
        }
    }
}

fn start_in_trouble(chance: &Chance, plan: &mut Plan) {
    let what = event_of_host(chance, chance.below(plan.hosts));
    plan.events.insert(0, Event { at: Duration::ZERO, what });
}

/// Outages of which none is too long to be waited for.
fn go_out_often(chance: &Chance, plan: &mut Plan) {
    let mut at = instant(chance, &plan.calls);
    for _ in 0..2 + chance.below(2) {
        let lasts = chance.one_of(&[100 * MOMENT, 400 * MOMENT, 1500 * MOMENT]);
        plan.events.push(Event { at, what: Happening::Crash { host: 0, lasts } });
        at += lasts + 600 * MOMENT;
        // Somebody notices.
        plan.calls.extend((0..2).map(|_| lookup(at - 300 * MOMENT)));
        plan.calls.extend((0..2).map(|_| lookup(at + 10 * MOMENT)));
    }
}

fn lookup(at: Duration) -> Call {
    Call { number: 0, at, method: Method::GetUser, id: "u0".to_owned(), other: None }
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
    if chance.happens(70) {
        let before = at.saturating_sub(chance.one_of(&[Duration::ZERO, 5 * MOMENT, 80 * MOMENT]));
        plan.events.push(Event { at: before, what: event_of_host(chance, 0) });
    }
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
