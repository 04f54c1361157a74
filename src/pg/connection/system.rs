//! The network of the operating system.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use futures_util::{FutureExt, future::BoxFuture};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::{
    aside::aside,
    network::{Endpoint, Network, Stream},
};
use crate::pg::settings::SocketSettings;

pub struct System;

impl Network for System {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let name = name.to_owned();
        let resolved = aside(move || (name, port).to_socket_addrs().map(Iterator::collect));
        async move { resolved.await? }.boxed()
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
        let probes = TcpKeepalive::new().with_time(idle).with_interval(settings.probe_interval);
        // Windows knows TCP_KEEPCNT from Windows 10's version 1703 on; without it, ten probes are sent.
        socket
            .set_tcp_keepalive(&probes.clone().with_retries(settings.probes))
            .or_else(|_| socket.set_tcp_keepalive(&probes))?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(settings.user_timeout)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, TcpListener},
        time::Duration,
    };

    use tokio::runtime::Builder;

    use super::*;

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn a_peer_that_is_gone_is_noticed_while_nobody_speaks_and_while_data_is_under_way() {
        let settings = SocketSettings {
            keep_alive: Some(Duration::from_secs(60)),
            probe_interval: Duration::from_secs(2),
            probes: 5,
            user_timeout: Some(Duration::from_secs(70)),
        };
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(TcpStream::connect(server.local_addr().unwrap())).unwrap();
        watch(&stream, &settings).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(2));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(70)));
    }
}
