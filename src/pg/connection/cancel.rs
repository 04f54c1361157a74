//! The request to cancel a statement. It goes to the server over a connection of its own, and says nothing of how it went.

use std::{io, time::Duration};

use tokio::{io::AsyncReadExt, time};
use tokio_postgres::{CancelToken, tls::TlsConnect};

use super::network::{Endpoint, Lent, Network};
use crate::pg::settings::SocketSettings;

/// After this a request is taken for lost.
const LIMIT: Duration = Duration::from_secs(2);

/// Resolves when the request is spent: the server closes its connection after the signal was sent to the session.
pub(super) async fn cancel(
    network: &dyn Network,
    endpoint: &Endpoint,
    settings: &SocketSettings,
    token: &CancelToken,
    tls: impl TlsConnect<Lent>,
) {
    // Whether it arrives is not known in any case; the answer to the statement tells.
    let _ = time::timeout(LIMIT, request(network, endpoint, settings, token, tls)).await;
}

async fn request(
    network: &dyn Network,
    endpoint: &Endpoint,
    settings: &SocketSettings,
    token: &CancelToken,
    tls: impl TlsConnect<Lent>,
) -> io::Result<()> {
    let (lent, back) = Lent::new(network.dial(endpoint, settings).await?);
    token.cancel_query_raw(lent, tls).await.map_err(io::Error::other)?;
    let Ok(mut stream) = back.await else { return Ok(()) };
    // What comes before the end means nothing.
    while stream.read(&mut [0; 256]).await? > 0 {}
    Ok(())
}
