//! Is there a pooler between this program and the server? Behind one, what is prepared on a connection may be on another
//! server process the next time, where the same name may be another program's statement: not an error, a wrong answer.
//!
//! A server tells its process id when the connection starts, and tells it again when it is asked in SQL. A pooler must
//! make up the first, as the second changes from one transaction to the next.

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    CancelToken,
    tls::{ChannelBinding, TlsConnect, TlsStream},
};

/// The process id that the other side told when the connection started. The driver keeps it to itself but for one
/// purpose, the request to cancel a statement: so that request is written, and sent to nobody.
pub(super) async fn told_process_id(token: &CancelToken) -> Option<i32> {
    let written = Written::default();
    token.cancel_query_raw(written.clone(), NoTls).await.ok()?;
    let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner);
    // `int32 length, int32 code, int32 process id, int32 secret key`, after what may ask for TLS.
    let request = bytes.last_chunk::<16>()?;
    Some(i32::from_be_bytes(request[8..12].try_into().ok()?))
}

/// Keeps what is written, and says yes to everything.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Written {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Written {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // The driver awaits one answer, to its request for TLS: yes.
        buffer.put_slice(b"S");
        Poll::Ready(Ok(()))
    }
}

/// The request goes nowhere, so that it is not encrypted.
struct NoTls;

impl TlsConnect<Written> for NoTls {
    type Stream = Written;
    type Error = io::Error;
    type Future = Ready<io::Result<Written>>;

    fn connect(self, stream: Written) -> Self::Future {
        ready(Ok(stream))
    }
}

impl TlsStream for Written {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
