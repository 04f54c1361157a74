//! The request to cancel a statement. It goes to the server over a connection of its own, and says nothing of how it went.

use std::{io, time::Duration};

use tokio::{io::AsyncReadExt, time};
use tokio_postgres::{CancelToken, config::SslMode};

use super::network::{Endpoint, Lent, Network};
use crate::pg::{
    settings::SocketSettings,
    tls::{AsItIs, Connector, secure},
};

/// How a session's server was reached, and is reached again.
#[derive(Clone)]
pub(super) struct Route {
    /// Which of the host's addresses answered.
    pub(super) endpoint: Endpoint,
    pub(super) attempt: SslMode,
    pub(super) tls: Connector,
}

/// A request that takes longer is taken for lost.
const LIMIT: Duration = Duration::from_secs(2);

/// Resolves when the request is spent: the server closes its connection after the signal was sent to the session.
pub(super) async fn cancel(network: &dyn Network, route: &Route, settings: &SocketSettings, token: &CancelToken) {
    // Neither success nor an error says whether the request arrived; the answer to the statement does.
    let _ = time::timeout(LIMIT, request(network, route, settings, token)).await;
}

async fn request(
    network: &dyn Network,
    route: &Route,
    settings: &SocketSettings,
    token: &CancelToken,
) -> io::Result<()> {
    let (lent, back) = Lent::new(network.dial(&route.endpoint, settings).await?);
    let secured = secure(lent, route.attempt, &route.tls).await?;
    token.cancel_query_raw(secured, AsItIs).await.map_err(io::Error::other)?;
    let Ok(mut stream) = back.await else { return Ok(()) };
    // PostgreSQL answers a `CancelRequest` by closing the connection; bytes before the end mean nothing.
    while stream.read(&mut [0; 256]).await? > 0 {}
    Ok(())
}
