//! Why a host could not be connected to, as an error that names the host.

use std::error;

use tokio_postgres::error::DbError;

use super::screen::violation;
use crate::pg::{
    error::{Address, Error, code, describe},
    io_code::io_code,
    settings::Host,
    tls::{self, Explained},
};

/// The server's own error, or why it could not be spoken to; and whether someone was there with whom something else may be
/// tried.
pub(super) fn refused(host: &Host, error: tokio_postgres::Error) -> (Error, bool) {
    let text = describe(&error);
    if text.ends_with("password missing") {
        let text = "asks for a password; give it in the connection string, as the option `password`, in PGPASSWORD or in \
                    the password file";
        return (failure(host, code::PASSWORD_MISSING, text), true);
    }
    match error.into_source().map(<dyn error::Error + Send + Sync>::downcast::<DbError>) {
        None => (failure(host, code::CONNECTION_CLOSED, &format!("cannot be connected to: {text}")), true),
        Some(Ok(error)) => (Error::refused(*error).at(address(host)), true),
        Some(Err(source)) => explain(host, &text, &*source),
    }
}

pub(super) fn explain(host: &Host, text: &str, error: &(dyn error::Error + 'static)) -> (Error, bool) {
    if let Some(violation) = violation(error) {
        let error = match violation.code() {
            code::AUTHENTICATION_REFUSED => failure(host, code::AUTHENTICATION_REFUSED, violation.message()),
            _ => failure(host, code::INVALID_ANSWER, &format!("cannot be connected to: {violation}")),
        };
        return (error, false);
    }
    if let Some(Explained { code, message, is_final }) = tls::explain(error, text) {
        return (failure(host, code, &format!("cannot be connected to: {message}")), !is_final);
    }
    let code = error.downcast_ref().map_or(code::CONNECTION_CLOSED, io_code);
    let hint = match code {
        "ECONNREFUSED" => "; is PostgreSQL running there?",
        "ENOTFOUND" => "; is the host name right?",
        _ => "",
    };
    let has_answered = [code::CONNECTION_CLOSED, "ECONNRESET", "EPIPE", "TLS_FAILED"].contains(&code);
    (failure(host, code, &format!("cannot be connected to: {text}{hint}")), has_answered)
}

/// `error`, with the host that it came from; the server's own errors are about the statement.
pub(super) fn locate(host: &Host, error: Error) -> Error {
    if error.is_database() || error.host().is_some() { error } else { error.at(address(host)) }
}

/// `text` follows the host's name.
pub(super) fn failure(host: &Host, code: &'static str, text: &str) -> Error {
    Error::failure(code, format!("{} {text}", name(host))).at(address(host))
}

fn address(host: &Host) -> Address {
    match host {
        Host::Tcp { name, port, .. } => Address { address: name.clone(), port: Some(*port) },
        Host::Unix { .. } => Address { address: name(host), port: None },
    }
}

fn name(host: &Host) -> String {
    match host {
        Host::Tcp { name, port, .. } if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp { name, port, .. } => format!("{name}:{port}"),
        Host::Unix { directory, port } => format!("{}/.s.PGSQL.{port}", directory.display()),
    }
}
