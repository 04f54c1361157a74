//! Where a server listens.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
};

use super::value::{OptionValue, Problem};
use crate::pg::error::Error;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Tcp {
        /// A host name or an address; an IPv6 address without brackets. What the server's certificate is compared with.
        name: String,
        port: u16,
        /// Where to connect, if not to where `name` leads (`hostaddr`).
        address: Option<IpAddr>,
    },
    Unix {
        /// The directory of the socket; one that starts with `@` is in Linux's abstract name space.
        directory: PathBuf,
        port: u16,
    },
}

impl Host {
    /// The host's name or address, or the directory of its socket.
    pub(in crate::pg) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Tcp { name, .. } => name.into(),
            Self::Unix { directory, .. } => directory.to_string_lossy(),
        }
    }

    pub(in crate::pg) fn port(&self) -> u16 {
        match self {
            Self::Tcp { port, .. } | Self::Unix { port, .. } => *port,
        }
    }
}

/// A host as it is written, before the defaults. An empty name stands for the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub name: String,
    pub(super) port: Option<u16>,
}

const EXPECTED: &str =
    "must be a host name, an address or the absolute path of a socket directory, a port after a colon";

/// Reads `name`, `name:port`, an IPv6 address bare or in brackets, or a socket directory. Rejects everything else.
pub(super) fn place(text: &str) -> Result<Place, Problem> {
    let wrong = || Problem::refused(EXPECTED);
    let port = |text: &str| match text {
        "" => Ok(None),
        text => OptionValue::Text(text.into()).port().map(Some).map_err(|_| wrong()),
    };
    // The part after `%` names a network interface.
    let is_v6 = |text: &str| text.split_once('%').map_or(text, |(address, _)| address).parse::<Ipv6Addr>().is_ok();
    if is_directory(text) || is_v6(text) {
        return Ok(Place { name: text.into(), port: None });
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (name, rest) = bracketed.split_once(']').ok_or_else(wrong)?;
        if !is_v6(name) {
            return Err(wrong());
        }
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix(':').ok_or_else(wrong)? };
        return Ok(Place { name: name.into(), port: port(rest)? });
    }
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    Ok(Place { name: name.into(), port: port(rest)? })
}

/// Whether a name that no longer has escapes in it is one of a host or a socket directory.
pub(super) fn is_name(name: &str) -> bool {
    is_directory(name) && !name.contains('\0')
        || !name.contains(|letter: char| letter.is_control() || letter.is_whitespace() || "/\\?#@".contains(letter))
}

fn is_directory(name: &str) -> bool {
    name.starts_with(['/', '@'])
}

/// The items of a list, which is given as a list or as one text with commas.
fn items(value: &OptionValue) -> Vec<OptionValue> {
    match value {
        OptionValue::List(items) => items.clone(),
        OptionValue::Text(text) => text.split(',').map(|item| OptionValue::Text(item.trim().into())).collect(),
        value => vec![value.clone()],
    }
}

pub(super) fn places(value: &OptionValue) -> Result<Vec<Place>, Problem> {
    let read = |item: &OptionValue| {
        let place = place(&item.text()?)?;
        if is_name(&place.name) { Ok(place) } else { Err(Problem::refused(EXPECTED)) }
    };
    items(value).iter().map(read).collect()
}

pub(super) fn ports(value: &OptionValue) -> Result<Vec<Option<u16>>, Problem> {
    items(value).iter().map(|item| if item.is_left_out() { Ok(None) } else { item.port().map(Some) }).collect()
}

pub(super) fn addresses(value: &OptionValue) -> Result<Vec<Option<IpAddr>>, Problem> {
    let read = |item: &OptionValue| match item.text()? {
        text if text.is_empty() => Ok(None),
        text => text.parse().map(Some).map_err(|_| Problem::expected("must be numeric addresses")),
    };
    items(value).iter().map(read).collect()
}

