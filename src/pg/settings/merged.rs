//! The settings of a connection, merged from what was given: options over the connection string over a service
//! file over the environment over the defaults.

use std::{
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio_postgres::{Config, config};

use super::{
    authentication::Methods,
    environment::{self, Environment},
    host, options, password, service_file, session,
    stated::{Limit, Stated},
    url,
};
pub use super::{
    host::Host,
    password::Password,
    socket::SocketSettings,
    stated::Target,
    tls::{ChannelBinding, Tls},
    value::Options,
};
use crate::pg::error::Error;

/// Whether statements are prepared under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg) enum Prepare {
    Always,
    Never,
    /// Prepared, unless a pooler is found between this program and the server.
    Detect,
}

/// Everything that tells one pool of connections from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// In the order in which they are tried; at least one.
    pub hosts: Vec<Host>,
    /// They are tried in another order each time, and so are their addresses.
    pub(in crate::pg) shuffles_hosts: bool,
    pub user: String,
    pub(super) database: String,
    pub password: Password,
    /// Read for every new connection that has no other password.
    pub(super) password_file: Option<PathBuf>,
    /// Off unless something asks for it, as in `postgres`; libpq's own default would be `prefer`.
    pub tls: Tls,
    pub(in crate::pg) authentication: Methods,
    /// The operating system's number of who has to own the server, where it is reached by a unix socket.
    pub(in crate::pg) server_account: Option<u32>,
    pub target: Target,
    /// The session's settings; `application_name` and `options`, a command line, are parameters of the protocol.
    startup: Vec<(String, String)>,
    pub max: usize,
    pub(in crate::pg) idle_timeout: Option<Duration>,
    pub(in crate::pg) connect_timeout: Option<Duration>,
    /// Connections are replaced after a time from this range.
    pub(in crate::pg) max_lifetime: Option<Range<Duration>>,
    pub(in crate::pg) socket: SocketSettings,
    pub(super) max_pipeline: usize,
    pub(in crate::pg) prepare: Prepare,
    /// How long the answer to a change may take.
    pub(in crate::pg) write_timeout: Option<Duration>,
    /// How long the answer to a lookup may take.
    pub(in crate::pg) lookup_timeout: Option<Duration>,
    /// The handle of a JavaScript function.
    pub(in crate::pg) onnotice: Option<u32>,
    /// A number that no other settings have, for connections that are shared with nobody (`share: false`).
    own: Option<u64>,
}

/// The port of Supabase's transaction pooler, and by custom of others.
const POOLER_PORT: u16 = 6543;
static NEXT_OWN: AtomicU64 = AtomicU64::new(0);
const APPLICATION_NAME: &str = "lucia-postgres-native";
const MINUTE: Duration = Duration::from_secs(60);
/// `query_timeout` of lookups, where none is given. Changes have no limit: whether a change that was given up was made would
/// be unknown.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);

impl Settings {
    /// Merges what all sources state. `url` is the connection string; `known` are the options that stand in its place,
    /// or beside it where a `pg.Pool` has both; `options` are the third argument of `postgres`; `variables` are the
    /// environment's. Rejects with `INVALID_OPTIONS`, and names the setting that cannot be used.
    pub fn read(
        url: Option<&str>,
        known: &Options,
        options: &Options,
        environment: Environment,
    ) -> Result<Self, Error> {
        let mut stated = options::read(options)?;
        if let Some(url) = url {
            stated = stated.over(url::read(url)?);
        }
        stated = stated.over(options::read(known)?);
        let surroundings = environment::read(environment)?;
        if let Some(service) = stated.service.as_ref().or(surroundings.service.as_ref()) {
            let service = service_file::read(
                service,
                &stated
                    .service_file
                    .as_ref()
                    .map_or_else(|| environment::service_files(environment), |file| vec![file.clone()]),
            )?;
            stated = stated.over(service);
        }
        Self::from_stated(stated.over(surroundings), environment)
    }

