//! Opens a connection to one host.

use std::{
    error::{self, Error as _},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::ClientWrapper;
use futures_util::future::BoxFuture;
use tokio::{sync::watch, time::Instant};
use tokio_postgres::{AsyncMessage, Config, error::DbError};

use super::{
    ahead::{Ahead, Sending, Source, beside},
    aside::aside,
    authentication::{self, Interview},
    cancel::Route,
    network::Network,
    pooler, race,
    screen::{ProtocolViolation, Screen},
    screened::Screened,
    state::{Question, State, Trait},
};
use crate::pg::{
    chance::Chance,
    error::{Address, Error, Failure, Refusal, code, describe},
    io_code::io_code,
    settings::{Host, Password, Prepare, Settings, Target},
    tls::{self, AsItIs, Connector, Explained},
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
    /// By which the program knows it.
    pub number: Option<u32>,
    /// What may be said of it.
    pub name: String,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg) enum Peer {
    Postgres,
    /// A database that speaks PostgreSQL's protocol.
    Cockroach,
    /// A pooler, or nobody knows.
    Pooler,
}

/// A connection that has just been opened.
pub(super) struct Opened {
    /// Its task ends with it, also when nobody waits any longer for the connection to be opened.
    pub(in crate::pg) client: Arc<ClientWrapper>,
    /// Closed when the connection is lost.
    pub(super) ended: watch::Receiver<Option<&'static str>>,
    pub host: Host,
    pub(super) route: Route,
    /// Statements may be prepared under a name.
    pub(super) may_prepare: bool,
    pub(super) peer: Peer,
    /// Several changes may travel in one statement: no pooler stands between, and NULL in an array is NULL.
    pub(in crate::pg) may_batch_writes: bool,
    /// How long a round trip took, as far as known.
    pub(in crate::pg) round_trip: Option<Duration>,
    pub(super) ahead: Option<Ahead>,
}

/// A new process of a server takes its time over the first question. Where that took longer than a round trip to a server
/// that is near, and hardly longer, another round trip tells which it is.
const MAY_BE_NEAR: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(2));

pub(super) async fn open(
    settings: &Settings,
    program: &Arc<dyn Program>,
    network: &dyn Network,
    ahead: &Source,
    host: &Host,
    target: Target,
) -> Result<Opened, Error> {
    let password = match settings.password {
        Password::Asked(function) => {
            let login = Login::new(settings, host);
            Some(program.password(function, login).await.map_err(|Thrown { number: thrown, name }| {
                let message = format!("{} needs a password, and its function failed: {name}", self::name(host));
                let (code, host) = (code::PASSWORD_FAILED, Some(address(host)));
                Error::Failure(Arc::new(Failure { code, message, host, cause: None, thrown }))
            })?)
        }
        _ => None,
    };
    let read = {
        let (settings, host) = (settings.clone(), host.clone());
        move || (settings.connection(&host, password.as_deref()), tls::connector(&settings.tls, &host))
    };
    let (mut config, tls) = if settings.reads_files() {
        // A file can be a pipe that nobody writes to.
        aside(read).await.map_err(|error| explain(host, &error.to_string(), &error).0)?
    } else {
        read()
    };
    let tls = tls.map_err(|invalid| Error::failure(code::INVALID_OPTIONS, invalid.message))?;
    let (client, ended, route) = connect(settings, program, network, host, &mut config, &tls).await?;

    let told = pooler::told_process_id(&client.cancel_token()).await;
    let question = Question { told, plans_once: settings.prepare != Prepare::Never };
    let client = Arc::new(client);
    let asks = target != Target::Any || question.plans_once;
    let asked = Instant::now();
    let mut ahead = if question.plans_once { ahead() } else { None }.map(|lookups| lookups.send(client.clone()));
    let state = if asks {
        beside(question.ask(&client), ahead.as_mut()).await.map_err(|error| locate(host, error))?
    } else {
        State::default()
    };
    let mut round_trip = asks.then(|| asked.elapsed());
    if !state.is_wanted(target) {
        let text = format!("is not a server that target_session_attrs asks for ({target})");
        return Err(failure(host, code::TARGET_NOT_FOUND, &text));
    }
    let is_direct = state.process_id.is_some() && told == state.process_id;
    let may_prepare = match settings.prepare {
        Prepare::Always => true,
        Prepare::Never => false,
        Prepare::Detect => is_direct,
    };
    // Behind a lookup that was sent ahead it would wait for that.
    let may_be_near = |time| MAY_BE_NEAR.0 < time && time < MAY_BE_NEAR.1;
    if is_direct && ahead.is_none() && round_trip.is_some_and(may_be_near) {
        let sent = Instant::now();
        client.check_connection().await.map_err(|error| locate(host, error.into()))?;
        round_trip = Some(sent.elapsed());
    }
    // The server refuses what is prepared for many when a type has changed. A pooler may prepare it anew.
    let may_batch_writes = may_prepare && is_direct && state.has(Trait::ArrayNulls);
    let peer = match (is_direct, state.has(Trait::Cockroach)) {
        (false, _) => Peer::Pooler,
        (true, true) => Peer::Cockroach,
        (true, false) => Peer::Postgres,
    };
    // The driver asks for a type that it does not know under a name of its own.
    let ahead = ahead.filter(|_| may_prepare).map(Sending::begin);
    Ok(Opened { client, ended, host: host.clone(), route, may_prepare, peer, may_batch_writes, round_trip, ahead })
}

