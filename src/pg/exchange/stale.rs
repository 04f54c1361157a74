//! Errors that say, or may say, that a statement was prepared for other tables than there are.

use tokio_postgres::error::SqlState;

use crate::pg::error::{Error, class};

/// The errors of a statement that was prepared for other tables, or on another server behind a pooler; the last is that
/// of a list of columns which is longer than the table is by now.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(
        error.sqlstate(),
        Some(
            &(SqlState::FEATURE_NOT_SUPPORTED
                | SqlState::INVALID_SQL_STATEMENT_NAME
                | SqlState::INVALID_COLUMN_REFERENCE)
        )
    )
}

/// The errors that a statement for other tables may cause, and that a current one may cause too.
pub(super) fn may_be_stale(error: &Error) -> bool {
    error.is_of_class(&[class::SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION, class::DATA_EXCEPTION])
}

/// The relation returns nothing, the role may not read it, a type has no binary form, or there are too many columns.
pub(super) fn may_be_probe(error: &Error) -> bool {
    matches!(
        error.sqlstate(),
        Some(
            &(SqlState::FEATURE_NOT_SUPPORTED
                | SqlState::INSUFFICIENT_PRIVILEGE
                | SqlState::UNDEFINED_FUNCTION
                | SqlState::TOO_MANY_COLUMNS)
        )
    )
}
