//! Opens a connection to one host.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_postgres::Config;

use super::{
    ahead::{Ahead, Sending, Source, beside},
    aside::aside,
    authentication::{self, Interview},
    cancel::Route,
    client::{self, Client, Ended},
    host_error::{explain, failure, locate, refused},
    network::Network,
    pooler, race,
    screen::Screen,
    screened::Screened,
    state::{Question, State, Trait},
};
use crate::pg::{
    chance::Chance,
    error::{Error, code, describe},
    settings::{Host, Password, Prepare, Settings, Target},
    tls::{self, AsItIs, Connector},
};

/// What a connection must ask of the program that it belongs to.
pub trait Program: Send + Sync {
    /// The password, from the function that the program gave.
    fn password(&self, function: u32, login: Login) -> BoxFuture<'static, Result<String, Thrown>>;
    /// A notice of the server, for the function that the program gave.
    fn notice(&self, function: u32, notice: Error);
}

/// What a password is asked for.
pub struct Login {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: String,
    /// How long the connection waits for the password.
    pub limit: Option<Duration>,
}

impl Login {
    fn new(settings: &Settings, host: &Host) -> Self {
        Self {
            host: host.name().into_owned(),
            port: host.port(),
            user: settings.user.clone(),
            database: settings.database().to_owned(),
            limit: settings.connect_timeout,
        }
    }
}

/// What a function of the program's has thrown instead of giving a password.
pub struct Thrown {
    /// The number by which the program knows what was thrown.
    pub number: Option<u32>,
    /// The name and the code of what was thrown; its message may hold a secret.
    pub name: String,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Peer {
    Postgres,
    /// A database that speaks PostgreSQL's protocol.
    Cockroach,
    /// A pooler, or something that cannot be told from one.
    Pooler,
}

/// A connection that has just been opened.
pub(super) struct Opened {
    pub(in crate::pg) client: Arc<Client>,
    pub(super) ended: Ended,
    pub host: Host,
    pub(super) route: Route,
    /// Statements may be prepared under a name.
    pub(super) may_prepare: bool,
    pub(super) peer: Peer,
    /// Several changes may be sent in one statement: no pooler stands between, and NULL in an array is NULL.
    pub(in crate::pg) may_batch_writes: bool,
    /// How long a round trip took, where one was measured.
    pub(in crate::pg) round_trip: Option<Duration>,
    pub(super) ahead: Option<Ahead>,
}

/// A new process of a server takes its time over the first question. Where that took longer than a round trip to a server
/// that is near, and hardly longer, another round trip tells which it is.
const MAY_BE_NEAR: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(2));

/// Opens a connection to `host` and learns who is at its other end; rejects a server that is not the `target`.
pub(super) async fn open(
    settings: &Settings,
    program: &Arc<dyn Program>,
    network: &dyn Network,
    ahead: &Source,
    host: &Host,
    target: Target,
) -> Result<Opened, Error> {
    let (mut config, tls) = configuration(settings, program, host).await?;
    let (client, ended, route) = connect(settings, program, network, host, &mut config, &tls).await?;

    let told = pooler::told_process_id(&client.cancel_token()).await;
    let question = Question { told, plans_once: settings.prepare != Prepare::Never };
    let client = Arc::new(client);
    let asks = target != Target::Any || question.plans_once;
    let asked = Instant::now();
    let mut ahead = if question.plans_once { ahead() } else { None }.and_then(|lookups| lookups.send(client.clone()));
    let state = if asks {
        let answer = beside(question.ask(&client), ahead.as_mut()).await;
        answer.map_err(|error| locate(host, client::reason(&ended, error)))?
    } else {
        State::default()
    };
    let mut round_trip = asks.then(|| asked.elapsed());
    if !state.is_wanted(target) {
        let text = format!("is not a server that target_session_attrs asks for ({target})");
        return Err(failure(host, code::TARGET_NOT_FOUND, &text));
    }
    let is_direct = state.process_id.is_some() && told == state.process_id;
    // Behind a lookup that was sent ahead the question would be answered after the lookup.
    let may_be_near = |time| MAY_BE_NEAR.0 < time && time < MAY_BE_NEAR.1;
    if is_direct && ahead.is_none() && round_trip.is_some_and(may_be_near) {
        let sent = Instant::now();
        client.check_connection().await.map_err(|error| locate(host, error.into()))?;
        round_trip = Some(sent.elapsed());
    }
    let may_prepare = match settings.prepare {
        Prepare::Always => true,
        Prepare::Never => false,
        Prepare::Detect => is_direct,
    };
    // The server refuses what is prepared for many when a type has changed. A pooler may prepare it anew.
    let may_batch_writes = may_prepare && is_direct && state.has(Trait::ArrayNulls);
    let peer = match (is_direct, state.has(Trait::Cockroach)) {
        (false, _) => Peer::Pooler,
        (true, true) => Peer::Cockroach,
        (true, false) => Peer::Postgres,
    };
    // To read a row with a type that it does not know, the driver prepares a question under a name.
    let ahead = ahead.filter(|_| may_prepare).map(Sending::begin);
    Ok(Opened { client, ended, host: host.clone(), route, may_prepare, peer, may_batch_writes, round_trip, ahead })
}

