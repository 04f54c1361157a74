use Consequence::{Again, AgainAlone, Contended, Failed, Unknown};
use tokio::{
    io::{AsyncWriteExt, duplex},
    runtime,
};
use tokio_postgres::{Config, NoTls};

use super::*;

/// An error of the server with these fields, each after its letter.
fn error(fields: &[&str]) -> Error {
    let body = format!("{}\0\0", fields.join("\0"));
    let length = u32::try_from(body.len() + 4).unwrap();
    let message = [b"E", &length.to_be_bytes()[..], body.as_bytes()].concat();
    let connecting = async {
        let (ours, mut theirs) = duplex(1000);
        theirs.write_all(&message).await.unwrap();
        Config::new().user("u").connect_raw(ours, NoTls).await.map(drop).unwrap_err()
    };
    runtime::Builder::new_current_thread().build().unwrap().block_on(connecting).into()
}

#[test]
fn an_ending_is_known_by_the_fields_of_the_error() {
    let own = ["FF", "L1", "RR"];
    let with_source = |fields: &[&'static str]| error(&[fields, &own].concat());
    let cases = [
        (error(&["SFATAL", "VFATAL", "C57P01", "M"]), Ending::Fatal),
        (with_source(&["SFATAL", "VFATAL", "C57P01", "M"]), Ending::FatalWithSource),
        (with_source(&["SFATAL", "VFATAL", "C57P05", "M"]), Ending::FatalWithSource),
        (with_source(&["SFATAL", "VFATAL", "C40001", "M"]), Ending::FatalWithSource),
        (with_source(&["SPANIC", "VPANIC", "CXX000", "M"]), Ending::Fatal),
        (with_source(&["SFATAL", "C57P01", "M"]), Ending::Fatal),
        (error(&["SFATAL", "VFATAL", "CXX000", "MDbHandler exited"]), Ending::Fatal),
        (error(&["SFATAL", "C08P01", "Mserver conn crashed?"]), Ending::NoServer),
        (error(&["SERROR", "VERROR", "C08006", "M"]), Ending::NoServer),
        (error(&["SERROR", "C58000", "Mcould not get a connection from the pool"]), Ending::NoServer),
        (with_source(&["SERROR", "VERROR", "C58030", "M"]), Ending::Refused),
        (error(&["SERROR", "C57014", "M"]), Ending::Refused),
        (error(&["SFATAL", "C28000", "M"]), Ending::Fatal),
        (error(&["SFATAL", "VFATAL", "C53300", "M"]), Ending::NoServer),
        (error(&["SERROR", "VERROR", "C40003", "M"]), Ending::NoServer),
        (with_source(&["SFATAL", "VFATAL", "C25P04", "M"]), Ending::TransactionTimeout),
        (with_source(&["SERROR", "VERROR", "C40001", "M"]), Ending::Contention),
        (with_source(&["SERROR", "VERROR", "C40P01", "M"]), Ending::Contention),
        (with_source(&["SERROR", "VERROR", "C23505", "M"]), Ending::Refused),
        (with_source(&["SERROR", "VERROR", "C25006", "M"]), Ending::Refused),
        (Error::failure(code::CONNECTION_CLOSED, ""), Ending::Lost),
        (Error::failure(code::QUERY_TIMEOUT, ""), Ending::Silence),
        (Error::failure(code::INVALID_ANSWER, ""), Ending::Nonsense),
    ];
    for (error, ending) in cases {
        assert_eq!(Ending::of(&error, Target::Any), ending, "{error:?}");
    }
    let read_only = with_source(&["SERROR", "VERROR", "C25006", "M"]);
    assert_eq!(Ending::of(&read_only, Target::ReadWrite), Ending::ReadOnly);
}

const STAGES: [Stage; 4] = [Stage::Unsent, Stage::Sent, Stage::Complete, Stage::Cancelled];

/// For a statement of one call: what follows for a read; then for a write that is not sent, sent, complete, cancelled.
type Row = (Ending, Peer, Consequence, [Consequence; 4]);

#[rustfmt::skip]
const TABLE: [Row; 33] = [
    (Ending::Lost, Peer::Postgres, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::Lost, Peer::Cockroach, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::Lost, Peer::Pooler, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::Fatal, Peer::Postgres, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::Fatal, Peer::Cockroach, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::Fatal, Peer::Pooler, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::FatalWithSource, Peer::Postgres, Again, [Again, Again, Unknown, Unknown]),
    (Ending::FatalWithSource, Peer::Cockroach, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::FatalWithSource, Peer::Pooler, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::NoServer, Peer::Postgres, Failed, [Failed, Failed, Unknown, Failed]),
    (Ending::NoServer, Peer::Cockroach, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::NoServer, Peer::Pooler, Again, [Again, Unknown, Unknown, Unknown]),
    (Ending::TransactionTimeout, Peer::Postgres, Failed, [Failed, Failed, Unknown, Failed]),
    (Ending::TransactionTimeout, Peer::Cockroach, Failed, [Failed, Failed, Unknown, Failed]),
    (Ending::TransactionTimeout, Peer::Pooler, Failed, [Failed, Failed, Unknown, Failed]),
    (Ending::Contention, Peer::Postgres, Contended, [Contended; 4]),
    (Ending::Contention, Peer::Cockroach, Contended, [Contended; 4]),
    (Ending::Contention, Peer::Pooler, Contended, [Contended; 4]),
    (Ending::ReadOnly, Peer::Postgres, Again, [Again; 4]),
    (Ending::ReadOnly, Peer::Cockroach, Again, [Again; 4]),
    (Ending::ReadOnly, Peer::Pooler, Again, [Again; 4]),
    (Ending::Refused, Peer::Postgres, Failed, [Failed; 4]),
    (Ending::Refused, Peer::Cockroach, Failed, [Failed; 4]),
    (Ending::Refused, Peer::Pooler, Failed, [Failed; 4]),
    (Ending::Nonsense, Peer::Postgres, Failed, [Failed, Unknown, Unknown, Failed]),
    (Ending::Nonsense, Peer::Cockroach, Failed, [Failed, Unknown, Unknown, Failed]),
    (Ending::Nonsense, Peer::Pooler, Failed, [Failed, Unknown, Unknown, Failed]),
    (Ending::Silence, Peer::Postgres, Failed, [Failed, Unknown, Unknown, Failed]),
    (Ending::Silence, Peer::Cockroach, Failed, [Failed, Unknown, Unknown, Failed]),
    (Ending::Silence, Peer::Pooler, Failed, [Failed, Unknown, Unknown, Failed]),
    (Ending::HeldUp, Peer::Postgres, AgainAlone, [AgainAlone; 4]),
    (Ending::HeldUp, Peer::Cockroach, AgainAlone, [AgainAlone; 4]),
    (Ending::HeldUp, Peer::Pooler, AgainAlone, [AgainAlone; 4]),
];

#[test]
fn each_ending_has_one_consequence_for_a_read_and_one_for_a_write_at_each_stage() {
    for (ending, peer, read, write) in TABLE {
        for (stage, written) in STAGES.into_iter().zip(write) {
            let place = format!("{ending:?}, {peer:?}, {stage:?}");
            assert_eq!(ending.consequence(stage, peer, Access::Read, false), read, "{place}, read");
            assert_eq!(ending.consequence(stage, peer, Access::Write, false), written, "{place}, write");
        }
    }
}

#[test]
fn several_calls_share_a_consequence_but_for_a_refusal_which_may_be_about_one_of_them() {
    for (ending, peer, read, write) in TABLE {
        for (stage, written) in STAGES.into_iter().zip(write) {
            for (access, alone) in [(Access::Read, read), (Access::Write, written)] {
                let expected = if alone == Failed { AgainAlone } else { alone };
                assert_eq!(ending.consequence(stage, peer, access, true), expected, "{ending:?}, {peer:?}, {stage:?}");
            }
        }
    }
}

#[test]
fn a_connection_serves_on_only_after_an_error_that_its_server_has_told_of_a_statement() {
    for (ending, peer, ..) in TABLE {
        let is_of_the_statement = match ending {
            Ending::Contention | Ending::Refused => true,
            // From PostgreSQL itself it is an error like any other.
            Ending::NoServer => peer == Peer::Postgres,
            _ => false,
        };
        assert_eq!(ending.leaves_open(peer), is_of_the_statement, "{ending:?}, {peer:?}");
    }
}

#[test]
fn a_write_is_sent_again_only_where_the_server_has_said_that_it_was_not_done() {
    for (ending, peer, ..) in TABLE {
        for stage in [Stage::Sent, Stage::Complete] {
            if ending.consequence(stage, peer, Access::Write, false) == Again {
                let is_own_word = (ending, stage, peer) == (Ending::FatalWithSource, Stage::Sent, Peer::Postgres);
                assert!(is_own_word || ending == Ending::ReadOnly, "{ending:?}, {peer:?}, {stage:?}");
            }
        }
    }
}