const DEFAULT_NAME: &str = "localhost";
const DEFAULT_PORT: u16 = 5432;

/// The hosts, completed by the defaults. One port serves all hosts; an address belongs to the host at its place, or
/// stands for a host of its own. Rejects lists whose lengths differ.
pub(super) fn hosts(
    places: Option<Vec<Place>>,
    ports: Option<Vec<Option<u16>>>,
    addresses: Option<Vec<Option<IpAddr>>>,
) -> Result<Vec<Host>, Error> {
    let count = places.as_ref().map_or_else(|| addresses.as_ref().map_or(1, Vec::len), Vec::len);
    let places = places.unwrap_or_else(|| vec![Place::default(); count]);
    let ports = match ports.as_deref() {
        Some([port]) => vec![*port; count],
        _ => aligned(ports, count, "port")?,
    };
    let addresses = aligned(addresses, count, "hostaddr")?;
    let host = |((place, port), address): ((Place, Option<u16>), Option<IpAddr>)| {
        let port = port.unwrap_or(DEFAULT_PORT);
        if is_directory(&place.name) {
            return Host::Unix { directory: place.name.into(), port };
        }
        let name = match address {
            _ if !place.name.is_empty() => place.name,
            Some(address) => address.to_string(),
            None => DEFAULT_NAME.into(),
        };
        Host::Tcp { name, port, address }
    };
    Ok(places.into_iter().zip(ports).zip(addresses).map(host).collect())
}

fn aligned<T: Copy>(values: Option<Vec<Option<T>>>, count: usize, name: &str) -> Result<Vec<Option<T>>, Error> {
    match values {
        None => Ok(vec![None; count]),
        Some(values) if values.len() == count => Ok(values),
        Some(values) => {
            Err(Error::invalid(format!("`{name}` lists {} values for {count} hosts; give one for each", values.len())))
        }
    }
}

/// Splits the path of a socket, `/directory/.s.PGSQL.5432`, which is `postgres`'s option `path`, into the directory and
/// the port that `host` and `port` would say.
pub(super) fn socket(value: &OptionValue) -> Result<(PathBuf, u16), Problem> {
    let path = PathBuf::from(value.text()?);
    let port = path.file_name().and_then(|name| name.to_str()?.strip_prefix(".s.PGSQL.")?.parse().ok());
    match (path.parent(), port) {
        (Some(directory), Some(port)) if path.is_absolute() => Ok((directory.into(), port)),
        _ => Err(Problem::refused(
            "must be the absolute path of a socket, which ends in .s.PGSQL.PORT; `host` takes its directory",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_every_way_they_are_written() {
        let table = [
            ("db", "db", None),
            ("fe80::1%eth0", "fe80::1%eth0", None),
            ("db:5433", "db", Some(5433)),
            ("db:", "db", None),
            ("", "", None),
            (":5433", "", Some(5433)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:5433", "::1", Some(5433)),
            ("[fe80::1%eth0]:1", "fe80::1%eth0", Some(1)),
            ("/tmp", "/tmp", None),
            ("/cloudsql/a:b:c", "/cloudsql/a:b:c", None),
            ("@abstract", "@abstract", None),
        ];
        for (text, name, port) in table {
            assert_eq!(place(text).ok(), Some(Place { name: name.into(), port }), "{text}");
        }
        for wrong in ["db:port", "db:0", "db:65536", "a:b:c", "[::1", "[::1]5433", "[db]", "[]"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_socket_is_a_directory_and_a_port() {
        let socket = |path: &str| socket(&OptionValue::Text(path.into())).ok();
        assert_eq!(socket("/tmp/.s.PGSQL.5432"), Some((PathBuf::from("/tmp"), 5432)));
        for wrong in ["/tmp", "tmp/.s.PGSQL.5432", "/tmp/.s.PGSQL.", "/", ".s.PGSQL.1"] {
            assert_eq!(socket(wrong), None, "{wrong}");
        }
    }
}
