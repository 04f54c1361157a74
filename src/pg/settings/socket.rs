//! How the system watches over a connection.

use std::time::Duration;

use super::stated::Limit;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketSettings {
    /// How long nothing is exchanged before the peer is asked whether it is there.
    pub keep_alive: Option<Duration>,
    /// How long what was sent may go without the peer's word that it has come.
    pub user_timeout: Option<Duration>,
}

impl SocketSettings {
    /// After the idle time a probe is sent every second, and the tenth without an answer ends the connection, as in Node.
    pub(in crate::pg) const PROBES: u32 = 10;

    pub(super) fn new(keep_alive: Option<Duration>, user_timeout: Option<Limit>) -> Self {
        // `TCP_KEEPIDLE` counts whole seconds, and takes no more than 32,767 on Linux.
        let whole = |idle: Duration| Duration::from_secs_f64(idle.as_secs_f64().ceil().min(32_767.0));
        let keep_alive = keep_alive.map(whole);
        // A peer that is gone is noticed as late while data is under way as while nobody speaks.
        let as_late = || keep_alive.map(|idle| idle + Duration::from_secs(Self::PROBES.into()));
        let user_timeout = user_timeout.map_or_else(as_late, |Limit(limit)| limit);
        Self { keep_alive, user_timeout }
    }
}
