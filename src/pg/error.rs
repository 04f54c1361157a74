//! What can go wrong between a call and the server, told in the server's and the driver's own fields.

use std::{error, fmt, sync::Arc};

use tokio_postgres::error::{DbError, ErrorPosition, Severity, SqlState};

pub(in crate::pg) use super::codes::class;
pub use super::codes::code;

/// Why a call, a connection or a setting failed. A clone shares it: one lost connection is the error of every call that was
/// sent over it.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Arc<Details>);

#[derive(Clone, Debug, PartialEq)]
struct Details {
    kind: Kind,
    host: Option<Address>,
    cause: Option<Error>,
    /// What a function of the program's has thrown, by the number that the program knows it by.
    thrown: Option<u32>,
    /// What the program is told in place of the server's message.
    told: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The server reported an error.
    Database(Box<DbError>),
    /// No server reported it; one of [`code`], of Node's, or a setting's.
    Failure { code: &'static str, message: String },
}

/// Where a host is, for whoever reads an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// A name, an address, or the path of a unix socket, which has no port.
    pub address: String,
    pub port: Option<u16>,
}

impl Error {
    fn new(kind: Kind) -> Self {
        Self(Arc::new(Details { kind, host: None, cause: None, thrown: None, told: None }))
    }

    /// The same error, with these of its details changed.
    fn with(mut self, change: impl FnOnce(&mut Details)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// An error that no server has reported. `message` holds no value of a row, no password and no whole connection
    /// string.
    pub fn failure(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Failure { code, message: message.into() })
    }

    /// `INVALID_OPTIONS`: a setting cannot be used. `message` names the setting.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::failure(code::INVALID_OPTIONS, message)
    }

    /// A failure that has `cause` for its cause, and the host of `cause`.
    pub fn caused_by(code: &'static str, message: impl Into<String>, cause: Self) -> Self {
        Self::failure(code, message).with(|details| {
            details.host = cause.host().cloned();
            details.cause = Some(cause);
        })
    }

    /// An error that the server has reported.
    pub(in crate::pg) fn refused(error: DbError) -> Self {
        Self::new(Kind::Database(Box::new(error)))
    }

    /// The same error, whose cause is what a function of the program's has thrown; the program knows it by `thrown`.
    pub(in crate::pg) fn thrown_as(self, thrown: Option<u32>) -> Self {
        self.with(|details| details.thrown = thrown)
    }

    /// The same error, with the host that it came from.
    pub(in crate::pg) fn at(self, host: Address) -> Self {
        self.with(|details| details.host = Some(host))
    }

    /// The same error, which the program is told as `text`, not in the server's words.
    pub fn told_as(self, text: &'static str) -> Self {
        self.with(|details| details.told = Some(text))
    }

    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The host that was spoken to. An error that the server has reported has one only where the server refused the
    /// connection itself.
    pub fn host(&self) -> Option<&Address> {
        self.0.host.as_ref()
    }

    pub fn thrown(&self) -> Option<u32> {
        self.0.thrown
    }

    pub fn told(&self) -> Option<&'static str> {
        self.0.told
    }

    pub fn cause(&self) -> Option<&Self> {
        self.0.cause.as_ref()
    }

    /// The SQLSTATE, or the code of the failure, as JavaScript sees it.
    pub fn code(&self) -> &str {
        match self.kind() {
            Kind::Database(error) => error.code().code(),
            Kind::Failure { code, .. } => code,
        }
    }

    /// `None` where no server reported the error.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match self.kind() {
            Kind::Database(error) => Some(error.code()),
            Kind::Failure { .. } => None,
        }
    }

    /// The server's SQLSTATE is of one of the classes.
    pub(in crate::pg) fn is_of_class(&self, classes: &[&str]) -> bool {
        self.sqlstate().is_some_and(|state| classes.iter().any(|class| state.code().starts_with(class)))
    }

    pub fn message(&self) -> &str {
        match self.kind() {
            Kind::Database(error) => error.message(),
            Kind::Failure { message, .. } => message,
        }
    }

    pub fn is_database(&self) -> bool {
        matches!(self.kind(), Kind::Database(_))
    }

    /// Whether the connection is of no more use: it is gone (`CONNECTION_CLOSED`), or the server has said that it ends
    /// (FATAL, PANIC, `57P01`, `57P02`, `57P03`).
    pub(in crate::pg) fn is_loss(&self) -> bool {
        match self.kind() {
            Kind::Failure { code, .. } => *code == code::CONNECTION_CLOSED,
            Kind::Database(error) => {
                matches!(severity(error), "FATAL" | "PANIC")
                    || matches!(
                        *error.code(),
                        SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW
                    )
            }
        }
    }

    /// Whether the error has the fields V, F, L and R, which PostgreSQL always sends; the errors that poolers make up
    /// lack some of them.
    pub(in crate::pg) fn has_source(&self) -> bool {
        let Kind::Database(error) = self.kind() else { return false };
        error.parsed_severity().is_some()
            && error.file().is_some()
            && error.line().is_some()
            && error.routine().is_some()
    }

    pub(in crate::pg) fn is_fatal(&self) -> bool {
        matches!(self.kind(), Kind::Database(error) if severity(error) == "FATAL")
    }

    /// Whether a connection that could not be opened for this error may be opened a little later.
    pub(in crate::pg) fn is_passing(&self) -> bool {
        match self.kind() {
            Kind::Failure { code, .. } => *code != code::INVALID_OPTIONS,
            // PgBouncer says `08P01` when it has no server, or no place for another client.
            Kind::Database(error) => {
                matches!(
                    *error.code(),
                    SqlState::ADMIN_SHUTDOWN
                        | SqlState::CRASH_SHUTDOWN
                        | SqlState::CANNOT_CONNECT_NOW
                        | SqlState::IDLE_SESSION_TIMEOUT
                        | SqlState::TOO_MANY_CONNECTIONS
                ) || self.is_of_class(&[class::CONNECTION_EXCEPTION])
            }
        }
    }

    /// Whether the server has no place left for another connection.
    pub(in crate::pg) fn is_full(&self) -> bool {
        self.sqlstate() == Some(&SqlState::TOO_MANY_CONNECTIONS)
    }

    /// Schema, table and name of the constraint that was violated, each empty where the server does not tell.
    pub fn constraint(&self) -> Option<[&str; 3]> {
        match self.kind() {
            Kind::Database(error) => {
                Some([error.schema(), error.table(), error.constraint()].map(Option::unwrap_or_default))
            }
            Kind::Failure { .. } => None,
        }
    }

    /// The name and text of every field that the server sent, under the names that the `postgres` driver gives them.
    /// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let Kind::Database(error) = self.kind() else {
            return Vec::new();
        };
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

/// The severity in English, where the server sends it so (field V); else in the server's language.
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
        self.cause().map(|cause| cause as _)
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

/// The message of `error` followed by the messages of its sources, each once: tokio-postgres's own message says only
/// what tokio-postgres was doing.
pub(in crate::pg) fn describe(error: &(dyn error::Error + 'static)) -> String {
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
