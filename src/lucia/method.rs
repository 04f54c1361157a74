//! The seventeen methods of Lucia's `Adapter`: what each takes, what it gives, and which table it is about.

/// A method of the adapter. The table of all, in the order of their declaration, is `METHODS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    GetUser,
    SetUser,
    UpdateUser,
    DeleteUser,
    GetKey,
    GetKeysByUserId,
    SetKey,
    UpdateKey,
    DeleteKey,
    DeleteKeysByUserId,
    GetSession,
    GetSessionsByUserId,
    SetSession,
    UpdateSession,
    DeleteSession,
    DeleteSessionsByUserId,
    GetSessionAndUser,
}

/// What a method is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Id,
    /// An id, and the columns to change.
    Change,
    /// A row to insert.
    Row,
    /// A user's row, and its key's or `null`.
    UserAndKey,
}

/// What a method resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Nothing,
    /// The first row, or `null`.
    Row,
    Rows,
    /// `[session, user]`, or `[null, null]`.
    Pair,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    User,
    Key,
    Session,
}

pub(super) const ID: &str = "id";
pub(super) const USER_ID: &str = "user_id";
/// Columns of a session that Lucia wants as numbers.
pub(super) const EXPIRIES: &[&str] = &["active_expires", "idle_expires"];

pub struct MethodEntry {
    pub method: Method,
    pub name: &'static str,
    pub takes: Takes,
    pub gives: Gives,
    pub(super) table: Table,
    /// The column that the id is looked for in.
    pub(super) column: &'static str,
}

const fn entry(
    method: Method,
    name: &'static str,
    takes: Takes,
    gives: Gives,
    table: Table,
    column: &'static str,
) -> MethodEntry {
    MethodEntry { method, name, takes, gives, table, column }
}

pub const METHODS: [MethodEntry; 17] = [
    entry(Method::GetUser, "getUser", Takes::Id, Gives::Row, Table::User, ID),
    entry(Method::SetUser, "setUser", Takes::UserAndKey, Gives::Nothing, Table::User, ID),
    entry(Method::UpdateUser, "updateUser", Takes::Change, Gives::Nothing, Table::User, ID),
    entry(Method::DeleteUser, "deleteUser", Takes::Id, Gives::Nothing, Table::User, ID),
    entry(Method::GetKey, "getKey", Takes::Id, Gives::Row, Table::Key, ID),
    entry(Method::GetKeysByUserId, "getKeysByUserId", Takes::Id, Gives::Rows, Table::Key, USER_ID),
    entry(Method::SetKey, "setKey", Takes::Row, Gives::Nothing, Table::Key, ID),
    entry(Method::UpdateKey, "updateKey", Takes::Change, Gives::Nothing, Table::Key, ID),
    entry(Method::DeleteKey, "deleteKey", Takes::Id, Gives::Nothing, Table::Key, ID),
    entry(Method::DeleteKeysByUserId, "deleteKeysByUserId", Takes::Id, Gives::Nothing, Table::Key, USER_ID),
    entry(Method::GetSession, "getSession", Takes::Id, Gives::Row, Table::Session, ID),
    entry(Method::GetSessionsByUserId, "getSessionsByUserId", Takes::Id, Gives::Rows, Table::Session, USER_ID),
    entry(Method::SetSession, "setSession", Takes::Row, Gives::Nothing, Table::Session, ID),
    entry(Method::UpdateSession, "updateSession", Takes::Change, Gives::Nothing, Table::Session, ID),
    entry(Method::DeleteSession, "deleteSession", Takes::Id, Gives::Nothing, Table::Session, ID),
    entry(Method::DeleteSessionsByUserId, "deleteSessionsByUserId", Takes::Id, Gives::Nothing, Table::Session, USER_ID),
    entry(Method::GetSessionAndUser, "getSessionAndUser", Takes::Id, Gives::Pair, Table::Session, ID),
];

impl MethodEntry {
    pub fn is_of_sessions(&self) -> bool {
        self.table == Table::Session
    }
}

impl Method {
    pub fn from_index(index: u32) -> Option<Self> {
        METHODS.get(usize::try_from(index).ok()?).map(|entry| entry.method)
    }

    pub(super) fn entry(self) -> &'static MethodEntry {
        // The table is in the order of the declaration; a test compares them.
        &METHODS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::METHODS;

    #[test]
    fn the_table_of_methods_is_in_the_order_of_their_declaration() {
        for (index, entry) in METHODS.iter().enumerate() {
            assert_eq!(entry.method as usize, index, "{}", entry.name);
        }
    }
}
