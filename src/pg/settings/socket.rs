//! How the system watches over a connection.

use std::time::Duration;

use super::stated::Limit;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketSettings {
    /// How long nothing is exchanged before the peer is asked whether it is there.
    pub keep_alive: Option<Duration>,
    /// How long after each probe the next one follows, and how many without an answer are the end.
    pub probe_interval: Duration,
    pub probes: u32,
    /// How long what was sent may go without the peer's word that it has come.
    pub user_timeout: Option<Duration>,
}

impl SocketSettings {
    /// After the idle time a probe is sent every second, and the tenth without an answer ends the connection, as in Node.
    const PROBES: u32 = 10;
    const PROBE_INTERVAL: Duration = Duration::from_secs(1);

    pub(super) fn new(
        keep_alive: Option<Duration>,
        probe_interval: Option<Duration>,
        probes: Option<u32>,
        user_timeout: Option<Limit>,
    ) -> Self {
        // `TCP_KEEPIDLE` counts whole seconds, and takes no more than 32,767 on Linux.
        let whole = |idle: Duration| Duration::from_secs_f64(idle.as_secs_f64().ceil().min(32_767.0));
        let keep_alive = keep_alive.map(whole);
        let probe_interval = probe_interval.map_or(Self::PROBE_INTERVAL, whole);
        let probes = probes.unwrap_or(Self::PROBES);
        // A peer that is gone is noticed as late while data is under way as while nobody speaks.
        let as_late = || keep_alive.map(|idle| idle + probe_interval * probes);
        let user_timeout = user_timeout.map_or_else(as_late, |Limit(limit)| limit);
        Self { keep_alive, probe_interval, probes, user_timeout }
    }
}
