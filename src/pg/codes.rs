//! What errors are told apart by: the classes of SQLSTATEs, and the codes of failures that no server reports.

/// The first two characters of SQLSTATEs, for rules about a whole class.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(in crate::pg) mod class {
    pub(in crate::pg) const CONNECTION_EXCEPTION: &str = "08";
    pub(in crate::pg) const DATA_EXCEPTION: &str = "22";
    pub(in crate::pg) const INTEGRITY_CONSTRAINT_VIOLATION: &str = "23";
    pub(in crate::pg) const INVALID_TRANSACTION_STATE: &str = "25";
    pub(in crate::pg) const TRANSACTION_ROLLBACK: &str = "40";
    pub(in crate::pg) const SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION: &str = "42";
    pub(in crate::pg) const INSUFFICIENT_RESOURCES: &str = "53";
    pub(in crate::pg) const OBJECT_NOT_IN_PREREQUISITE_STATE: &str = "55";
    pub(in crate::pg) const OPERATOR_INTERVENTION: &str = "57";
    pub(in crate::pg) const SYSTEM_ERROR: &str = "58";
    pub(in crate::pg) const INTERNAL_ERROR: &str = "XX";
}

/// Codes of the failures that no server reports, `postgres`'s own where it has one.
pub mod code {
    pub const AUTHENTICATION_REFUSED: &str = "AUTHENTICATION_REFUSED";
    pub const CONNECTION_CLOSED: &str = "CONNECTION_CLOSED";
    pub const CONNECTION_DESTROYED: &str = "CONNECTION_DESTROYED";
    pub const CONNECTION_ENDED: &str = "CONNECTION_ENDED";
    pub const CONNECT_TIMEOUT: &str = "CONNECT_TIMEOUT";
    pub const INVALID_ANSWER: &str = "INVALID_ANSWER";
    pub const INVALID_OPTIONS: &str = "INVALID_OPTIONS";
    pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
    pub const PASSWORD_FAILED: &str = "PASSWORD_FAILED";
    pub const PASSWORD_MISSING: &str = "PASSWORD_MISSING";
    pub const QUERY_TIMEOUT: &str = "QUERY_TIMEOUT";
    pub const TARGET_NOT_FOUND: &str = "TARGET_NOT_FOUND";
}
