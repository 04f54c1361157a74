//! A network whose connections lead to simulated servers.

use std::{
    future::ready,
    io, mem,
    net::SocketAddr,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{self, Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use super::{
    plan::{Place, Stage, Trouble},
    session::Session,
    world::World,
};
use crate::pg::{self, Endpoint, Network, SocketSettings};

/// More than any answer: a server never waits for its client to read.
const CAPACITY: usize = 1 << 20;

/// The client's end of a connection.
struct Stream {
    inner: DuplexStream,
    world: Arc<World>,
    connection: usize,
    writing: Writing,
    /// The connection was cut while a request was written.
    is_severed: bool,
}

/// How far the client is with its requests, counted as the server counts them.
#[derive(Default)]
struct Writing {
    is_started: bool,
    /// The exchange that is written, from 1 on, and how many before it execute something.
    exchange: usize,
    executions: usize,
}

/// A request, or a part of one.
struct Written {
    range: Range<usize>,
    places: Vec<Place>,
}

impl Writing {
    /// The requests in what is written: whole messages, as the driver writes them.
    fn read(&mut self, bytes: &[u8]) -> Vec<Written> {
        let mut found = Vec::new();
        let length = |at: usize| usize::try_from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap();
        let mut at = 0;
        if !mem::replace(&mut self.is_started, true) {
            self.exchange = 1;
            at = length(0);
            found.push(Written { range: 0..at, places: vec![Place::Exchange(0)] });
        }
        let (mut first, mut executes) = (at, false);
        while at < bytes.len() {
            let (kind, end) = (bytes[at], at + 1 + length(at + 1));
            executes |= kind == b'E' || (kind == b'Q' && bytes[at + 5..end].starts_with(b"COMMIT"));
            at = end;
            let mut places = match kind {
                b'p' => vec![Place::Exchange(0)],
                b'S' | b'Q' => vec![Place::Exchange(self.exchange)],
                _ => continue,
            };
            if kind != b'p' {
                self.exchange += 1;
                places.extend(executes.then_some(Place::Execution(self.executions)));
                self.executions += usize::from(executes);
            }
            found.push(Written { range: first..at, places });
            (first, executes) = (at, false);
        }
        found
    }
}

impl Stream {
    /// After how many of these bytes the connection is to be cut: in the midst of a request.
    fn cut(&mut self, bytes: &[u8]) -> Option<usize> {
        let Self { world, connection, writing, .. } = self;
        writing.read(bytes).into_iter().find_map(|Written { range, places }| {
            match world.trouble(*connection, &places, Stage::Received)? {
                Trouble::CutRequest(cut) => {
                    let after = cut.of(range.len() - 1);
                    world.note(|| format!("connection {connection} is severed after {after} bytes of {places:?}"));
                    Some(range.start + after)
                }
                _ => None,
            }
        })
    }
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
            let (world, writing) = (self.clone(), Writing::default());
            Ok(pg::Stream::new(Stream { inner, world, connection, writing, is_severed: false }))
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_severed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
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
        if self.is_severed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match self.cut(bytes) {
            None => Pin::new(&mut self.inner).poll_write(context, bytes),
            Some(0) => {
                self.is_severed = true;
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Some(after) => {
                self.is_severed = true;
                Pin::new(&mut self.inner).poll_write(context, &bytes[..after])
            }
        }
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
