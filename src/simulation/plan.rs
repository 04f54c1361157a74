//! What is to happen in one history, as a value. The run draws nothing: to leave a call or a fault out changes nothing else.

use std::time::Duration;

use super::{answer::Author, database::Table};
use crate::lucia::method::Method;

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) max: usize,
    pub(super) hosts: usize,
    pub(super) has_pooler: bool,
    pub(super) has_password: bool,
    /// Because of a rule the server refuses a sign-up that is one statement.
    pub(super) has_rule: bool,
    pub(super) target: Option<&'static str>,
    pub(super) connect_timeout: Duration,
    pub(super) query_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_lifetime: Option<Duration>,
    /// How long each answer is on its way.
    pub(super) latency: Duration,
    pub(super) calls: Vec<Call>,
    pub(super) faults: Vec<Fault>,
    pub(super) events: Vec<Event>,
    pub(super) end: Option<End>,
}

/// The adapter ends while calls are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) at: Duration,
    /// What is under way is not waited for.
    pub(super) gives_up: bool,
}

/// Calls of the same moment are made in one turn of the event loop.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// What it writes carries this number.
    pub(super) number: usize,
    pub(super) at: Duration,
    pub(super) method: Method,
    pub(super) id: String,
    /// The user of a new key or session; the key of a new user.
    pub(super) other: Option<String>,
    /// Which types the parameters of a change are declared with: each a statement of its own.
    pub(super) variant: usize,
}

/// What goes wrong with one exchange of one connection. Connections are counted as they are dialed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) connection: usize,
    pub(super) place: Place,
    pub(super) stage: Stage,
    pub(super) trouble: Trouble,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Counted by `Sync` or `Query`; the first, 0, is the startup.
    Exchange(usize),
    /// The exchanges that execute a statement of Lucia's, counted from 0.
    Execution(usize),
}

/// How far the server is with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Received,
    /// The command is complete, and not committed.
    Complete,
    Committed,
}

/// At which byte something is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// After so many, or after all where there are fewer.
    After(usize),
    /// After such a part of them, of 2^32: at any byte, from none to all of them.
    Part(u32),
}

impl Cut {
    /// How many of so many bytes are before the cut.
    pub(super) fn of(self, length: usize) -> usize {
        match self {
            Self::After(bytes) => bytes.min(length),
            Self::Part(part) => {
                let places = u64::try_from(length).unwrap() + 1;
                usize::try_from((places * u64::from(part)) >> 32).unwrap()
            }
        }
    }
}

/// Bytes are those of the exchange's answer, unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    Wait(Duration),
    Reset(Cut),
    /// Nothing comes after the cut, and nobody says so.
    Silence(Cut),
    /// The server refuses the statement.
    Error(&'static str),
    /// The server ends the session.
    Fatal(&'static str),
    /// A pooler has lost its server, and says so in its own words.
    Pooler(Author),
    Notice,
    /// The answer comes in two pieces.
    Split(Cut, Duration),
    /// The answer comes in one piece with the next one of the connection, or by itself where none follows for so long.
    Merge(Duration),
    /// The connection is cut while the client writes the request, of which the bytes are.
    CutRequest(Cut),
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) what: Happening,
}

#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// All sessions of the host are cut, and none begins for so long.
    Crash {
        host: usize,
        lasts: Duration,
    },
    /// The same, with a word of farewell.
    Shutdown {
        host: usize,
        lasts: Duration,
    },
    /// Who connects is told that the server is starting.
    Recover {
        host: usize,
        lasts: Duration,
    },
    Refuse {
        host: usize,
        lasts: Duration,
    },
    /// Who connects hears nothing.
    Hang {
        host: usize,
        lasts: Duration,
    },
    /// To connect takes so much longer.
    Slow {
        host: usize,
        lasts: Duration,
        by: Duration,
    },
    /// There are no more sessions than these.
    Full {
        host: usize,
        lasts: Duration,
        sessions: usize,
    },
    /// The hosts exchange their roles.
    Switch,
    /// Another program's transaction has a row locked.
    Lock {
        table: Table,
        id: String,
        lasts: Duration,
    },
    AddColumn(Table),
    Retype(Table),
    /// A device on the way forgets a connection that nothing goes over. What either side sends afterwards does not arrive,
    /// and nobody says so.
    CutSilently {
        connection: usize,
    },
    /// `pg_terminate_backend` of one connection.
    Terminate {
        connection: usize,
    },
    LoseCancels {
        lasts: Duration,
    },
    DelayCancels {
        lasts: Duration,
        by: Duration,
        /// The connection that the request came over is closed at once: the request may meet a later statement.
        is_unnoticed: bool,
    },
    /// The process is suspended.
    Jump {
        by: Duration,
    },
}

/// What the server says where it is planned to refuse.
pub(super) fn refusal(connection: usize, exchange: usize) -> String {
    format!("simulated at {connection}.{exchange}")
}

/// It is said on this connection.
pub(super) fn is_refusal(message: &str, connection: usize) -> bool {
    message.starts_with(&format!("simulated at {connection}."))
}

pub(super) const fn milliseconds(count: u64) -> Duration {
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