    fn from_stated(mut stated: Stated, environment: Environment) -> Result<Self, Error> {
        let hosts = hosts(&mut stated)?;
        let user = stated.user.or_else(|| environment::user(environment));
        let user = user.ok_or_else(|| Error::invalid("the user is not known; give the option `user`"))?;
        let password = stated.password.unwrap_or(Password::None);
        let password_file = match password {
            Password::None => password_file(stated.password_file, environment)?,
            _ => None,
        };
        let knows_pooler = stated.has_pooler == Some(true) || hosts.iter().any(|host| host.port() == POOLER_PORT);
        let may_be_pooler = knows_pooler || hosts.iter().any(is_named_pooler);
        let startup = startup(stated.session, stated.fallback_application_name, may_be_pooler);
        let limit = |stated: Option<Limit>, default| stated.map_or(default, |Limit(limit)| limit);
        Ok(Self {
            hosts,
            shuffles_hosts: stated.shuffles_hosts == Some(true),
            database: stated.database.unwrap_or_else(|| user.clone()),
            user,
            password,
            password_file,
            tls: stated.tls.resolve(environment::certificates(environment), environment::extra_roots(environment))?,
            authentication: stated.authentication.unwrap_or_default(),
            server_account: stated.server_account.as_deref().map(environment::account).transpose()?,
            target: stated.target.unwrap_or(Target::Any),
            startup,
            max: stated.max.unwrap_or(10),
            idle_timeout: limit(stated.idle_timeout, None),
            connect_timeout: limit(stated.connect_timeout, Some(MINUTE / 2)),
            max_lifetime: match stated.max_lifetime {
                Some(Limit(limit)) => limit.map(|limit| limit..limit),
                None => Some(30 * MINUTE..60 * MINUTE),
            },
            socket: SocketSettings::new(
                limit(stated.keep_alive, Some(MINUTE)),
                stated.probe_interval,
                stated.probes,
                stated.tcp_user_timeout,
            ),
            max_pipeline: stated.max_pipeline.unwrap_or(100),
            prepare: match stated.prepares {
                Some(false) => Prepare::Never,
                Some(true) => Prepare::Always,
                None if knows_pooler => Prepare::Never,
                None => Prepare::Detect,
            },
            write_timeout: limit(stated.query_timeout, None),
            lookup_timeout: limit(stated.query_timeout, Some(LOOKUP_TIMEOUT)),
            onnotice: stated.onnotice,
            own: (stated.shares == Some(false)).then(|| NEXT_OWN.fetch_add(1, Ordering::Relaxed)),
        })
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// The hosts' names and addresses as they were given, with commas between them.
    pub fn addresses(&self) -> String {
        self.hosts.iter().map(Host::name).collect::<Vec<_>>().join(",")
    }

    /// The port that all hosts have, `None` where they differ.
    pub fn port(&self) -> Option<u16> {
        let port = self.hosts.first()?.port();
        self.hosts.iter().all(|host| host.port() == port).then_some(port)
    }

    /// How long a call waits for a connection: as long as opening one to the last of the hosts may take. `None` without
    /// a limit.
    pub(in crate::pg) fn patience(&self) -> Option<Duration> {
        let rounds = if self.target == Target::PreferStandby { 2 } else { 1 };
        let attempts = u32::try_from(rounds * self.hosts.len()).unwrap_or(u32::MAX);
        Some(self.connect_timeout?.saturating_mul(attempts))
    }

    /// Whether opening a connection may read a file, of passwords or certificates, which may block.
    pub(in crate::pg) fn reads_files(&self) -> bool {
        self.tls.mode != super::Mode::Disable || (self.password == Password::None && self.password_file.is_some())
    }

    /// The driver's configuration for one of the hosts. `password` is what a function has given; without it the
    /// password among the settings counts, then that of the password file.
    pub(in crate::pg) fn connection(&self, host: &Host, password: Option<&str>) -> Config {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database);
        let found = || match (&self.password, &self.password_file) {
            (Password::Text(secret), _) => Some(secret.clone()),
            (Password::None, Some(path)) => password::from_file(path, host, &self.database, &self.user),
            _ => None,
        };
        if let Some(password) = password.map(str::to_owned).or_else(|| found().map(|secret| secret.reveal().to_owned()))
        {
            config.password(password);
        }

        let mut written = None;
        let mut settings = Vec::new();
        for (name, value) in &self.startup {
            match name.as_str() {
                "application_name" => {
                    config.application_name(value);
                }
                "options" => written = Some(value.as_str()),
                name => settings.push((name, value.as_str())),
            }
        }
        let command_line = session::command_line(written, &settings);
        if !command_line.is_empty() {
            config.options(command_line);
        }

        // The driver is given a connection that is as encrypted as it is to be.
        config.ssl_mode(config::SslMode::Require).ssl_negotiation(config::SslNegotiation::Direct);
        config.channel_binding(match self.tls.channel_binding {
            ChannelBinding::Disable => config::ChannelBinding::Disable,
            ChannelBinding::Prefer => config::ChannelBinding::Prefer,
            ChannelBinding::Require => config::ChannelBinding::Require,
        });
        config
    }
}

fn hosts(stated: &mut Stated) -> Result<Vec<Host>, Error> {
    let hosts = match stated.socket.take() {
        Some((directory, port)) => vec![Host::Unix { directory, port }],
        None => host::hosts(stated.hosts.take(), stated.ports.take(), stated.addresses.take())?,
    };
    if cfg!(not(unix)) && hosts.iter().any(|host| matches!(host, Host::Unix { .. })) {
        return Err(Error::invalid(
            "unix sockets are not available on this platform; give `host` a name or an address",
        ));
    }
    Ok(hosts)
}

/// The file in which a password is looked for: the one that was given, or libpq's.
fn password_file(given: Option<PathBuf>, environment: Environment<'_>) -> Result<Option<PathBuf>, Error> {
    let Some(path) = given else { return Ok(environment::password_file(environment)) };
    if password::is_exposed(&path) {
        let message = format!("others may read the password file {0}; run chmod 0600 {0}", path.display());
        return Err(Error::invalid(message));
    }
    Ok(Some(path))
}

/// The settings with which a session starts.
fn startup(mut session: Vec<(String, String)>, fallback: Option<String>, may_be_pooler: bool) -> Vec<(String, String)> {
    if may_be_pooler {
        // Poolers refuse the setting at the start of a session, and Prisma writes its default into every URL.
        session.retain(|(name, value)| !(name == "search_path" && value == "\"public\""));
    }
    if !session.iter().any(|(name, _)| name == "application_name") {
        session.insert(0, ("application_name".into(), fallback.unwrap_or_else(|| APPLICATION_NAME.into())));
    }
    session
}

fn is_named_pooler(host: &Host) -> bool {
    matches!(host, Host::Tcp { name, .. } if name.contains("pooler."))
}

#[cfg(test)]
mod connection_strings;
#[cfg(test)]
mod tests;
