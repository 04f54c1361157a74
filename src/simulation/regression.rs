//! Plans that once violated a promise, as small as they could be made.

mod checker;

use std::time::Duration;

use checker::of_the_checker;

use super::{
    database::Table,
    plan::{Call, Cut, Event, Fault, Happening, Place, Plan, Stage, Trouble, call, milliseconds, plain},
};
use crate::lucia::method::Method;

pub(super) fn plans() -> impl Iterator<Item = (&'static str, Plan)> {
    [of_connections(), of_statements(), of_the_model(), of_the_checker()].into_iter().flatten()
}

fn of_connections() -> Vec<(&'static str, Plan)> {
    let zero = Duration::ZERO;
    vec![
        (
            // `open_one` was given up while it asked its first question, and the connection's own task went on.
            "a connection that falls silent while it is opened is closed when nobody waits for it",
            Plan {
                max: 10,
                calls: ["u1", "u2", "u3"]
                    .iter()
                    .enumerate()
                    .map(|(at, id)| call(at, zero, Method::GetKeysByUserId, id))
                    .collect(),
                faults: (0..3)
                    .map(|connection| Fault {
                        connection,
                        place: Place::Exchange(1),
                        stage: Stage::Committed,
                        trouble: Trouble::Silence(Cut::After(82)),
                    })
                    .skip(1)
                    .collect(),
                ..plain()
            },
        ),
        (
            // `57P05` was taken for an error that waiting does not mend.
            "a session that times out while it is opened is opened again",
            Plan {
                calls: vec![call(0, zero, Method::GetUser, "u1"), call(1, milliseconds(2000), Method::GetUser, "u2")],
                faults: vec![Fault {
                    connection: 1,
                    place: Place::Exchange(1),
                    stage: Stage::Committed,
                    trouble: Trouble::Fatal("57P05"),
                }],
                events: vec![Event { at: milliseconds(1000), what: Happening::Terminate { connection: 0 } }],
                ..plain()
            },
        ),
        (
            // What had been sent ahead was known by its parameters.
            "a lookup is not answered with rows that were sent for ahead of an older one",
            Plan {
                latency: milliseconds(5),
                calls: vec![
                    call(0, zero, Method::SetUser, "u1"),
                    call(1, milliseconds(196), Method::GetKey, "k1"),
                    call(2, milliseconds(201), Method::GetUser, "u1"),
                    call(3, milliseconds(300), Method::DeleteUser, "u1"),
                    call(4, milliseconds(400), Method::GetKey, "k1"),
                    call(5, milliseconds(400), Method::GetUser, "u1"),
                ],
                // The second connection is opened for a call that the first one answers.
                faults: vec![Fault {
                    connection: 0,
                    place: Place::Execution(1),
                    stage: Stage::Received,
                    trouble: Trouble::Wait(milliseconds(2)),
                }],
                ..plain()
            },
        ),
        (
            // The pause that refusals had made while a connection served went on when that was lost: up to 8 s.
            "a server that was full is connected to again at once when the last connection is lost",
            Plan {
                max: 10,
                calls: (0..5)
                    .map(|at| call(at, zero, if at < 4 { Method::UpdateUser } else { Method::GetUser }, "u0"))
                    .collect(),
                events: vec![
                    Event { at: zero, what: Happening::Full { host: 0, lasts: milliseconds(30), sessions: 1 } },
                    Event {
                        at: zero,
                        what: Happening::Lock { table: Table::User, id: "u0".to_owned(), lasts: milliseconds(80) },
                    },
                    Event { at: milliseconds(97), what: Happening::Crash { host: 0, lasts: milliseconds(30) } },
                ],
                latency: milliseconds(5),
                ..plain()
            },
        ),
    ]
}

