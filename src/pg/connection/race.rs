//! A name can lead to several addresses, some of which are silent: they are dialed one after the other, but no address
//! waits until another one is given up. The first that answers wins.
//! <https://www.rfc-editor.org/rfc/rfc8305>

use std::{io, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time;

use super::network::{Endpoint, Network, Stream, endpoints};
use crate::pg::settings::{Host, SocketSettings};

/// How long an address is waited for before the next one is dialed as well: the "Connection Attempt Delay".
const DELAY: Duration = Duration::from_millis(250);

pub(super) async fn dial(
    network: &dyn Network,
    host: &Host,
    settings: &SocketSettings,
) -> io::Result<(Stream, Endpoint)> {
    let mut next = alternate(endpoints(network, host).await?).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut error = None;
    loop {
        match next.next() {
            Some(endpoint) => attempts.push(async move { (network.dial(&endpoint, settings).await, endpoint) }),
            None if attempts.is_empty() => {
                return Err(error.unwrap_or_else(|| io::Error::other("the name leads to no address")));
            }
            None => {}
        }
        let attempt = if next.len() > 0 {
            time::timeout(DELAY, attempts.next()).await.unwrap_or_default()
        } else {
            attempts.next().await
        };
        match attempt {
            Some((Ok(stream), endpoint)) => return Ok((stream, endpoint)),
            // The first address is the one that the system prefers.
            Some((Err(failure), _)) => error = error.or(Some(failure)),
            None => {}
        }
    }
}

/// The addresses of both families in turn, so that a family which leads nowhere takes no more than every other attempt.
fn alternate(endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let is_v6 = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp(address) if address.is_ipv6());
    let first = endpoints.first().is_some_and(is_v6);
    let count = endpoints.len();
    let (preferred, others): (Vec<_>, Vec<_>) = endpoints.into_iter().partition(|endpoint| is_v6(endpoint) == first);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    (0..count).flat_map(|_| [preferred.next(), others.next()]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::{future::pending, net::SocketAddr};

    use futures_util::{FutureExt, future::BoxFuture};
    use tokio::{io::duplex, runtime::Builder, time::Instant};

    use super::*;

    /// Where a name leads; an address is silent, refuses or answers, as its port says.
    struct Addresses(&'static [&'static str]);

    impl Network for Addresses {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            async { Ok(self.0.iter().map(|text| text.parse().unwrap()).collect()) }.boxed()
        }

        fn dial<'a>(&'a self, endpoint: &'a Endpoint, _: &'a SocketSettings) -> BoxFuture<'a, io::Result<Stream>> {
            let Endpoint::Tcp(address) = endpoint else { unreachable!() };
            match address.port() {
                SILENT => pending().boxed(),
                REFUSING => async { Err(io::ErrorKind::ConnectionRefused.into()) }.boxed(),
                _ => async { Ok(Stream::new(duplex(1).0)) }.boxed(),
            }
        }
    }

    const SILENT: u16 = 1;
    const REFUSING: u16 = 2;

    /// Which address won, and after how many milliseconds.
    fn winner(addresses: &'static [&'static str]) -> (Result<String, io::ErrorKind>, u128) {
        let host = Host::Tcp { name: "db".into(), port: 0, address: None };
        let settings = SocketSettings { keep_alive: None, probe_interval: DELAY, probes: 1, user_timeout: None };
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let since = Instant::now();
            let dialed = dial(&Addresses(addresses), &host, &settings).await;
            let winner = dialed.map(|(_, endpoint)| endpoint.to_string()).map_err(|error| error.kind());
            (winner, since.elapsed().as_millis())
        })
    }

    #[test]
    fn an_address_that_is_silent_keeps_the_next_one_waiting_for_a_quarter_of_a_second() {
        assert_eq!(winner(&["[::1]:1", "127.0.0.1:5"]), (Ok("127.0.0.1:5".into()), 250));
        assert_eq!(winner(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:5"]), (Ok("10.0.0.3:5".into()), 500));
    }

    #[test]
    fn an_address_that_refuses_keeps_nobody_waiting() {
        assert_eq!(winner(&["[::1]:2", "127.0.0.1:5"]), (Ok("127.0.0.1:5".into()), 0));
        assert_eq!(winner(&["[::1]:2", "127.0.0.1:2"]), (Err(io::ErrorKind::ConnectionRefused), 0));
        assert_eq!(winner(&[]), (Err(io::ErrorKind::Other), 0));
    }

    #[test]
    fn the_families_take_turns_in_the_order_of_the_system() {
        assert_eq!(winner(&["[::1]:1", "[::2]:1", "127.0.0.1:5"]), (Ok("127.0.0.1:5".into()), 250));
        assert_eq!(winner(&["127.0.0.1:1", "127.0.0.2:1", "[::1]:5"]), (Ok("[::1]:5".into()), 250));
    }
}
