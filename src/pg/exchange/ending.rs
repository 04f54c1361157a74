//! What it means for a call when its statement ends without an answer. This is the only place that says so.

use tokio_postgres::error::SqlState;

use super::verdict::Verdict;
use crate::pg::{
    connection::Peer,
    error::{Error, class, code},
    settings::Target,
    statement::Access,
};

/// Of resources, an operator, the system, and internal errors.
const SYSTEM_CLASSES: [&str; 4] =
    [class::INSUFFICIENT_RESOURCES, class::OPERATOR_INTERVENTION, class::SYSTEM_ERROR, class::INTERNAL_ERROR];

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    Ended {
        error: Error,
        stage: Stage,
    },
    /// One of the calls that were sent together has held up the others; none is done.
    HeldUp,
}

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The connection is gone, and nobody has said why.
    Lost,
    /// The connection ends, says an error that may be anyone's.
    Fatal,
    /// The connection ends, says an error that has all the fields of PostgreSQL's.
    FatalWithSource,
    /// What a pooler says that has lost its server, or finds none: SQLSTATE class 08, `53300`, and of the classes that are not
    /// about the statement (`SYSTEM_CLASSES`) what PostgreSQL itself does not say. Also `40003`.
    NoServer,
    /// `25P04`: the statement has taken longer than `transaction_timeout`. The connection ends with it.
    TransactionTimeout,
    /// `40001` or `40P01`: rolled back in favour of another transaction.
    Contention,
    /// `25006`, where `target_session_attrs` asks for a server that takes writes.
    ReadOnly,
    /// Any other error of the server.
    Refused,
    /// What the server sent makes no sense.
    Nonsense,
    /// There was no answer within `query_timeout`.
    Silence,
    /// Several calls that were sent together have waited for a second.
    HeldUp,
}

/// How far a statement had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Unsent,
    Sent,
    /// The server has said that the command is complete: it may be committed.
    Complete,
    /// The server has said that it cancelled the statement, as it was asked to.
    Cancelled,
}

/// What follows for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Again,
    AgainAlone,
    Contended,
    Failed,
    Unknown,
}

impl Ending {
    pub(super) fn of(error: &Error, target: Target) -> Self {
        let Some(state) = error.sqlstate() else {
            return match error.code() {
                code::CONNECTION_CLOSED => Self::Lost,
                code::QUERY_TIMEOUT => Self::Silence,
                _ => Self::Nonsense,
            };
        };
        match *state {
            // PostgreSQL 17's TRANSACTION_TIMEOUT, for which the driver has no name.
            _ if state.code() == "25P04" => Self::TransactionTimeout,
            SqlState::TOO_MANY_CONNECTIONS | SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Self::NoServer,
            _ if error.is_of_class(&[class::CONNECTION_EXCEPTION]) => Self::NoServer,
            _ if error.is_fatal() && error.has_source() => Self::FatalWithSource,
            _ if error.is_loss() => Self::Fatal,
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Self::Contention,
            SqlState::QUERY_CANCELED => Self::Refused,
            _ if !error.has_source() && error.is_of_class(&SYSTEM_CLASSES) => Self::NoServer,
            SqlState::READ_ONLY_SQL_TRANSACTION if target == Target::ReadWrite => Self::ReadOnly,
            _ => Self::Refused,
        }
    }

    /// The connection serves other calls afterwards.
    pub(super) fn leaves_open(self, peer: Peer) -> bool {
        match self {
            Self::Contention | Self::Refused => true,
            Self::NoServer => peer == Peer::Postgres,
            _ => false,
        }
    }

    /// What follows for each of the calls of a statement, which was for one call or, `together`, for several.
    pub(super) fn consequence(self, stage: Stage, peer: Peer, access: Access, together: bool) -> Consequence {
        let refused = if together { Consequence::AgainAlone } else { Consequence::Failed };
        let unless_done = |otherwise| if access.is_write() { Consequence::Unknown } else { otherwise };
        match (self, stage, peer) {
            (Self::HeldUp, ..) => Consequence::AgainAlone,
            (Self::Contention, ..) => Consequence::Contended,
            (Self::ReadOnly, ..) => Consequence::Again,
            // The error of a batch may be about one of its calls, and has rolled back all of them.
            (Self::Refused, ..)
            | (Self::Nonsense | Self::Silence, Stage::Unsent | Stage::Cancelled, _)
            | (Self::TransactionTimeout, Stage::Unsent | Stage::Sent | Stage::Cancelled, _)
            | (Self::NoServer, Stage::Unsent | Stage::Sent | Stage::Cancelled, Peer::Postgres) => refused,
            (Self::Nonsense | Self::Silence | Self::TransactionTimeout, ..)
            | (Self::NoServer, Stage::Complete, Peer::Postgres) => unless_done(refused),
            // PostgreSQL commits before it says that the command is complete, not after it has said `FATAL`.
            (Self::FatalWithSource, Stage::Sent, Peer::Postgres)
            | (Self::Lost | Self::Fatal | Self::FatalWithSource | Self::NoServer, Stage::Unsent, _) => {
                Consequence::Again
            }
            (Self::Lost | Self::Fatal | Self::FatalWithSource | Self::NoServer, ..) => unless_done(Consequence::Again),
        }
    }
}

impl Consequence {
    pub(super) fn verdict(self, error: &Error) -> Verdict {
        match self {
            Self::Again => Verdict::Again(error.clone()),
            Self::AgainAlone => Verdict::AgainAlone,
            Self::Contended => Verdict::Contended(error.clone()),
            Self::Failed => Verdict::Failed(error.clone()),
            Self::Unknown => {
                let message = "the server's answer did not come: the change may have been made or not";
                Verdict::Unknown(Error::caused_by(code::OUTCOME_UNKNOWN, message, error.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