async fn connect(
    settings: &Settings,
    program: &Arc<dyn Program>,
    network: &dyn Network,
    host: &Host,
    config: &mut Config,
    tls: &Connector,
) -> Result<(ClientWrapper, watch::Receiver<Option<&'static str>>, Route), Error> {
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
            Ok((client, mut connection)) => {
                let (program, onnotice) = (program.clone(), settings.onnotice);
                let (alive, ended) = watch::channel(None);
                let task = tokio::spawn(async move {
                    // Its end is told to every statement that waits on it.
                    while let Some(event) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                        match (event, onnotice) {
                            (Ok(AsyncMessage::Notice(notice)), Some(function)) => {
                                program.notice(function, Error::refused(notice));
                            }
                            (Ok(_), _) => {}
                            (Err(error), _) => {
                                alive.send_replace(improper(&error));
                                break;
                            }
                        }
                    }
                });
                return Ok((
                    ClientWrapper::new(client, task),
                    ended,
                    Route { endpoint, attempt: *attempt, tls: tls.clone() },
                ));
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

/// What is wrong with the answer that ended a connection, as far as its own statement is to know.
fn improper(error: &tokio_postgres::Error) -> Option<&'static str> {
    match ProtocolViolation::of(error.source()?)? {
        ProtocolViolation::Improper(text) => Some(text),
        _ => None,
    }
}

/// The server's own error, or why it could not be spoken to; and whether someone was there with whom something else may be
/// tried.
fn refused(host: &Host, error: tokio_postgres::Error) -> (Error, bool) {
    let text = describe(&error);
    if text.ends_with("password missing") {
        let text = "asks for a password; give it in the connection string, as the option `password`, in PGPASSWORD or in \
                    the password file";
        return (failure(host, code::PASSWORD_MISSING, text), true);
    }
    match error.into_source().map(<dyn error::Error + Send + Sync>::downcast::<DbError>) {
        None => (failure(host, code::CONNECTION_CLOSED, &format!("cannot be connected to: {text}")), true),
        Some(Ok(error)) => (Error::Database(Arc::new(Refusal { error: *error, host: Some(address(host)) })), true),
        Some(Err(source)) => explain(host, &text, &*source),
    }
}

fn explain(host: &Host, text: &str, error: &(dyn error::Error + 'static)) -> (Error, bool) {
    if let Some(violation) = ProtocolViolation::of(error) {
        let error = match violation {
            ProtocolViolation::Forbidden(text) => failure(host, code::AUTHENTICATION_REFUSED, text),
            _ => failure(host, code::INVALID_ANSWER, &format!("cannot be connected to: {violation}")),
        };
        return (error, false);
    }
    if let Some(Explained { code, message, is_final }) = tls::explain(error, text) {
        return (failure(host, code, &format!("cannot be connected to: {message}")), !is_final);
    }
    let code = error.downcast_ref().map_or(code::CONNECTION_CLOSED, io_code);
    let hint = match code {
        "ECONNREFUSED" => "; is PostgreSQL running there?",
        "ENOTFOUND" => "; is the host name right?",
        _ => "",
    };
    let has_answered = [code::CONNECTION_CLOSED, "ECONNRESET", "EPIPE", "TLS_FAILED"].contains(&code);
    (failure(host, code, &format!("cannot be connected to: {text}{hint}")), has_answered)
}

/// `error`, with the host that it came from.
fn locate(host: &Host, error: Error) -> Error {
    match error {
        Error::Failure(failure) if failure.host.is_none() => Error::Failure(Arc::new(Failure {
            code: failure.code,
            message: failure.message.clone(),
            host: Some(address(host)),
            cause: failure.cause.clone(),
            thrown: failure.thrown,
        })),
        error => error,
    }
}

/// `text` follows the host's name.
pub(super) fn failure(host: &Host, code: &'static str, text: &str) -> Error {
    let message = format!("{} {text}", name(host));
    Error::Failure(Arc::new(Failure { code, message, host: Some(address(host)), cause: None, thrown: None }))
}

pub(super) fn address(host: &Host) -> Address {
    match host {
        Host::Tcp { name, port, .. } => Address { address: name.clone(), port: Some(*port) },
        Host::Unix { .. } => Address { address: name(host), port: None },
    }
}

fn name(host: &Host) -> String {
    match host {
        Host::Tcp { name, port, .. } if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp { name, port, .. } => format!("{name}:{port}"),
        Host::Unix { directory, port } => format!("{}/.s.PGSQL.{port}", directory.display()),
    }
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
