//! What lies between this program and the servers: names that lead to addresses, addresses that lead to streams.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use crate::pg::settings::{Host, SocketSettings};

/// Where a server can be dialed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Tcp(SocketAddr),
    /// The socket's own path; on Linux one that begins with a NUL is in the abstract name space.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

/// Bytes to and from a server.
pub struct Stream {
    bytes: Box<dyn Bytes>,
    owner: Option<u32>,
}

impl Stream {
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { bytes: Box::new(stream), owner: None }
    }

    /// The same stream, whose other side is a process of the account `owner`.
    #[cfg(unix)]
    pub(super) fn of(self, owner: Option<u32>) -> Self {
        Self { owner, ..self }
    }

    pub(super) fn owner(&self) -> Option<u32> {
        self.owner
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}

/// Every byte that is exchanged with a server passes through a stream of the network that the queue was given.
pub trait Network: Send + Sync {
    /// The addresses that the name leads to, in the order of the system's preference. Rejects with the system's error.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;

    /// A stream to the endpoint, with the socket settings made. Rejects with the system's error.
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, settings: &'a SocketSettings) -> BoxFuture<'a, io::Result<Stream>>;
}

pub(super) async fn endpoints(network: &dyn Network, host: &Host) -> io::Result<Vec<Endpoint>> {
    let addresses = match host {
        Host::Unix { directory, port } => return Ok(vec![Endpoint::Unix(socket_path(directory, *port))]),
        Host::Tcp { address: Some(address), port, .. } => vec![SocketAddr::new(*address, *port)],
        Host::Tcp { name, port, .. } => match name.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, *port)],
            Err(_) => network.resolve(name, *port).await?,
        },
    };
    Ok(addresses.into_iter().map(Endpoint::Tcp).collect())
}

/// Where a server puts its socket. People write the NUL of an abstract name as `@`.
fn socket_path(directory: &std::path::Path, port: u16) -> PathBuf {
    let file = format!(".s.PGSQL.{port}");
    match directory.to_str().and_then(|name| name.strip_prefix('@')) {
        Some(name) => PathBuf::from(format!("\0{name}")).join(file),
        None => directory.join(file),
    }
}

/// A stream that returns to its owner when the borrower drops it. To shut it down only flushes it.
pub(super) struct Lent {
    stream: Option<Stream>,
    owner: Option<oneshot::Sender<Stream>>,
}

impl Lent {
    pub(super) fn new(stream: Stream) -> (Self, oneshot::Receiver<Stream>) {
        let (owner, back) = oneshot::channel();
        (Self { stream: Some(stream), owner: Some(owner) }, back)
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(stream), Some(owner)) = (self.stream.take(), self.owner.take()) {
            // An owner that is gone has no use for the stream.
            let _ = owner.send(stream);
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    /// A pooler that sees the end of a request to cancel before it has passed it on may drop it.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
