//! The connection string.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{
    host::{self, Place},
    options,
    password::{Password, Secret},
    stated::Stated,
    value::OptionValue,
};
use crate::pg::error::Error;

const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// Reads `postgres://user:password@host:port,host:port/database?name=value`, every part of it optional.
///
/// Its parts are found from the outside in, so that a password may hold what should have been escaped in it: the last
/// `@` before the path ends the credentials, and several hosts, which no general URL may have, are still hosts.
pub(super) fn read(text: &str) -> Result<Stated, Error> {
    let rest = after_scheme(text.trim())?;
    let (credentials, hosts, rest) = split(rest);
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    // With a `?` or `#` in the password, a part of the password would be the host, and the error that no such host is found
    // would show it.
    let is_of_password = |text: &str| text.split_once('@').is_some_and(|(before, _)| !before.contains('='));
    if is_of_password(query) || is_of_password(fragment) {
        return Err(invalid("there is an @ behind its ? or #: write these in a password as %3F and %23"));
    }

    let mut authority = Stated { hosts: read_hosts(hosts)?, ..Stated::default() };
    authority.collect_ports();
    // `:5433` states a port alone; the host is another source's to state.
    authority.hosts = authority.hosts.filter(|hosts| hosts.len() > 1 || hosts.iter().all(|host| !host.name.is_empty()));
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        authority.user = given(decoded(user)?);
        authority.password = given(decoded(password)?).map(|text| Password::Text(Secret(text)));
    }
    if path.split_once('@').is_some_and(|(_, rest)| rest.contains('/')) {
        return Err(invalid("there is an @ in its path: write the / of the password as %2F"));
    }
    authority.database = given(decoded(path.strip_prefix('/').unwrap_or(path))?);

    let query = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), OptionValue::Text(value.into_owned())))
        .collect();
    let query = options::read_texts(&query, |name| format!("connection: `{name}` in the connection string"))?;
    Ok(query.over(authority))
}

fn invalid(message: &str) -> Error {
    Error::invalid(format!("connection: the connection string is not valid; {message}"))
}

fn after_scheme(text: &str) -> Result<&str, Error> {
    let expected = "connection: expected a connection string that starts with postgres:// or postgresql://";
    if text.is_empty() {
        return Err(Error::invalid(format!("{expected}, but it is empty; is the environment variable set?")));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Error::invalid(format!("{expected}, but it has no scheme")));
    };
    if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Ok(rest);
    }
    let is_scheme = scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.:".contains(letter));
    let found = if is_scheme { format!("{scheme}://") } else { "something else".into() };
    Err(Error::invalid(format!("{expected}, not with {found}")))
}

/// Splits into credentials, hosts, and the rest from the path on.
fn split(text: &str) -> (Option<&str>, &str, &str) {
    let end_of = |text: &str| text.find(['/', '?', '#']).unwrap_or(text.len());
    let mut end = end_of(text);
    if !text[..end].contains('@') && !are_hosts(&text[..end]) {
        // This is no host: the `/`, `?` or `#` that ended it belongs to a password.
        if let Some(at) = text.find('@') {
            end = at + end_of(&text[at..]);
        }
    }
    let (authority, rest) = text.split_at(end);
    match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts, rest),
        None => (None, authority, rest),
    }
}

fn are_hosts(text: &str) -> bool {
    text.split(',').all(|text| host::place(text).is_ok())
}

/// `None` if there is no host at all.
fn read_hosts(text: &str) -> Result<Option<Vec<Place>>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    // The text is not shown: behind a forgotten escape it may be a part of the password.
    let wrong = || {
        invalid(
            "between the last @ and the path there has to be host:port, several separated by commas, IPv6 in \
             brackets; in user and password : / ? # [ ] @ are written with %",
        )
    };
    let read = |text: &str| {
        let place = host::place(text).map_err(|_| wrong())?;
        let name = decoded(&place.name)?.into_owned();
        if host::is_name(&name) { Ok(Place { name, port: place.port }) } else { Err(wrong()) }
    };
    text.split(',').map(read).collect::<Result<_, _>>().map(Some)
}

fn decoded(text: &str) -> Result<Cow<'_, str>, Error> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| invalid("a %-escape in it is not UTF-8"))?;
    if decoded.contains('\0') { Err(invalid("it contains a NUL character")) } else { Ok(decoded) }
}

fn given(text: Cow<'_, str>) -> Option<String> {
    Some(text.into_owned()).filter(|text| !text.is_empty())
}
