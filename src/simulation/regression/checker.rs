//! What the checker had wrong.

use std::time::Duration;

use crate::{
    lucia::method::Method,
    simulation::database::Table,
    simulation::plan::{
        Call, Cut, End, Event, Fault, Happening, Place, Plan, Stage, Trouble, call, milliseconds, plain,
    },
};

pub(super) fn of_the_checker() -> Vec<(&'static str, Plan)> {
    vec![
        lost_after_its_batch(),
        refused_when_its_time_was_over(),
        cut_when_it_was_sent_again(),
        waiting_for_an_answer_on_its_way(),
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
                    trouble: Trouble::Silence(Cut::After(132)),
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

fn lost_after_its_batch() -> (&'static str, Plan) {
    (
        // The server refuses the insertions together; one of them is then sent by itself, over a connection that was asked
        // a moment before it was cut.
        "a change has an unknown outcome that was received with others, and was lost by itself",
        Plan {
            max: 10,
            latency: milliseconds(40),
            calls: [
                (0, Method::UpdateSession, "s3", None),
                (0, Method::DeleteKey, "k2", None),
                (0, Method::SetSession, "s1", Some("u2")),
                (0, Method::UpdateUser, "u3", None),
                (0, Method::UpdateSession, "s2", None),
                (0, Method::UpdateSession, "s3", None),
                (0, Method::DeleteKey, "k2", None),
                (0, Method::DeleteSessionsByUserId, "u1", None),
                (1, Method::UpdateUser, "u1", None),
                (1, Method::DeleteSession, "s2", None),
                (1, Method::DeleteUser, "u3", None),
                (1, Method::UpdateSession, "s0", None),
                (1, Method::SetUser, "u0", None),
                (31_002, Method::SetUser, "u1", Some("k0")),
                (31_006, Method::SetSession, "s1", Some("u2")),
                (31_006, Method::SetSession, "s2", Some("u0")),
                (31_006, Method::SetSession, "s1", Some("u2")),
                (31_006, Method::SetSession, "s1", Some("u2")),
            ]
            .into_iter()
            .enumerate()
            .map(|(number, (at, method, id, other))| Call {
                other: other.map(str::to_owned),
                ..call(number, milliseconds(at), method, id)
            })
            .collect(),
            events: [2, 3]
                .map(|connection| Event { at: milliseconds(31_108), what: Happening::CutSilently { connection } })
                .to_vec(),
            ..plain()
        },
    )
}

fn refused_when_its_time_was_over() -> (&'static str, Plan) {
    (
        // The process is suspended while the change waits for a row, and its server becomes read-only.
        "a change that a server takes no more is rejected with that when it may not wait any longer",
        Plan {
            hosts: 2,
            has_pooler: true,
            target: Some("read-write"),
            connect_timeout: milliseconds(30_000),
            calls: vec![call(0, milliseconds(4), Method::UpdateUser, "u0")],
            events: [
                (11, Happening::Lock { table: Table::User, id: "u0".to_owned(), lasts: milliseconds(80) }),
                (12, Happening::Terminate { connection: 0 }),
                (15, Happening::Jump { by: milliseconds(600_000) }),
                (16, Happening::Switch),
            ]
            .map(|(at, what)| Event { at: milliseconds(at), what })
            .to_vec(),
            ..plain()
        },
    )
}

fn cut_when_it_was_sent_again() -> (&'static str, Plan) {
    let fault = |connection, execution, trouble| Fault {
        connection,
        place: Place::Execution(execution),
        stage: Stage::Received,
        trouble,
    };
    (
        "a change that was rolled back for another's sake, and cut while it was written again, has an unknown outcome",
        Plan {
            latency: milliseconds(5),
            calls: vec![
                call(0, Duration::ZERO, Method::UpdateSession, "s1"),
                call(1, Duration::ZERO, Method::GetUser, "u1"),
                call(2, milliseconds(500), Method::GetUser, "u1"),
            ],
            faults: vec![
                fault(0, 0, Trouble::Error("40P01")),
                // So that its connection is the one that was used last.
                fault(1, 0, Trouble::Wait(milliseconds(5))),
                fault(1, 1, Trouble::CutRequest(Cut::After(20))),
            ],
            ..plain()
        },
    )
}

fn waiting_for_an_answer_on_its_way() -> (&'static str, Plan) {
    let merge = |execution| Fault {
        connection: 0,
        place: Place::Execution(execution),
        stage: Stage::Received,
        trouble: Trouble::Merge(milliseconds(4000)),
    };
    let delete_key = |number, id| call(number, Duration::ZERO, Method::DeleteKey, id);
    (
        "a change that waits for the connection of one whose answer is on its way does not wait beside a free connection",
        Plan {
            has_pooler: true,
            latency: milliseconds(5),
            calls: vec![
                delete_key(0, "k1"),
                delete_key(1, "k3"),
                delete_key(2, "k0"),
                call(3, milliseconds(37), Method::GetUser, "u3"),
                call(4, milliseconds(335), Method::DeleteKeysByUserId, "u2"),
                Call { other: Some("u2".to_owned()), ..call(5, milliseconds(335), Method::SetSession, "s1") },
            ],
            faults: vec![merge(0), merge(6)],
            ..plain()
        },
    )
}
