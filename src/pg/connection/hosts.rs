//! The hosts that a connection can be opened to, one after the other until one answers that is of the wanted kind. One that
//! was silent is tried last for a minute: not every connection is to wait for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{self, Instant};

use super::{
    ahead::Source,
    balance::{Shuffled, shuffle},
    host_error::failure,
    network::Network,
    open::{Opened, Program, open},
};
use crate::pg::{
    chance::Chance,
    error::{Error, Kind, code},
    settings::{Host, Settings, Target},
};

/// How long a host that was silent is tried last.
const LAST: Duration = Duration::from_secs(60);

/// When each host was silent, by its place among the settings'.
#[derive(Default)]
pub(super) struct Hosts(Mutex<Vec<(usize, Instant)>>);

impl Hosts {
    pub(super) async fn open(
        &self,
        settings: &Settings,
        program: &Arc<dyn Program>,
        network: &dyn Network,
        chance: &Chance,
        ahead: &Source,
    ) -> Result<Opened, Error> {
        let shuffled = Shuffled { network, chance };
        let (network, chance): (&dyn Network, _) =
            if settings.shuffles_hosts { (&shuffled, Some(chance)) } else { (network, None) };
        // The kinds of server to look for, one after the other among all hosts.
        let rounds = match &settings.target {
            Target::PreferStandby => &[Target::Standby, Target::Any][..],
            target => std::slice::from_ref(target),
        };
        let mut errors = Vec::new();
        for target in rounds {
            errors.clear();
            for place in self.order(settings.hosts.len(), chance) {
                let host = &settings.hosts[place];
                let attempt = Attempt { hosts: self, place, is_answered: false };
                let opening = open(settings, program, network, ahead, host, *target);
                match attempt.within(settings.connect_timeout, host, opening).await {
                    Ok(opened) => return Ok(opened),
                    Err(error) => errors.push((place, error)),
                }
            }
        }
        errors.sort_by_key(|(place, _)| *place);
        Err(of_all_hosts(errors.into_iter().map(|(_, error)| error).collect()))
    }

    /// The places of so many hosts, in the order in which they are to be tried.
    fn order(&self, count: usize, chance: Option<&Chance>) -> Vec<usize> {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = |place: usize| silent.iter().any(|(other, since)| *other == place && since.elapsed() < LAST);
        let mut places: Vec<usize> = (0..count).collect();
        if let Some(chance) = chance {
            shuffle(&mut places, chance);
        }
        places.sort_by_key(|place| is_last(*place));
        places
    }

    fn note(&self, place: usize, is_answered: bool) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|(other, _)| *other != place);
        if !is_answered {
            silent.push((place, Instant::now()));
        }
    }
}

/// An attempt to open a connection to one host. When it is dropped before the host has answered, the host counts as silent.
struct Attempt<'a> {
    hosts: &'a Hosts,
    place: usize,
    is_answered: bool,
}

impl Attempt<'_> {
    async fn within<T>(
        mut self,
        limit: Option<Duration>,
        host: &Host,
        opening: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = match limit {
            Some(limit) => time::timeout(limit, opening).await.ok(),
            None => Some(opening.await),
        };
        self.is_answered = result.is_some();
        result.unwrap_or_else(|| {
            let seconds = limit.unwrap_or_default().as_secs_f64();
            Err(failure(host, code::CONNECT_TIMEOUT, &format!("did not answer within connect_timeout ({seconds} s)")))
        })
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.hosts.note(self.place, self.is_answered);
    }
}

/// One error for all hosts: that no server is of the wanted kind says more than that another refuses, and that more than
/// that a third does not answer.
fn of_all_hosts(mut errors: Vec<Error>) -> Error {
    let is_other_kind = |error: &Error| error.code() == code::TARGET_NOT_FOUND;
    let telling = errors.iter().position(is_other_kind).or_else(|| errors.iter().position(Error::is_database));
    let error = errors.swap_remove(telling.unwrap_or(errors.len() - 1));
    if errors.is_empty() {
        return error;
    }
    let others: Vec<&str> = errors.iter().map(Error::message).collect();
    let message = format!("none of the hosts can be used: {}; {}", error.message(), others.join("; "));
    match *error.kind() {
        Kind::Failure { code, .. } => Error::caused_by(code, message, error),
        // The server's own words, with its host; the others are left out.
        Kind::Database(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, future::pending};

    use tokio::runtime::Builder;

    use super::*;

    /// Makes an attempt at each host in turn, of which those at `silent` do not answer; says in which order.
    async fn attempts(hosts: &Hosts, silent: &[usize]) -> Vec<usize> {
        let order = hosts.order(3, None);
        let host = Host::Tcp { name: "db".into(), port: 0, address: None };
        for &place in &order {
            let attempt = Attempt { hosts, place, is_answered: false };
            let limit = Some(Duration::from_secs(1));
            let is_silent = silent.contains(&place);
            let opening = async { if is_silent { pending().await } else { Ok::<(), Error>(()) } };
            assert_eq!(attempt.within(limit, &host, opening).await.is_err(), is_silent);
        }
        order
    }

    #[test]
    fn a_host_that_was_silent_is_tried_last_for_a_minute_or_until_it_answers() {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let hosts = Hosts::default();
            assert_eq!(attempts(&hosts, &[0]).await, [0, 1, 2]);
            assert_eq!(attempts(&hosts, &[0, 1]).await, [1, 2, 0], "silent again");
            assert_eq!(attempts(&hosts, &[]).await, [2, 0, 1], "both answer");
            assert_eq!(attempts(&hosts, &[1]).await, [0, 1, 2]);
            assert_eq!(attempts(&hosts, &[1]).await, [0, 2, 1]);
            time::advance(LAST).await;
            assert_eq!(attempts(&hosts, &[]).await, [0, 1, 2]);
        });
    }

    #[test]
    fn hosts_are_tried_in_any_order_where_they_are_shuffled_and_a_silent_one_last() {
        let (hosts, chance) = (Hosts::default(), Chance::seeded(1));
        let orders = || (0..200).map(|_| hosts.order(3, Some(&chance))).collect::<HashSet<_>>();
        assert_eq!(orders().len(), 6);
        hosts.note(1, false);
        assert_eq!(orders(), HashSet::from([vec![0, 2, 1], vec![2, 0, 1]]));
    }

    #[test]
    fn an_attempt_that_is_abandoned_met_a_silent_host() {
        let hosts = Hosts::default();
        drop(Attempt { hosts: &hosts, place: 0, is_answered: false });
        assert_eq!(hosts.order(2, None), [1, 0]);
    }
}
