//! What can go wrong between a call and the server, told in the server's and the driver's own fields.

use std::{error, fmt, sync::Arc};

use tokio_postgres::error::{DbError, ErrorPosition, Severity};

/// The SQLSTATEs that this package acts on.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub mod sqlstate {
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const FOREIGN_KEY_VIOLATION: &str = "23503";
    pub const UNIQUE_VIOLATION: &str = "23505";
    pub const INVALID_STATEMENT_NAME: &str = "26000";
    pub const READ_ONLY_SQL_TRANSACTION: &str = "25006";
    pub const TRANSACTION_TIMEOUT: &str = "25P04";
    pub const SERIALIZATION_FAILURE: &str = "40001";
    pub const STATEMENT_COMPLETION_UNKNOWN: &str = "40003";
    pub const DEADLOCK_DETECTED: &str = "40P01";
    pub const INVALID_COLUMN_REFERENCE: &str = "42P10";
    pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub const UNDEFINED_FUNCTION: &str = "42883";
    pub const DUPLICATE_STATEMENT: &str = "42P05";
    pub const QUERY_CANCELED: &str = "57014";
    pub const ADMIN_SHUTDOWN: &str = "57P01";
    pub const CRASH_SHUTDOWN: &str = "57P02";
    pub const CANNOT_CONNECT_NOW: &str = "57P03";
    pub const IDLE_SESSION_TIMEOUT: &str = "57P05";
    pub const TOO_MANY_CONNECTIONS: &str = "53300";
    pub const TOO_MANY_COLUMNS: &str = "54011";
    pub const CONNECTION_EXCEPTION_CLASS: &str = "08";
    /// Resources, an operator, the system, internal errors.
    pub const SYSTEM_CLASSES: [&str; 4] = ["53", "57", "58", "XX"];
    pub const DATA_EXCEPTION_CLASS: &str = "22";
    pub const SYNTAX_OR_ACCESS_CLASS: &str = "42";
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

/// Cheap to clone: one lost connection is the error of every call that travelled on it.
#[derive(Clone, Debug)]
pub enum Error {
    /// The server refused.
    Database(Arc<Refusal>),
    /// There was no answer to be had.
    Failure(Arc<Failure>),
}

#[derive(Debug)]
pub struct Refusal {
    pub error: DbError,
    /// The host, where it refused the connection itself.
    pub host: Option<Address>,
}

/// Where a host is, for whoever reads an error.
#[derive(Clone, Debug)]
pub struct Address {
    /// A name, an address, or the path of a unix socket, which has no port.
    pub address: String,
    pub port: Option<u16>,
}

#[derive(Debug)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    /// The host that was spoken to.
    pub host: Option<Address>,
    pub cause: Option<Error>,
    /// What a function of the program's has thrown, by the number that the program knows it by.
    pub thrown: Option<u32>,
}

impl Error {
    pub fn failure(code: &'static str, message: impl Into<String>) -> Self {
        Self::Failure(Arc::new(Failure { code, message: message.into(), host: None, cause: None, thrown: None }))
    }

    pub fn caused_by(code: &'static str, message: impl Into<String>, cause: Self) -> Self {
        let host = cause.host().cloned();
        Self::Failure(Arc::new(Failure { code, message: message.into(), host, cause: Some(cause), thrown: None }))
    }

    pub fn refused(error: DbError) -> Self {
        Self::Database(Arc::new(Refusal { error, host: None }))
    }

    pub fn host(&self) -> Option<&Address> {
        match self {
            Self::Database(refusal) => refusal.host.as_ref(),
            Self::Failure(failure) => failure.host.as_ref(),
        }
    }

    /// SQLSTATE, or the code of the failure.
    pub fn code(&self) -> &str {
        match self {
            Self::Database(refusal) => refusal.error.code().code(),
            Self::Failure(failure) => failure.code,
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Self::Database(refusal) => refusal.error.message(),
            Self::Failure(failure) => &failure.message,
        }
    }

