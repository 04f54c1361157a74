//! What one source states, and how two are laid over each other.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{authentication::Methods, host::Place, password::Password, stated_tls::StatedTls};

/// Which servers a connection may be made to.
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl Target {
    pub(super) const ALL: [(&str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Self::ALL.iter().find(|(_, target)| target == self).map_or("any", |(name, _)| name);
        formatter.write_str(name)
    }
}

/// A time limit that may be switched off.
#[derive(Clone, Copy)]
pub(super) struct Limit(pub Option<Duration>);

/// The settings that a source states; what it leaves out is another's to say.
#[derive(Default)]
pub(super) struct Stated {
    pub(super) hosts: Option<Vec<Place>>,
    pub(super) ports: Option<Vec<Option<u16>>>,
    pub(super) addresses: Option<Vec<Option<IpAddr>>>,
    /// The directory and the port of a unix socket, in place of all hosts.
    pub(super) socket: Option<(PathBuf, u16)>,
    pub user: Option<String>,
    pub(super) database: Option<String>,
    pub password: Option<Password>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) service: Option<String>,
    pub(super) service_file: Option<PathBuf>,
    pub(in crate::pg) tls: StatedTls,
    pub(super) authentication: Option<Methods>,
    pub(super) server_account: Option<String>,
    pub target: Option<Target>,
    pub(super) shuffles_hosts: Option<bool>,
    /// Names and values for the start of a session, `application_name` and `options` among them.
    pub(super) session: Vec<(String, String)>,
    pub(super) fallback_application_name: Option<String>,
    pub max: Option<usize>,
    pub(super) max_pipeline: Option<usize>,
    pub(in crate::pg) idle_timeout: Option<Limit>,
    pub(in crate::pg) connect_timeout: Option<Limit>,
    pub(in crate::pg) max_lifetime: Option<Limit>,
    pub(super) keep_alive: Option<Limit>,
    pub(super) probe_interval: Option<Duration>,
    pub(super) probes: Option<u32>,
    pub(super) tcp_user_timeout: Option<Limit>,
    pub(in crate::pg) query_timeout: Option<Limit>,
    pub(super) prepares: Option<bool>,
    /// A pooler stands before the server, as the connection string says.
    pub(super) has_pooler: Option<bool>,
    pub(in crate::pg) onnotice: Option<u32>,
    pub(super) shares: Option<bool>,
}

impl Stated {
    /// Sets one of the session's settings; the server does not tell their names apart by case.
    pub(super) fn set_session(&mut self, name: &str, value: String) {
        self.session.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.session.push((name.to_owned(), value));
    }

    /// A port that was written behind its host becomes one of the list.
    pub(super) fn collect_ports(&mut self) {
        let Some(hosts) = &self.hosts else { return };
        if hosts.iter().any(|host| host.port.is_some()) {
            let ports = self.ports.take().unwrap_or_default();
            let listed = |index: usize| {
                if ports.len() == 1 { ports[0] } else { ports.get(index).copied().flatten() }
            };
            self.ports = Some(hosts.iter().enumerate().map(|(index, host)| host.port.or(listed(index))).collect());
        }
    }

    /// What this source leaves out is taken from the lower one.
    pub(super) fn over(self, lower: Self) -> Self {
        let mut session = lower.session;
        session.retain(|(name, _)| !self.session.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        session.extend(self.session);
        // One port may serve all hosts; a list belongs to the hosts that it was written with, and so do addresses.
        let own_hosts = self.hosts.is_some() || self.socket.is_some();
        let lower_ports = lower.ports.filter(|ports| !own_hosts || ports.len() == 1);
        let lower_addresses = lower.addresses.filter(|_| !own_hosts);
        let lower_socket = match (lower.socket, self.ports.as_deref()) {
            _ if self.hosts.is_some() => None,
            (Some((directory, _)), Some([Some(port)])) => Some((directory, *port)),
            (socket, _) => socket,
        };
        Self {
            hosts: self.hosts.or(lower.hosts),
            ports: self.ports.or(lower_ports),
            addresses: self.addresses.or(lower_addresses),
            socket: self.socket.or(lower_socket),
            user: self.user.or(lower.user),
            database: self.database.or(lower.database),
            password: self.password.or(lower.password),
            password_file: self.password_file.or(lower.password_file),
            service: self.service.or(lower.service),
            service_file: self.service_file.or(lower.service_file),
            tls: self.tls.over(lower.tls),
            authentication: self.authentication.or(lower.authentication),
            server_account: self.server_account.or(lower.server_account),
            target: self.target.or(lower.target),
            shuffles_hosts: self.shuffles_hosts.or(lower.shuffles_hosts),
            session,
            fallback_application_name: self.fallback_application_name.or(lower.fallback_application_name),
            max: self.max.or(lower.max),
            max_pipeline: self.max_pipeline.or(lower.max_pipeline),
            idle_timeout: self.idle_timeout.or(lower.idle_timeout),
            connect_timeout: self.connect_timeout.or(lower.connect_timeout),
            max_lifetime: self.max_lifetime.or(lower.max_lifetime),
            keep_alive: self.keep_alive.or(lower.keep_alive),
            probe_interval: self.probe_interval.or(lower.probe_interval),
            probes: self.probes.or(lower.probes),
            tcp_user_timeout: self.tcp_user_timeout.or(lower.tcp_user_timeout),
            query_timeout: self.query_timeout.or(lower.query_timeout),
            prepares: self.prepares.or(lower.prepares),
            has_pooler: self.has_pooler.or(lower.has_pooler),
            onnotice: self.onnotice.or(lower.onnotice),
            shares: self.shares.or(lower.shares),
        }
    }
}
