//! What a call is to the server: which statement, with which parameters.

use super::{
    database::Table,
    plan::{Call, Plan},
    record::Received,
    statement::Action,
};
use crate::lucia::method::Method;

impl Call {
    pub(super) fn action(&self) -> Action {
        match self.method {
            Method::GetUser => Action::Lookup(Table::User, "id"),
            Method::SetUser if self.other.is_some() => Action::SignUp,
            Method::SetUser => Action::Insert(Table::User),
            Method::UpdateUser => Action::Update(Table::User),
            Method::DeleteUser => Action::Delete(Table::User, "id"),
            Method::GetKey => Action::Lookup(Table::Key, "id"),
            Method::GetKeysByUserId => Action::Lookup(Table::Key, "user_id"),
            Method::SetKey => Action::Insert(Table::Key),
            Method::UpdateKey => Action::Update(Table::Key),
            Method::DeleteKey => Action::Delete(Table::Key, "id"),
            Method::DeleteKeysByUserId => Action::Delete(Table::Key, "user_id"),
            Method::GetSession => Action::Lookup(Table::Session, "id"),
            Method::GetSessionsByUserId => Action::Lookup(Table::Session, "user_id"),
            Method::SetSession => Action::Insert(Table::Session),
            Method::UpdateSession => Action::Update(Table::Session),
            Method::DeleteSession => Action::Delete(Table::Session, "id"),
            Method::DeleteSessionsByUserId => Action::Delete(Table::Session, "user_id"),
            Method::GetSessionAndUser => Action::Pair,
        }
    }

    /// The parameters, which are also what the server is to receive.
    pub(super) fn texts(&self) -> Vec<Option<String>> {
        let (id, token) = (self.id.clone(), self.number.to_string());
        let idle = (self.number + 1000).to_string();
        let other = || self.other.clone().unwrap_or_default();
        let texts = match self.action() {
            Action::SignUp => vec![id.clone(), token.clone(), other(), id, token],
            Action::Insert(Table::User) => vec![id, token],
            Action::Insert(Table::Key) => vec![id, other(), token],
            Action::Insert(Table::Session) => vec![id, other(), token, idle],
            Action::Update(Table::Session) => vec![token, idle, id],
            Action::Update(_) => vec![token, id],
            _ => vec![id],
        };
        texts.into_iter().map(Some).collect()
    }

    /// No other call asks for the same: what is written carries the call's number, what is read or deleted does not.
    pub(super) fn is_alone_in(&self, plan: &Plan) -> bool {
        let is_same = |other: &&Self| other.method == self.method && other.id == self.id;
        matches!(self.action(), Action::Insert(_) | Action::SignUp | Action::Update(_))
            || plan.calls.iter().filter(is_same).count() == 1
    }

    /// As `is_in`, or one of the two statements that a sign-up is sent as.
    pub(super) fn is_part_of(&self, received: &Received) -> bool {
        let texts = self.texts();
        let is_half = || match received.action {
            Action::Insert(Table::User) => texts.get(..2).is_some_and(|user| received.calls == [user]),
            Action::Insert(Table::Key) => texts.get(2..).is_some_and(|key| received.calls == [key]),
            _ => false,
        };
        self.is_in(received) || (self.action() == Action::SignUp && is_half())
    }

    /// The server received the call, alone or among others.
    pub(super) fn is_in(&self, received: &Received) -> bool {
        received.action == self.action() && received.calls.contains(&self.texts())
    }
}
