//! A transaction of several exchanges: `BEGIN`, statements, `COMMIT`.

use super::{
    database::{Change, Row, Table},
    statement::Action,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) changes: Vec<Change>,
    executed: Vec<(Action, Vec<Row>)>,
    /// A statement was refused: only the end is not.
    pub(super) has_failed: bool,
}

impl Block {
    pub(super) fn add(&mut self, action: Action, calls: Vec<Row>, changes: &[Change]) {
        self.executed.push((action, calls));
        self.changes.extend_from_slice(changes);
    }

    /// As `ReadyForQuery` tells it.
    pub(super) fn status(&self) -> u8 {
        if self.has_failed { b'E' } else { b'T' }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.executed.is_empty()
    }

    /// The parameters of the sign-up that its statements are.
    pub(super) fn sign_up(&self) -> Option<Row> {
        match &self.executed[..] {
            [(Action::Insert(Table::User), users), (Action::Insert(Table::Key), keys)] => match (&users[..], &keys[..])
            {
                ([user], [key]) => Some([&user[..], key].concat()),
                _ => None,
            },
            _ => None,
        }
    }
}
