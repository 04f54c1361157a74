//! The network of the operating system.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use socket2::{SockRef, TcpKeepalive};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, lookup_host};

use super::network::{Endpoint, Network, Stream};
use crate::pg::settings::SocketSettings;

pub struct System;

impl Network for System {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(lookup_host((name, port)).await?.collect()) }.boxed()
    }

    fn dial<'a>(&'a self, endpoint: &'a Endpoint, settings: &'a SocketSettings) -> BoxFuture<'a, io::Result<Stream>> {
        async move {
            match endpoint {
                Endpoint::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    watch(&stream, settings)?;
                    Ok(Stream::new(stream))
                }
                #[cfg(unix)]
                Endpoint::Unix(path) => {
                    let stream = UnixStream::connect(path).await?;
                    let owner = stream.peer_cred().ok().map(|credentials| credentials.uid());
                    Ok(Stream::new(stream).of(owner))
                }
                #[cfg(not(unix))]
                Endpoint::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            }
        }
        .boxed()
    }
}

/// Has the system notice a peer that is gone: that answers no probe while nobody speaks, or no longer says that what was
/// sent to it has come.
fn watch(stream: &TcpStream, settings: &SocketSettings) -> io::Result<()> {
    let socket = SockRef::from(stream);
    if let Some(idle) = settings.keep_alive {
        let probes = TcpKeepalive::new().with_time(idle).with_interval(Duration::from_secs(1));
        // Windows knows TCP_KEEPCNT from Windows 10's version 1703 on; without it, ten probes are sent.
        socket
            .set_tcp_keepalive(&probes.clone().with_retries(SocketSettings::PROBES))
            .or_else(|_| socket.set_tcp_keepalive(&probes))?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(settings.user_timeout)?;
    Ok(())
}
