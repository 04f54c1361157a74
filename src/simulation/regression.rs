//! Plans that once violated a promise, as small as they could be made.

use std::time::Duration;

use super::{
    database::Table,
    plan::{Call, End, Event, Fault, Happening, Place, Plan, Stage, Trouble},
};
use crate::lucia::method::Method;

const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Nothing happens.
pub(super) fn plain() -> Plan {
    Plan {
        max: 2,
        hosts: 1,
        has_pooler: false,
        has_password: false,
        has_rule: false,
        target: None,
        connect_timeout: Duration::from_secs(5),
        query_timeout: None,
        idle_timeout: None,
        max_lifetime: None,
        latency: milliseconds(1),
        calls: Vec::new(),
        faults: Vec::new(),
        events: Vec::new(),
        end: None,
    }
}

pub(super) fn call(number: usize, at: Duration, method: Method, id: &str) -> Call {
    Call { number, at, method, id: id.to_owned(), other: None, variant: 0 }
}

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
                        trouble: Trouble::Silence(82),
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

/// What the checker had wrong.
fn of_the_checker() -> Vec<(&'static str, Plan)> {
    vec![
        (
            // The adapter ends when the process goes on, later than was planned.
            "a call that was given up as a suspended process went on, and the adapter ended, waited long enough",
            Plan {
                max: 1,
                calls: vec![
                    call(0, milliseconds(76), Method::GetKey, "k0"),
                    call(1, milliseconds(515), Method::UpdateUser, "u1"),
                    call(2, milliseconds(32_219), Method::GetKeysByUserId, "u1"),
                ],
                events: [(); 2]
                    .map(|()| Event { at: milliseconds(515), what: Happening::Jump { by: milliseconds(20_000) } })
                    .to_vec(),
                end: Some(End { at: milliseconds(32_160), gives_up: false }),
                ..plain()
            },
        ),
        (
            // The last call was sent to a server that had stopped in the middle of what was sent ahead.
            "a lookup is not taken for one that waits when it was sent behind a lookup that was sent ahead",
            Plan {
                max: 10,
                hosts: 2,
                calls: [
                    (8, Method::UpdateUser, "u4"),
                    (14, Method::SetUser, "u1"),
                    (16, Method::GetKey, "k0"),
                    (17, Method::GetKeysByUserId, "u2"),
                    (21, Method::GetSessionAndUser, "s4"),
                    (21, Method::UpdateUser, "u0"),
                    (21, Method::GetUser, "u0"),
                ]
                .into_iter()
                .enumerate()
                .map(|(number, (at, method, id))| {
                    let other = (method == Method::SetUser).then(|| "k4".to_owned());
                    Call { other, ..call(number, milliseconds(at), method, id) }
                })
                .collect(),
                faults: vec![Fault {
                    connection: 6,
                    place: Place::Exchange(2),
                    stage: Stage::Received,
                    trouble: Trouble::Silence(132),
                }],
                latency: milliseconds(5),
                ..plain()
            },
        ),
        (
            // The checker knew one lookup that is sent ahead, where there may be many.
            "a lookup is not taken for one that overtakes another when it was sent ahead",
            Plan {
                max: 1,
                calls: [
                    (104, Method::GetKeysByUserId, "u1"),
                    (104, Method::GetUser, "u0"),
                    (104, Method::UpdateUser, "u0"),
                    (104, Method::GetKeysByUserId, "u0"),
                    (145, Method::GetKey, "k3"),
                    (145, Method::GetSessionsByUserId, "u4"),
                    (145, Method::GetUser, "u0"),
                    (176, Method::GetUser, "u4"),
                    (253, Method::GetKeysByUserId, "u5"),
                    (254, Method::GetUser, "u0"),
                    (261, Method::GetUser, "u5"),
                ]
                .into_iter()
                .enumerate()
                .map(|(number, (at, method, id))| call(number, milliseconds(at), method, id))
                .collect(),
                faults: vec![Fault {
                    connection: 1,
                    place: Place::Execution(1),
                    stage: Stage::Complete,
                    trouble: Trouble::Fatal("57P01"),
                }],
                events: vec![Event { at: milliseconds(258), what: Happening::Terminate { connection: 0 } }],
                latency: milliseconds(5),
                ..plain()
            },
        ),
    ]
}
