//! Errors that say, or may say, that a statement was prepared for other tables than there are.

use crate::pg::error::{Error, sqlstate};

/// The errors of a statement that was prepared for other tables, or on another server behind a pooler; the last is that
/// of a list of columns which is longer than the table is by now.
pub(super) fn is_stale(error: &Error) -> bool {
    const CODES: [&str; 3] =
        [sqlstate::FEATURE_NOT_SUPPORTED, sqlstate::INVALID_STATEMENT_NAME, sqlstate::INVALID_COLUMN_REFERENCE];
    error.is_database() && CODES.contains(&error.code())
}

/// What such a statement can run into as well.
pub(super) fn may_be_stale(error: &Error) -> bool {
    let code = error.code();
    error.is_database()
        && (code.starts_with(sqlstate::SYNTAX_OR_ACCESS_CLASS) || code.starts_with(sqlstate::DATA_EXCEPTION_CLASS))
}

/// The relation returns nothing, the role may not read it, a type has no binary form, or there are too many columns.
pub(super) fn may_be_guard(error: &Error) -> bool {
    [
        sqlstate::FEATURE_NOT_SUPPORTED,
        sqlstate::INSUFFICIENT_PRIVILEGE,
        sqlstate::UNDEFINED_FUNCTION,
        sqlstate::TOO_MANY_COLUMNS,
    ]
    .contains(&error.code())
}
