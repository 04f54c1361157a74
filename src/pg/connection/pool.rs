//! Connections: each is opened for one worker of the queue, which closes it. deadpool counts them.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;

use super::{
    ahead::{Ahead, Source},
    cancel::{self, Route},
    client::{Client, Ended},
    host_error::locate,
    hosts::Hosts,
    network::Network,
    open::{self, Opened, Peer, Program},
    pooler,
};
use crate::pg::{
    chance::Chance,
    error::{Error, code},
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
    /// How long a round trip took when it was opened, as far as known.
    pub(in crate::pg) round_trip: Option<Duration>,
    pub(in crate::pg) peer: Peer,
    host: Host,
    route: Route,
    network: Arc<dyn Network>,
    socket: SocketSettings,
    pub(in crate::pg) retire_at: Option<Instant>,
    ended: Ended,
    ahead: Mutex<Option<Ahead>>,
}

impl Connection {
    /// Tells the server to give up what it is doing for this connection, while someone else waits for that. When the
    /// future resolves the request is spent: it can no longer meet a statement that is sent after it.
    pub(in crate::pg) fn cancel(&self) -> impl Future<Output = ()> + use<> {
        let (token, socket) = (self.client.cancel_token(), self.socket);
        let (network, route) = (self.network.clone(), self.route.clone());
        async move { cancel::cancel(&*network, &route, &socket, &token).await }
    }

    /// What was sent ahead, once.
    pub(in crate::pg) fn take_ahead(&self) -> Option<Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The statement that `other` has under way is committed, and waits for a standby to have it too.
    pub(in crate::pg) async fn sees_committed(&self, other: &Self) -> Result<bool, Error> {
        let process_id = pooler::told_process_id(&other.client.cancel_token()).await.unwrap_or_default();
        let sql =
            format!("SELECT FROM pg_catalog.pg_stat_activity WHERE pid = {process_id} AND wait_event = 'SyncRep'");
        let messages = self.client.simple_query(&sql).await?;
        Ok(messages.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))))
    }

    /// `error` of this connection, with the host that it was spoken to, and why the connection was ended here.
    pub(in crate::pg) fn locate(&self, error: Error) -> Error {
        let improper = self.ended.borrow().clone().filter(|_| error.code() == code::CONNECTION_CLOSED);
        let error = improper.unwrap_or(error);
        locate(&self.host, error)
    }

    /// Ends when the connection is lost.
    pub(in crate::pg) async fn closed(&self) {
        // Whatever is sent, or that the sender is gone, says so.
        let _ = self.ended.clone().changed().await;
    }
}

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
            Box::pin(self.hosts.open(&self.settings, &self.program, &*self.network, &self.ahead)).await?;
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
            ahead: Mutex::new(ahead),
            retire_at: self.settings.max_lifetime.as_ref().map(|range| Instant::now() + lifetime(range)),
        })
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        Err(RecycleError::message("a connection is leased once"))
    }
}
