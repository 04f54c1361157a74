//! What the servers hold at a moment: data, locks, sessions, and what is wrong.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    answer::Field,
    block::Block,
    database::{Database, Table},
    record::Record,
    statement::Statement,
};

pub(super) struct State {
    pub(super) database: Database,
    /// Who has a row locked: a session by its connection, or another program.
    pub(super) locks: BTreeMap<(Table, String), Owner>,
    pub(super) hosts: Vec<Host>,
    pub(super) sessions: Vec<Session>,
    /// The processes behind a pooler, shared by its sessions.
    pub(super) pooled: Vec<Prepared>,
    pub(super) cancels_lost_until: Option<Instant>,
    /// Until when, by how long, and whether nobody can notice.
    pub(super) cancels_late: Option<(Instant, Duration, bool)>,
    pub(super) record: Record,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Session(usize),
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) trouble: Option<(Instant, Unreachable)>,
    pub(super) is_standby: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Unreachable {
    Down,
    Starting,
    Silent,
    Slow(Duration),
    Full(usize),
}

/// What a process of the server has prepared, by its name.
pub(super) type Prepared = HashMap<String, PreparedStatement>;

#[derive(Clone, Debug)]
pub(super) struct PreparedStatement {
    pub(super) statement: Statement,
    pub(super) parameters: Vec<u32>,
    pub(super) fields: Vec<Field>,
}

/// What makes a session stop what it does.
#[derive(Clone, Debug)]
pub(super) enum Interrupt {
    Cancel,
    Terminate(&'static str),
    Crash,
}

/// How far a connection is, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not said what it is for, or carries a request to cancel.
    Dialed,
    Starting,
    Idle {
        since: Instant,
    },
    Working {
        executes: Option<usize>,
    },
    /// A commit waits for a standby.
    WaitingForStandby {
        executes: usize,
    },
    Over,
}

pub(super) struct Session {
    pub(super) host: usize,
    pub(super) secret: i32,
    pub(super) interrupt: Option<Interrupt>,
    pub(super) interrupted: Arc<Notify>,
    /// The client has it open.
    pub(super) is_open: bool,
    pub(super) phase: Phase,
    /// Exchanges that came beside the first question, which is exchange 1.
    pub(super) ahead: usize,
    /// Nothing that either side sends arrives.
    pub(super) is_cut: bool,
    /// It ends with an error rather than with the end of the stream.
    pub(super) is_reset: bool,
    pub(super) block: Option<Block>,
    /// Which of the pooler's processes it runs on.
    pub(super) process: usize,
    pub(super) prepared: Prepared,
    /// Nothing has been executed since.
    pub(super) free_since: Instant,
}

impl Session {
    pub(super) fn is_served(&self) -> bool {
        !matches!(self.phase, Phase::Dialed | Phase::Over)
    }
}

impl State {
    pub(super) fn begin_exchange(&mut self, connection: usize, exchange: usize) {
        let processes = self.pooled.len();
        let session = &mut self.sessions[connection];
        session.phase = Phase::Working { executes: None };
        if session.block.is_none() {
            session.process = (connection + exchange) % processes;
        }
    }

    /// What a session sees: what is committed, and what it has changed itself.
    pub(super) fn seen(&self, connection: usize) -> Cow<'_, Database> {
        let Some(block) = &self.sessions[connection].block else { return Cow::Borrowed(&self.database) };
        let mut seen = self.database.clone();
        for change in &block.changes {
            seen.apply(change);
        }
        Cow::Owned(seen)
    }

    /// The connections that have been executing a change for less than this.
    pub(super) fn writing(&self, limit: Duration) -> usize {
        let is_writing = |session: &&Session| {
            let Phase::Working { executes: Some(executes) } = session.phase else { return false };
            let received = &self.record.received[executes];
            session.is_open && received.action.is_write() && received.at.elapsed() < limit
        };
        self.sessions.iter().filter(is_writing).count()
    }
}

/// Until TCP gives a silent connection up: `keep_alive`, and ten probes.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(70);

/// The process id of the first connection; a pooler makes up others than the server's.
pub(super) const FIRST_PROCESS_ID: i32 = 1_000;
