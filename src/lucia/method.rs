//! The methods of Lucia's `Adapter`: what each takes, what it gives, and which table it is about. Version 2 has all
//! seventeen, version 3 six of them and `deleteExpiredSessions`, which is `Store::delete_expired`.

use super::version::Version;

/// A method of the adapter, by its name in Lucia 2. The table of all, in the order of their declaration, is `METHODS`.
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

pub struct MethodEntry {
    pub method: Method,
    /// Its name in Lucia 2.
    pub name: &'static str,
    /// Its name in Lucia 3, where that has the method.
    name_in_3: Option<&'static str>,
    pub takes: Takes,
    pub gives: Gives,
    pub table: Table,
    /// The column that the id is compared with.
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
    MethodEntry { method, name, name_in_3: None, takes, gives, table, column }
}

impl MethodEntry {
    const fn in_3(mut self, name: &'static str) -> Self {
        self.name_in_3 = Some(name);
        self
    }
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
    entry(Method::GetSessionsByUserId, "getSessionsByUserId", Takes::Id, Gives::Rows, Table::Session, USER_ID)
        .in_3("getUserSessions"),
    entry(Method::SetSession, "setSession", Takes::Row, Gives::Nothing, Table::Session, ID).in_3("setSession"),
    entry(Method::UpdateSession, "updateSession", Takes::Change, Gives::Nothing, Table::Session, ID)
        .in_3("updateSessionExpiration"),
    entry(Method::DeleteSession, "deleteSession", Takes::Id, Gives::Nothing, Table::Session, ID).in_3("deleteSession"),
    entry(Method::DeleteSessionsByUserId, "deleteSessionsByUserId", Takes::Id, Gives::Nothing, Table::Session, USER_ID)
        .in_3("deleteUserSessions"),
    entry(Method::GetSessionAndUser, "getSessionAndUser", Takes::Id, Gives::Pair, Table::Session, ID)
        .in_3("getSessionAndUser"),
];

impl MethodEntry {
    /// The name of the method in this version of Lucia, `None` where that version has no such method.
    pub fn name_in(&self, version: Version) -> Option<&'static str> {
        match version {
            Version::Two => Some(self.name),
            Version::Three => self.name_in_3,
        }
    }
}

impl Method {
    /// The method that JavaScript knows by its place in [`METHODS`], `None` for a place beyond the end.
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
    use super::{METHODS, Method, Table};
    use crate::lucia::version::Version;

    #[test]
    fn the_table_of_methods_is_in_the_order_of_their_declaration() {
        for (index, entry) in METHODS.iter().enumerate() {
            assert_eq!(entry.method as usize, index, "{}", entry.name);
        }
    }

    #[test]
    fn a_method_is_known_by_its_place_and_has_a_name_in_each_version() {
        for (index, entry) in (0..).zip(&METHODS) {
            assert_eq!(Method::from_index(index), Some(entry.method));
            assert_eq!(entry.method.entry().name, entry.name);
            assert_eq!(entry.name_in(Version::Two), Some(entry.name));
        }
        assert_eq!(Method::from_index(17), None);
        let of_3 = METHODS.iter().filter_map(|entry| entry.name_in(Version::Three));
        assert!(of_3.eq([
            "getUserSessions",
            "setSession",
            "updateSessionExpiration",
            "deleteSession",
            "deleteUserSessions",
            "getSessionAndUser",
        ]));
    }

    #[test]
    fn lucia_3_has_methods_of_sessions_alone() {
        let of_3: Vec<_> = METHODS.iter().filter(|entry| entry.name_in(Version::Three).is_some()).collect();
        assert_eq!(of_3.len(), 6);
        assert!(of_3.iter().all(|entry| entry.table == Table::Session));
    }
}