fn of_statements() -> Vec<(&'static str, Plan)> {
    let zero = Duration::ZERO;
    vec![
        (
            // The error of the second insertion said that the sign-up was rolled back, and was told the caller.
            "a sign-up in two statements is prepared anew when its connection is lost behind the error that says so",
            Plan {
                max: 1,
                has_rule: true,
                latency: milliseconds(40),
                calls: vec![Call { other: Some("k2".to_owned()), ..call(0, zero, Method::SetUser, "u2") }],
                faults: [
                    (Place::Exchange(8), Stage::Received, Trouble::Error("0A000")),
                    (Place::Execution(2), Stage::Complete, Trouble::Reset(Cut::After(197))),
                ]
                .map(|(place, stage, trouble)| Fault { connection: 0, place, stage, trouble })
                .to_vec(),
                ..plain()
            },
        ),
        (
            // The request to cancel came late, and met the statement that was sent once more: it was told the caller.
            "a change whose plan is stale when query_timeout is over is not sent again",
            Plan {
                query_timeout: Some(milliseconds(1000)),
                latency: milliseconds(40),
                calls: vec![
                    call(0, zero, Method::SetUser, "u1"),
                    Call { other: Some("k0".to_owned()), ..call(1, zero, Method::SetUser, "u0") },
                ],
                faults: [(1, 1300), (2, 1010)]
                    .map(|(execution, wait)| Fault {
                        connection: 0,
                        place: Place::Execution(execution),
                        stage: Stage::Received,
                        trouble: Trouble::Wait(milliseconds(wait)),
                    })
                    .to_vec(),
                events: vec![
                    Event {
                        at: milliseconds(187),
                        what: Happening::DelayCancels {
                            lasts: milliseconds(40_000),
                            by: milliseconds(1000),
                            is_unnoticed: true,
                        },
                    },
                    Event { at: milliseconds(311), what: Happening::Retype(Table::User) },
                ],
                ..plain()
            },
        ),
        (
            // The server's 57014 came after `CommandComplete`, and was taken for somebody else's.
            "a change whose deferred constraint is cancelled after query_timeout rejects with QUERY_TIMEOUT",
            Plan {
                query_timeout: Some(milliseconds(300)),
                calls: vec![call(0, zero, Method::DeleteUser, "u1")],
                faults: vec![Fault {
                    connection: 0,
                    place: Place::Execution(0),
                    stage: Stage::Complete,
                    trouble: Trouble::Wait(milliseconds(1300)),
                }],
                ..plain()
            },
        ),
        (
            // `describe` returned the error of `prepared_names`, and left the connection in a transaction that had failed.
            "a pooled connection that is refused something while it describes a statement serves nobody afterwards",
            Plan {
                has_pooler: true,
                calls: vec![call(0, zero, Method::GetKey, "k1"), call(1, milliseconds(500), Method::GetKey, "k1")],
                faults: [(0, "40001"), (1, "26000")]
                    .map(|(connection, code)| Fault {
                        connection,
                        place: Place::Exchange(3),
                        stage: Stage::Complete,
                        trouble: Trouble::Error(code),
                    })
                    .to_vec(),
                ..plain()
            },
        ),
        (
            // `insert` took every error of `COMMIT` for the end of the transaction, and left the connection in it.
            "a connection serves nobody after a sign-up's COMMIT was refused before it began",
            Plan {
                max: 1,
                has_rule: true,
                calls: vec![
                    Call { other: Some("k1".to_owned()), ..call(0, zero, Method::SetUser, "u1") },
                    call(1, milliseconds(500), Method::GetKey, "k1"),
                ],
                faults: vec![Fault {
                    connection: 0,
                    place: Place::Execution(2),
                    stage: Stage::Received,
                    trouble: Trouble::Error("XX000"),
                }],
                ..plain()
            },
        ),
    ]
}

/// What the servers had wrong.
fn of_the_model() -> Vec<(&'static str, Plan)> {
    let zero = Duration::ZERO;
    vec![(
        // No server adds a column to a table while a statement that reads it is bound.
        "a column that is added before the server gets to a lookup makes the lookup's plan stale",
        Plan {
            max: 3,
            calls: vec![
                call(0, zero, Method::GetUser, "u1"),
                Call { other: Some("k0".to_owned()), ..call(1, milliseconds(17), Method::SetUser, "u1") },
            ],
            faults: vec![Fault {
                connection: 0,
                place: Place::Execution(1),
                stage: Stage::Received,
                trouble: Trouble::Wait(milliseconds(80)),
            }],
            events: vec![Event { at: milliseconds(15), what: Happening::AddColumn(Table::User) }],
            ..plain()
        },
    )]
}