    pub fn is_database(&self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// The connection is of no more use: it is gone, or the server has said that it is going.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Failure(failure) => failure.code == code::CONNECTION_CLOSED,
            Self::Database(refusal) => {
                matches!(severity(&refusal.error), "FATAL" | "PANIC")
                    || matches!(
                        self.code(),
                        sqlstate::ADMIN_SHUTDOWN | sqlstate::CRASH_SHUTDOWN | sqlstate::CANNOT_CONNECT_NOW
                    )
            }
        }
    }

    /// It has the fields V, F, L and R, which PostgreSQL always sends. The errors that poolers make up lack some of them.
    pub fn has_source(&self) -> bool {
        let Self::Database(refusal) = self else { return false };
        let error = &refusal.error;
        error.parsed_severity().is_some()
            && error.file().is_some()
            && error.line().is_some()
            && error.routine().is_some()
    }

    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Database(refusal) if severity(&refusal.error) == "FATAL")
    }

    /// Opening a connection failed in a way that another attempt a little later may not.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Failure(failure) => failure.code != code::INVALID_OPTIONS,
            Self::Database(_) => match self.code() {
                sqlstate::ADMIN_SHUTDOWN
                | sqlstate::CRASH_SHUTDOWN
                | sqlstate::CANNOT_CONNECT_NOW
                | sqlstate::IDLE_SESSION_TIMEOUT
                | sqlstate::TOO_MANY_CONNECTIONS => true,
                // `08P01` of PgBouncer: it has no server, or no place for another client.
                code => code.starts_with(sqlstate::CONNECTION_EXCEPTION_CLASS),
            },
        }
    }

    /// Schema, table and name of the constraint that was violated, each empty where the server does not tell.
    pub fn constraint(&self) -> Option<[&str; 3]> {
        match self {
            Self::Database(refusal) => {
                let error = &refusal.error;
                Some([error.schema(), error.table(), error.constraint()].map(Option::unwrap_or_default))
            }
            Self::Failure(_) => None,
        }
    }

    /// The name and text of every field that the server sent, under the names that the `postgres` driver gives them.
    /// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let Self::Database(refusal) = self else {
            return Vec::new();
        };
        let error = &refusal.error;
        let (position, internal) = match error.position() {
            Some(ErrorPosition::Original(position)) => (Some(position.to_string()), None),
            Some(ErrorPosition::Internal { position, query }) => (None, Some((position.to_string(), query.clone()))),
            None => (None, None),
        };
        let (internal_position, internal_query) = internal.unzip();
        let text = |field: Option<&str>| field.map(str::to_owned);
        [
            ("severity_local", text(Some(error.severity()))),
            ("severity", text(Some(severity(error)))),
            ("code", text(Some(error.code().code()))),
            ("detail", text(error.detail())),
            ("hint", text(error.hint())),
            ("position", position),
            ("internal_position", internal_position),
            ("internal_query", internal_query),
            ("where", text(error.where_())),
            ("schema_name", text(error.schema())),
            ("table_name", text(error.table())),
            ("column_name", text(error.column())),
            ("data type_name", text(error.datatype())),
            ("constraint_name", text(error.constraint())),
            ("file", text(error.file())),
            ("line", error.line().map(|line| line.to_string())),
            ("routine", text(error.routine())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// Not translated, where the server sends it so.
fn severity(error: &DbError) -> &str {
    match error.parsed_severity() {
        Some(Severity::Panic) => "PANIC",
        Some(Severity::Fatal) => "FATAL",
        Some(Severity::Error) => "ERROR",
        Some(Severity::Warning) => "WARNING",
        Some(Severity::Notice) => "NOTICE",
        Some(Severity::Debug) => "DEBUG",
        Some(Severity::Info) => "INFO",
        Some(Severity::Log) => "LOG",
        None => error.severity(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Failure(failure) => failure.cause.as_ref().map(|cause| cause as _),
            Self::Database(_) => None,
        }
    }
}

/// On an open connection: what the server said, or that the connection is lost, or that the answer makes no sense.
impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = describe(&error);
        let is_closed = error.is_closed();
        match error.into_source().map(<dyn error::Error + Send + Sync>::downcast::<DbError>) {
            Some(Ok(error)) => Self::refused(*error),
            _ if is_closed => Self::failure(code::CONNECTION_CLOSED, format!("the connection was lost: {text}")),
            _ => Self::failure(code::INVALID_ANSWER, format!("the server's answer cannot be used: {text}")),
        }
    }
}

/// The message with those of its sources, each once: tokio-postgres's own says only what it was doing.
pub fn describe(error: &(dyn error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    text
}
