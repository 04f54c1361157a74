//! A network whose connections lead to simulated servers.

use std::{
    future::ready,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{self, Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use super::{session::Session, world::World};
use crate::pg::{self, Endpoint, Network, SocketSettings};

/// More than any answer: a server never waits for its client to read.
const CAPACITY: usize = 1 << 20;

/// The client's end of a connection.
struct Stream {
    inner: DuplexStream,
    world: Arc<World>,
    connection: usize,
}

impl Network for Arc<World> {
    /// The name `host1` leads to an address that ends in 1.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let host = name.strip_prefix("host").unwrap().parse().unwrap();
        Box::pin(ready(Ok(vec![SocketAddr::from(([192, 0, 2, host], port))])))
    }

    fn dial<'a>(&'a self, endpoint: &'a Endpoint, _: &'a SocketSettings) -> BoxFuture<'a, io::Result<pg::Stream>> {
        let Endpoint::Tcp(SocketAddr::V4(address)) = endpoint else { panic!("{endpoint} is dialed") };
        let host = usize::from(address.ip().octets()[3]);
        Box::pin(async move {
            let connection = self.connect(host).await?;
            let (inner, other) = duplex(CAPACITY);
            tokio::spawn(Session::new(self.clone(), connection, other).serve());
            Ok(pg::Stream::new(Stream { inner, world: self.clone(), connection }))
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        task::ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let is_reset = self.world.state().sessions[self.connection].is_reset;
        if buffer.filled().len() == before && is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.world.state().sessions[self.connection].is_cut {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.world.state().sessions[self.connection].is_open = false;
        self.world.over(self.connection);
        self.world.note(|| format!("connection {} is closed by the client", self.connection));
    }
}
