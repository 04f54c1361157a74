//! Connections: each is opened for one worker of the queue, which closes it. deadpool counts them.

use std::{ops::Range, sync::Arc, time::Duration};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;

use super::{
    ahead::{Ahead, Source},
    cancel::{self, Route},
    client::{Client, Ended, reason},
    host_error::locate,
    hosts::Hosts,
    network::Network,
    open::{self, Opened, Peer, Program},
    pooler,
};
use crate::pg::{
    chance::Chance,
    error::Error,
    settings::{Host, Settings, SocketSettings},
    statement::ReadyStatements,
};

pub(in crate::pg) type Pool = managed::Pool<Opener>;
/// A connection, for as long as it is not given back.
pub(in crate::pg) type Lease = managed::Object<Opener>;

pub(in crate::pg) struct Opener {
    settings: Settings,
    program: Arc<dyn Program>,
    network: Arc<dyn Network>,
    hosts: Hosts,
    chance: Arc<Chance>,
    ahead: Source,
}

/// An open connection.
pub(in crate::pg) struct Connection {
    pub(in crate::pg) client: Arc<Client>,
    pub(in crate::pg) statements: ReadyStatements,
    /// How long a round trip took when the connection was opened, where one was measured.
    pub(in crate::pg) round_trip: Option<Duration>,
    pub(in crate::pg) peer: Peer,
    host: Host,
    route: Route,
    network: Arc<dyn Network>,
    socket: SocketSettings,
    pub(in crate::pg) retire_at: Option<Instant>,
    ended: Ended,
    /// The lookups that were sent ahead while the connection was opened.
    pub(in crate::pg) ahead: Option<Ahead>,
}

impl Connection {
    /// Sends a `CancelRequest` for what the server is doing for this connection; another task waits for the statement.
    /// The future resolves when the request is spent and cannot meet a statement that is sent later; it never fails,
    /// since only the statement's answer tells whether the request arrived.
    pub(in crate::pg) fn cancel(&self) -> impl Future<Output = ()> + use<> {
        let (token, socket) = (self.client.cancel_token(), self.socket);
        let (network, route) = (self.network.clone(), self.route.clone());
        async move { cancel::cancel(&*network, &route, &socket, &token).await }
    }

    /// The process of the server that serves it, as far as it was told.
    pub(in crate::pg) async fn process_id(&self) -> Option<i32> {
        pooler::told_process_id(&self.client.cancel_token()).await
    }

    /// Whether what a process of this connection's server has in flight is committed and waits for a synchronous standby
    /// (`wait_event = 'SyncRep'`).
    pub(in crate::pg) async fn sees_committed(&self, process_id: i32) -> Result<bool, Error> {
        let sql =
            format!("SELECT FROM pg_catalog.pg_stat_activity WHERE pid = {process_id} AND wait_event = 'SyncRep'");
        let messages = self.client.simple_query(&sql).await?;
        Ok(messages.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))))
    }

    /// Adds the host to an error of this connection, and says of a loss why the connection was ended, where that is known.
    pub(in crate::pg) fn locate(&self, error: Error) -> Error {
        locate(&self.host, reason(&self.ended, error))
    }

    /// Resolves when the connection is lost.
    pub(in crate::pg) async fn closed(&self) {
        // A value that is sent and a sender that is gone both mean the end.
        let _ = self.ended.clone().changed().await;
    }
}

/// A pool without a connection. `ahead` gives the lookups that wait, each time a connection has been opened for them.
pub(in crate::pg) fn pool(
    settings: Settings,
    program: Arc<dyn Program>,
    network: Arc<dyn Network>,
    chance: Arc<Chance>,
    ahead: Source,
) -> Pool {
    let max = settings.max;
    let opener = Opener { settings, program, network, hosts: Hosts::default(), chance, ahead };
    let pool = Pool::builder(opener).max_size(max).build();
    // The builder refuses only time-outs without a runtime, and it was given neither.
    pool.unwrap_or_else(|error| unreachable!("{error}"))
}

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        let Opened { client, ended, host, route, may_prepare, peer, may_batch_writes, round_trip, ahead } =
            Box::pin(self.hosts.open(&self.settings, &self.program, &*self.network, &self.chance, &self.ahead)).await?;
        let lifetime = |range: &Range<Duration>| open::somewhere_in(range, &self.chance);
        Ok(Connection {
            client,
            statements: ReadyStatements::new(may_prepare, may_batch_writes, self.chance.clone()),
            round_trip,
            peer,
            host,
            route,
            network: self.network.clone(),
            socket: self.settings.socket,
            ended,
            ahead,
            retire_at: self.settings.max_lifetime.as_ref().map(|range| Instant::now() + lifetime(range)),
        })
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        Err(RecycleError::message("a connection is leased once"))
    }
}
