//! What the scheduler has to know of a call.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::scheduler::{Rejection, Work};
use crate::pg::{
    error::{Error, code},
    exchange::Call,
};

impl Work for Call {
    type Error = Error;

    fn statement(&self) -> u64 {
        self.statement.number
    }

    fn is_write(&self) -> bool {
        self.statement.access.is_write()
    }

    fn bytes(&self) -> usize {
        self.parameters.iter().flatten().map(String::len).sum()
    }

    /// The id of an update or a deletion is its last parameter.
    fn row(&self) -> Option<u64> {
        let id = self.parameters.last().filter(|_| self.is_write())?;
        let mut hasher = DefaultHasher::new();
        (self.statement.number, id).hash(&mut hasher);
        Some(hasher.finish())
    }

    fn is_awaited(&self) -> bool {
        self.reply.is_awaited()
    }

    fn rejection(error: &Error) -> Option<Rejection> {
        match error.code() {
            code::OUTCOME_UNKNOWN => Some(Rejection::Unknown),
            code::QUERY_TIMEOUT => Some(Rejection::QueryTimeout),
            code::CONNECT_TIMEOUT => Some(Rejection::ConnectTimeout),
            _ => None,
        }
    }

    fn shares_batch(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.statement, &other.statement) && self.forms == other.forms && self.statement.can_batch()
    }
}
