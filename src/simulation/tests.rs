//! The servers, as calls see them.

use std::{collections::BTreeSet, time::Duration};

use super::{
    database::Table,
    generate,
    kinds::{OF_HOSTS, OTHERS, TROUBLES},
    plan::{Call, Cut, Event, Fault, Happening, Place, Plan, Stage, Trouble, call, milliseconds, plain},
    record::{Ending, Record},
    run::run,
};
use crate::{lucia::method::Method, pg::code};

/// A sign-up, and after it a look at the key.
fn sign_up(fault: Option<Fault>) -> Plan {
    let second = Duration::from_secs(1);
    let user = Call { other: Some("k1".to_owned()), ..call(0, Duration::ZERO, Method::SetUser, "u1") };
    let calls = vec![user, call(1, 90 * second, Method::GetKey, "k1")];
    Plan { calls, faults: fault.into_iter().collect(), ..plain() }
}

/// What is planned for the sign-up's statement.
fn at_sign_up(stage: Stage, trouble: Trouble) -> Plan {
    sign_up(Some(Fault { connection: 0, place: Place::Execution(0), stage, trouble }))
}

fn endings(record: &Record) -> Vec<&Ending> {
    record.calls.iter().flatten().map(|call| &call.settled.as_ref().unwrap().1).collect()
}

fn users(record: &Record) -> usize {
    record.commits.last().unwrap().after.table(Table::User).rows.len()
}

fn code(ending: &Ending) -> &str {
    match ending {
        Ending::Failed(error) => error.code(),
        Ending::Lucia(message) => message,
        Ending::Done | Ending::Rows(_) => "",
    }
}

#[test]
fn what_is_stored_is_read() {
    for has_password in [false, true] {
        for has_pooler in [false, true] {
            let record = run(&Plan { has_pooler, has_password, ..sign_up(None) }, false);
            let row = ["k1", "u1", "0"].map(|text| Some(text.to_owned())).to_vec();
            let endings = endings(&record);
            assert!(matches!(&endings[..], [Ending::Done, Ending::Rows(rows)] if *rows == [row]), "{endings:?}");
            assert!(record.violations.is_empty(), "{:?}", record.violations);
        }
    }
}

#[test]
fn a_violated_constraint_is_told_by_its_name() {
    let mut plan = sign_up(None);
    let number = plan.calls.len();
    let key = |number, id: &str, user: &str| Call {
        other: Some(user.to_owned()),
        ..call(number, Duration::from_secs(91), Method::SetKey, id)
    };
    plan.calls.extend([key(number, "k1", "u1"), key(number + 1, "k2", "u2")]);
    let record = run(&plan, false);
    let codes: Vec<&str> = endings(&record).into_iter().map(code).collect();
    assert_eq!(codes, ["", "", "AUTH_DUPLICATE_KEY_ID", "AUTH_INVALID_USER_ID"]);
}

#[test]
fn what_was_not_committed_when_a_connection_is_cut_is_not_stored() {
    for (stage, stored) in [(Stage::Received, 0), (Stage::Complete, 0), (Stage::Committed, 1)] {
        let record = run(&at_sign_up(stage, Trouble::Reset(Cut::After(7))), false);
        assert_eq!(code(endings(&record)[0]), code::OUTCOME_UNKNOWN, "{stage:?}");
        assert_eq!(users(&record), stored, "{stage:?}");
    }
}

#[test]
fn a_request_to_cancel_ends_the_statement_that_runs() {
    let plan = at_sign_up(Stage::Received, Trouble::Wait(Duration::from_secs(60)));
    let record = run(&Plan { query_timeout: Some(Duration::from_secs(1)), ..plan }, false);
    assert_eq!(code(endings(&record)[0]), code::QUERY_TIMEOUT);
    assert_eq!(users(&record), 0);
}

