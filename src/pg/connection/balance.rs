//! `load_balance_hosts=random`: hosts, and the addresses that a name leads to, are tried in an order of chance.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-LOAD-BALANCE-HOSTS>

use std::{io, net::SocketAddr};

use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};

use super::network::{Endpoint, Network, Stream};
use crate::pg::{chance::Chance, settings::SocketSettings};

/// Any order is as likely as any other.
pub(super) fn shuffle<T>(items: &mut [T], chance: &Chance) {
    for last in (1..items.len()).rev() {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is less than a `usize`")]
        items.swap(last, (chance.number() % (last as u64 + 1)) as usize);
    }
}

/// A network whose names lead to their addresses in another order each time.
pub(super) struct Shuffled<'a> {
    pub(super) network: &'a dyn Network,
    pub(super) chance: &'a Chance,
}

impl Network for Shuffled<'_> {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let shuffled = |mut addresses: Vec<SocketAddr>| {
            shuffle(&mut addresses, self.chance);
            addresses
        };
        self.network.resolve(name, port).map_ok(shuffled).boxed()
    }

    fn dial<'a>(&'a self, endpoint: &'a Endpoint, settings: &'a SocketSettings) -> BoxFuture<'a, io::Result<Stream>> {
        self.network.dial(endpoint, settings)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, future};

    use super::*;

    struct Four;

    impl Network for Four {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            future::ready(Ok((1..=4).map(|last| SocketAddr::from(([10, 0, 0, last], port))).collect())).boxed()
        }

        fn dial<'a>(&'a self, _: &'a Endpoint, _: &'a SocketSettings) -> BoxFuture<'a, io::Result<Stream>> {
            unreachable!()
        }
    }

    #[test]
    fn every_order_of_the_addresses_comes_up() {
        let chance = Chance::seeded(1);
        let network = Shuffled { network: &Four, chance: &chance };
        let order = || network.resolve("db", 1).now_or_never().unwrap().unwrap();
        let orders: HashSet<Vec<SocketAddr>> = (0..1000).map(|_| order()).collect();
        assert_eq!(orders.len(), 24);
    }
}
