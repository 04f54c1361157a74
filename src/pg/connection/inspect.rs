//! One statement on a connection of its own, and what kind of connection that is.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::time;
use tokio_postgres::types::Type;

use super::{
    ahead::Source,
    hosts::Hosts,
    open::{Opened, Peer, Program},
    system::System,
};
use crate::pg::{
    chance::Chance,
    error::{Error, code},
    settings::{Host, Mode, Prepare, Settings},
};

/// How long the statement may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How far the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    Plain,
    /// With TLS where the server has it; a man in the middle can say that it has none.
    Optional,
    /// With TLS, whoever answers.
    Encrypted,
    /// With TLS, and the server has proved who it is.
    Verified,
}

pub struct Inspection {
    /// The first column of the first row.
    pub text: String,
    pub is_pooled: bool,
    /// The connection does not leave the machine.
    pub is_local: bool,
    pub protection: Protection,
}

/// Opens a connection, asks `sql` with `parameter`, and tells the text of the first row's first column. Prepares
/// nothing under a name, so that `sql` passes every pooler. Rejects as a call does, with `QUERY_TIMEOUT` after
/// [`LIMIT`], and with `INVALID_ANSWER` for an answer that is no text.
pub async fn inspect(
    mut settings: Settings,
    program: Arc<dyn Program>,
    sql: &str,
    parameter: &str,
) -> Result<Inspection, Error> {
    settings.prepare = Prepare::Detect;
    let nothing_waits: Source = Box::new(|| None);
    let Opened { client, host, peer, .. } =
        Box::pin(Hosts::default().open(&settings, &program, &System, &Chance::of_the_system(), &nothing_waits)).await?;
    let answer = time::timeout(LIMIT, client.query_typed(sql, &[(&parameter, Type::TEXT)])).await;
    let rows = answer.map_err(|_| {
        Error::failure(code::QUERY_TIMEOUT, format!("the server has not answered within {} s", LIMIT.as_secs()))
    })??;
    let text = rows.first().and_then(|row| row.try_get(0).ok());
    Ok(Inspection {
        text: text.ok_or_else(|| Error::failure(code::INVALID_ANSWER, "the answer is not a text"))?,
        is_pooled: peer == Peer::Pooler,
        is_local: is_local(&host),
        protection: protection(&host, settings.tls.mode),
    })
}

fn is_local(host: &Host) -> bool {
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    match host {
        Host::Unix { .. } => true,
        Host::Tcp { address: Some(address), .. } => is_loopback(*address),
        Host::Tcp { name, .. } => name == "localhost" || name.parse().is_ok_and(is_loopback),
    }
}

fn protection(host: &Host, mode: Mode) -> Protection {
    match (host, mode) {
        (Host::Unix { .. }, _) | (_, Mode::Disable) => Protection::Plain,
        (_, Mode::Allow | Mode::Prefer) => Protection::Optional,
        (_, Mode::Require) => Protection::Encrypted,
        (_, Mode::VerifyCa | Mode::VerifyFull) => Protection::Verified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(name: &str, address: Option<&str>) -> Host {
        let address = address.map(|text| text.parse().unwrap());
        Host::Tcp { name: name.into(), port: 5432, address }
    }

    #[test]
    fn a_connection_is_local_when_it_leads_to_a_socket_or_to_the_loopback_interface() {
        let socket = Host::Unix { directory: "/tmp".into(), port: 5432 };
        for host in [socket, tcp("localhost", None), tcp("127.0.0.2", None), tcp("::1", None), tcp("db", Some("::1"))] {
            assert!(is_local(&host), "{host:?}");
        }
        for host in [tcp("db", None), tcp("10.0.0.1", None), tcp("localhost", Some("10.0.0.1"))] {
            assert!(!is_local(&host), "{host:?}");
        }
    }

    #[test]
    fn a_socket_is_plain_in_every_mode() {
        let socket = Host::Unix { directory: "/tmp".into(), port: 5432 };
        assert_eq!(protection(&socket, Mode::VerifyFull), Protection::Plain);
        assert_eq!(protection(&tcp("db", None), Mode::VerifyFull), Protection::Verified);
        assert_eq!(protection(&tcp("db", None), Mode::Prefer), Protection::Optional);
    }
}