#[test]
fn a_connection_that_is_asked_whether_a_change_is_committed_serves_nobody_before_it_has_answered() {
    let at = |seconds| Duration::from_secs(seconds);
    let plan = Plan {
        calls: vec![
            call(0, Duration::ZERO, Method::UpdateUser, "u0"),
            call(1, at(1), Method::UpdateUser, "u1"),
            call(2, at(1), Method::UpdateUser, "u2"),
            call(3, at(1), Method::GetUser, "u3"),
            call(4, at(3) + milliseconds(100), Method::GetUser, "u3"),
        ],
        // The question: before it come the start of the connection and the lookup, which is prepared.
        faults: vec![Fault {
            connection: 1,
            place: Place::Exchange(6),
            stage: Stage::Received,
            trouble: Trouble::Silence(Cut::After(0)),
        }],
        events: vec![Event {
            at: at(1),
            what: Happening::Lock { table: Table::User, id: "u1".to_owned(), lasts: at(20) },
        }],
        ..plain()
    };
    let record = run(&plan, false);
    let call = record.calls[4].as_ref().unwrap();
    let (settled, ending) = call.settled.as_ref().unwrap();
    assert!(matches!(ending, Ending::Rows(_)) && settled.at - call.made.at < at(2), "{ending:?}");
}

#[test]
fn an_answer_is_waited_for_as_long_as_it_takes() {
    let record = run(&at_sign_up(Stage::Received, Trouble::Wait(Duration::from_secs(80))), false);
    assert!(matches!(endings(&record)[0], Ending::Done));
}

#[test]
fn the_generator_draws_every_kind_of_trouble() {
    let listed: BTreeSet<_> = TROUBLES.iter().map(|kind| kind.name).collect();
    let listed: BTreeSet<_> = OF_HOSTS.iter().chain(&OTHERS).map(|kind| kind.name).chain(listed).collect();
    assert_eq!(listed.len(), TROUBLES.len() + OF_HOSTS.len() + OTHERS.len());
    let name = |text: String| text.split(|letter: char| !letter.is_alphabetic()).next().unwrap().to_owned();
    let mut drawn = BTreeSet::new();
    for seed in 0..1_000 {
        let plan = generate::plan(seed);
        drawn.extend(plan.faults.iter().map(|fault| name(format!("{:?}", fault.trouble))));
        drawn.extend(plan.events.iter().map(|event| name(format!("{:?}", event.what))));
    }
    assert!(drawn.iter().eq(&listed), "{drawn:?}");
}

#[test]
fn a_cut_may_be_at_any_byte_and_after_all_of_them() {
    for length in [0, 1, 7, 5_000] {
        let at = |part: u64| Cut::Part(u32::try_from(part.min(u64::from(u32::MAX))).unwrap()).of(length);
        let places = u64::try_from(length).unwrap() + 1;
        let cuts: BTreeSet<_> = (0..=places).map(|place| at((place << 32) / places + 1)).collect();
        assert!(cuts.into_iter().eq(0..=length), "{length}");
    }
}

#[test]
fn what_is_cut_while_it_is_written_is_not_executed() {
    for bytes in [0, 30] {
        let record = run(&at_sign_up(Stage::Received, Trouble::CutRequest(Cut::After(bytes))), false);
        assert_eq!(code(endings(&record)[0]), code::OUTCOME_UNKNOWN, "{bytes}");
        assert_eq!(users(&record), 0);
    }
}

#[test]
fn some_history_meets_each_kind_of_trouble() {
    let kinds = [
        "Wait(",
        "Reset(",
        "Silence(",
        "Error(\"40001\")",
        "Error(\"0A000\")",
        "Fatal(",
        "Pooler(",
        "Notice",
        "Split(",
        "Merge(",
        "is severed after",
        "Crash {",
        "Shutdown {",
        "Recover {",
        "Refuse {",
        "Hang {",
        "Slow {",
        "Full {",
        "Switch",
        "Lock {",
        "AddColumn",
        "Retype",
        "Terminate {",
        "is cut",
        "LoseCancels {",
        "DelayCancels {",
        "Jump {",
        "Error(\"42P05\")",
        "is_unnoticed: true",
        "rules are not supported",
        "waits for a row",
        "is cancelled",
        "is refused",
    ];
    let mut missing = kinds.to_vec();
    for seed in 0..2_000 {
        let trace = run(&generate::plan(seed), true).trace.unwrap();
        missing.retain(|kind| !trace.iter().any(|line| line.contains(kind)));
        if missing.is_empty() {
            return;
        }
    }
    panic!("no history meets {missing:?}");
}
