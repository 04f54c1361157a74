//! What happened in a run, for the checker and for whoever reads a trace.

use tokio::time::Instant;

use super::{
    database::{Database, Row},
    statement::Action,
};
use crate::pg::Error;

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    Done,
    Rows(Vec<Row>),
    Lucia(&'static str),
    Failed(Error),
}

/// A moment of the run, and how many commits the server had made by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: Instant,
    pub(super) commits: usize,
}

#[derive(Clone, Debug)]
pub(super) struct CallRecord {
    pub(super) made: Moment,
    pub(super) settled: Option<(Moment, Ending)>,
}

/// A statement with its parameters, as it came to the server.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) at: Instant,
    pub(super) connection: usize,
    pub(super) exchange: usize,
    pub(super) action: Action,
    /// The parameters of each call.
    pub(super) calls: Vec<Row>,
    /// Since when the connection had executed nothing: what it executes was sent later.
    pub(super) free_since: Instant,
    /// When the session ended in the midst of it, while the client listened.
    pub(super) lost_at: Option<Instant>,
    /// It came beside the session's first question, before the client knew whether the connection serves.
    pub(super) is_ahead: bool,
}

/// How far a connection came, as the servers see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) dialed: Instant,
    /// The host did not let it begin.
    pub(super) refused: Option<Instant>,
    pub(super) ready: Option<Instant>,
    /// The client's first question was answered, by a server that the settings ask for.
    pub(super) answered: Option<Instant>,
    /// Either side has closed it, or given up dialing.
    pub(super) over: Option<Instant>,
    /// It was cut silently, and nothing has gone over it since.
    pub(super) quiet_since: Option<Instant>,
    /// It carries a request to cancel.
    pub(super) is_cancel: bool,
}

/// A transaction that was committed, or a schema that was changed.
#[derive(Debug)]
pub(super) struct Commit {
    /// The index in `Record::received`, unless it was another program's.
    pub(super) received: Option<usize>,
    pub(super) after: Database,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    /// Lines, where somebody reads them.
    pub(super) trace: Option<Vec<String>>,
    /// By the index in the plan.
    pub(super) calls: Vec<Option<CallRecord>>,
    /// By their numbers.
    pub(super) connections: Vec<Connection>,
    pub(super) received: Vec<Received>,
    pub(super) commits: Vec<Commit>,
    /// What must never be, and was seen at once.
    pub(super) violations: Vec<String>,
    /// When the program ended the adapter.
    pub(super) ended_at: Option<Instant>,
}

impl Record {
    /// When the client first had a connection open. One that it has closed at the moment of the first answer was given up, or
    /// set aside for a standby that is looked for: it never served.
    pub(super) fn opened_at(&self) -> Option<Instant> {
        let opened = self.connections.iter().filter_map(|connection| {
            connection.answered.filter(|answered| connection.over.is_none_or(|over| over > *answered))
        });
        opened.min()
    }
}
