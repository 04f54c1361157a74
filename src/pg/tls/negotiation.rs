//! Whether a connection is encrypted is asked and answered here, before the driver speaks: the driver takes every byte but
//! `S` for a no, and goes on in plain text.
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_postgres::{
    config::SslMode,
    tls::{ChannelBinding, TlsConnect, TlsStream},
};

use super::{connector::Connector, stream::Stream};
use crate::pg::error::Error;

/// A length of eight, and the number that asks for TLS in place of a version.
const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The code of an answer that came before encryption and is not the server's: anybody on the way can have written it, so that
/// nothing of it is shown and no other way is tried.
pub(super) const FORGED: &str = "TLS_FAILED";

/// A connection, encrypted or not.
pub(in crate::pg) enum Secured<S> {
    Plain(S),
    Encrypted(Box<Stream<S>>),
}

/// Encrypts a connection on which nothing was said, as far as `attempt` asks for it: always (`Require`), where the
/// server agrees (`Prefer`), never (`Disable`). Rejects where the server does not agree and has to, where something
/// other than PostgreSQL answers, and where the certificate does not prove what it has to.
pub(in crate::pg) async fn secure<S>(mut stream: S, attempt: SslMode, connector: &Connector) -> io::Result<Secured<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if attempt == SslMode::Disable {
        return Ok(Secured::Plain(stream));
    }
    if !connector.is_direct() {
        stream.write_all(&REQUEST).await?;
        stream.flush().await?;
        // Room for more than the one byte of the answer: a server says nothing further before it is spoken to.
        let mut answer = [0; 16];
        let length = stream.read(&mut answer).await?;
        let forged = |text| io::Error::new(io::ErrorKind::InvalidData, Error::failure(FORGED, text));
        match answer[..length] {
            [b'S'] => {}
            [b'N'] if attempt == SslMode::Prefer => return Ok(Secured::Plain(stream)),
            [b'N'] => {
                let text = "the server does not support TLS; switch on `ssl` in its configuration, or connect with sslmode=disable";
                return Err(io::Error::new(io::ErrorKind::InvalidData, Error::failure("TLS_NOT_SUPPORTED", text)));
            }
            [] => return Err(io::ErrorKind::UnexpectedEof.into()),
            [b'S' | b'N', ..] => {
                return Err(forged("more than an answer came before encryption: who sent it is not known"));
            }
            [b'E', ..] => {
                return Err(forged(
                    "the request for TLS was answered by an error, which is not shown: who sent it is not known",
                ));
            }
            _ => return Err(forged("what answered the request for TLS is no PostgreSQL")),
        }
    }
    Ok(Secured::Encrypted(Box::new(connector.handshake(stream).await?)))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Secured<S> {
    pub(in crate::pg) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }
}

/// Leaves the connection as it is: the driver is given one that has been encrypted, as far as it has to be.
pub(in crate::pg) struct AsItIs;

impl<S: TlsStream + Unpin> TlsConnect<S> for AsItIs {
    type Stream = S;
    type Error = io::Error;
    type Future = Ready<io::Result<S>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secured<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match self {
            Self::Plain(_) => ChannelBinding::none(),
            Self::Encrypted(stream) => stream.channel_binding(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