/// What the driver is to connect with: the password, which the program is asked for where it has a function for it, and what
/// the files of certificates and passwords say.
async fn configuration(
    settings: &Settings,
    program: &Arc<dyn Program>,
    host: &Host,
) -> Result<(Config, Connector), Error> {
    let password = match settings.password {
        Password::Asked(function) => {
            let login = Login::new(settings, host);
            Some(program.password(function, login).await.map_err(|Thrown { number: thrown, name }| {
                let text = format!("needs a password, and its function failed: {name}");
                failure(host, code::PASSWORD_FAILED, &text).thrown_as(thrown)
            })?)
        }
        _ => None,
    };
    let read = {
        let (settings, host) = (settings.clone(), host.clone());
        move || (settings.connection(&host, password.as_deref()), tls::connector(&settings.tls, &host))
    };
    let (config, tls) = if settings.reads_files() {
        // To read a file may block for ever: it can be a pipe that nobody writes to.
        aside(read).await.map_err(|error| explain(host, &error.to_string(), &error).0)?
    } else {
        read()
    };
    Ok((config, tls?))
}

async fn connect(
    settings: &Settings,
    program: &Arc<dyn Program>,
    network: &dyn Network,
    host: &Host,
    config: &mut Config,
    tls: &Connector,
) -> Result<(Client, Ended, Route), Error> {
    let mut last = None;
    let has_asked = Arc::new(AtomicBool::new(false));
    for attempt in settings.tls.attempts(host) {
        let dialed = race::dial(network, host, &settings.socket).await;
        let (stream, endpoint) = dialed.map_err(|error| explain(host, &error.to_string(), &error).0)?;
        authentication::check_owner(settings.server_account, host, &stream)
            .map_err(|forbidden| failure(host, code::AUTHENTICATION_REFUSED, forbidden))?;
        let secured = match tls::secure(stream, *attempt, tls).await {
            Ok(secured) => secured,
            Err(error) => {
                let (error, may_try_else) = explain(host, &describe(&error), &error);
                last = Some(error);
                if may_try_else {
                    continue;
                }
                break;
            }
        };
        let interview = Interview::new(&settings.authentication, secured.is_encrypted(), &has_asked);
        match config.connect_raw(Screened::new(secured, Screen::new(interview)), AsItIs).await {
            Ok((client, connection)) => {
                let (program, onnotice) = (program.clone(), settings.onnotice);
                let (client, ended) = client::spawn(client, connection, move |notice| {
                    if let Some(function) = onnotice {
                        program.notice(function, Error::refused(notice));
                    }
                });
                return Ok((client, ended, Route { endpoint, attempt: *attempt, tls: tls.clone() }));
            }
            Err(error) => {
                let (error, may_try_else) = refused(host, error);
                last = Some(error);
                // A password that was refused once is not shown again, to anybody.
                if !may_try_else || has_asked.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| failure(host, code::INVALID_OPTIONS, "cannot be connected to in any way")))
}

/// A moment of the range: connections opened together need not all be replaced together.
pub(super) fn somewhere_in(range: &Range<Duration>, chance: &Chance) -> Duration {
    range.start + range.end.saturating_sub(range.start).mul_f64(chance.fraction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_are_opened_together_are_replaced_all_over_the_range() {
        let range = Duration::from_secs(1800)..Duration::from_secs(3600);
        let chance = Chance::seeded(1);
        let lifetimes: Vec<Duration> = (0..1000).map(|_| somewhere_in(&range, &chance)).collect();
        assert!(lifetimes.iter().all(|lifetime| range.contains(lifetime)));
        for tenth in 0..10 {
            let [from, to] = [tenth, tenth + 1].map(|tenth| range.start + Duration::from_secs(180) * tenth);
            let there = lifetimes.iter().filter(|lifetime| (from..to).contains(lifetime)).count();
            assert!((50..150).contains(&there), "{there} of 1,000 in tenth {tenth}");
        }
        let fixed = Duration::from_secs(10);
        assert_eq!(somewhere_in(&(fixed..fixed), &chance), fixed);
    }
}
