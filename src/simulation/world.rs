//! The servers' side of a history: what is committed and locked, which sessions there are, what is wrong at the moment.

use std::{
    collections::BTreeMap,
    io, mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::future::select;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use super::{
    answer::Refusal,
    database::{Change, Database, Table},
    plan::{Fault, Place, Plan, Stage, Trouble},
    record::{Commit, Connection, Moment, Record},
    state::{FIRST_PROCESS_ID, Host, Interrupt, Owner, Phase, Prepared, Session, State, Unreachable},
};

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) began: Instant,
    state: Mutex<State>,
    /// A row is no longer locked.
    pub(super) unlocked: Notify,
    /// A call is settled.
    pub(super) settled: Notify,
    /// All that the servers do ends.
    pub(super) is_over: Notify,
}

/// Somebody waits for a connection to be made.
struct Dialing<'a> {
    world: &'a World,
    connection: usize,
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.world.over(self.connection);
    }
}

/// Until a request to cancel reaches the session that it names.
const CANCEL_TAKES: Duration = Duration::from_millis(1);

impl World {
    pub(super) fn new(plan: Plan, trace: bool) -> Arc<Self> {
        let hosts = (0..plan.hosts).map(|host| Host { trouble: None, is_standby: host > 0 }).collect();
        let record = Record {
            trace: trace.then(Vec::new),
            calls: vec![None; plan.calls.len()],
            commits: vec![Commit { received: None, after: Database::new() }],
            ..Record::default()
        };
        Arc::new(Self {
            plan,
            began: Instant::now(),
            state: Mutex::new(State {
                database: Database::new(),
                locks: BTreeMap::new(),
                hosts,
                sessions: Vec::new(),
                pooled: vec![Prepared::new(); 3],
                cancels_lost_until: None,
                cancels_late: None,
                record,
            }),
            unlocked: Notify::new(),
            settled: Notify::new(),
            is_over: Notify::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A line of the trace.
    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.state().record.trace {
            trace.push(format!("{:>10.3} ms  {}", self.began.elapsed().as_secs_f64() * 1000.0, line()));
        }
    }

    pub(super) fn violated(&self, violation: String) {
        self.note(|| format!("VIOLATION {violation}"));
        self.state().record.violations.push(violation);
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { at: Instant::now(), commits: self.state().record.commits.len() }
    }

    /// The trouble that is planned for this point.
    pub(super) fn trouble(&self, connection: usize, places: &[Place], stage: Stage) -> Option<Trouble> {
        let is_here = |fault: &&Fault| {
            let is_possible = self.plan.has_pooler || !matches!(fault.trouble, Trouble::Pooler(_));
            is_possible && fault.connection == connection && places.contains(&fault.place) && fault.stage == stage
        };
        self.plan.faults.iter().find(is_here).map(|fault| fault.trouble)
    }

    /// A new connection, when the host lets one be made.
    pub(super) async fn connect(self: &Arc<Self>, host: usize) -> io::Result<usize> {
        let connection = {
            let mut state = self.state();
            let connection = state.sessions.len();
            let host_id = i32::try_from(connection).unwrap();
            state.sessions.push(Session {
                host,
                secret: 7_000 + host_id,
                interrupt: None,
                interrupted: Arc::new(Notify::new()),
                is_open: false,
                phase: Phase::Dialed,
                ahead: 0,
                is_cut: false,
                is_reset: false,
                block: None,
                process: 0,
                prepared: Prepared::new(),
                free_since: Instant::now(),
            });
            let dialed = Instant::now();
            state.record.connections.push(Connection {
                dialed,
                refused: None,
                ready: None,
                answered: None,
                over: None,
                quiet_since: None,
                is_cancel: false,
            });
            connection
        };
        self.note(|| format!("connection {connection} is dialed to host {host}"));
        let dialing = Dialing { world: self, connection };
        match self.unreachable(host) {
            Some((_, Unreachable::Down)) => {
                self.note(|| format!("connection {connection} is refused"));
                self.of_record(connection, |record| record.refused = Some(Instant::now()));
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Some((until, Unreachable::Silent)) => {
                // As a network that drops packets: the dial goes through when one is sent again after that.
                time::sleep_until(until).await;
            }
            Some((_, Unreachable::Slow(by))) => time::sleep(by).await,
            _ => {}
        }
        self.pass_latency().await;
        self.state().sessions[connection].is_open = true;
        mem::forget(dialing);
        Ok(connection)
    }

    /// A timer that is due at once would take up to a millisecond of a clock that moves by itself.
    pub(super) async fn pass_latency(&self) {
        if !self.plan.latency.is_zero() {
            time::sleep(self.plan.latency).await;
        }
    }

    /// Changes what is recorded of a connection.
    pub(super) fn of_record(&self, connection: usize, change: impl FnOnce(&mut Connection)) {
        change(&mut self.state().record.connections[connection]);
    }

    /// The connection is of no more use to either side.
    pub(super) fn over(&self, connection: usize) {
        self.of_record(connection, |record| record.over = record.over.or_else(|| Some(Instant::now())));
    }

    fn unreachable(&self, host: usize) -> Option<(Instant, Unreachable)> {
        self.state().hosts[host].trouble.filter(|(until, _)| Instant::now() < *until)
    }

    /// Why a session cannot begin.
    pub(super) fn refusal(&self, connection: usize) -> Option<Refusal> {
        let host = self.state().sessions[connection].host;
        match self.unreachable(host)?.1 {
            Unreachable::Down | Unreachable::Starting => {
                Some(Refusal::fatal("57P03", "the database system is starting up"))
            }
            Unreachable::Full(sessions) => {
                let state = self.state();
                let served =
                    state.sessions.iter().filter(|session| session.is_served() && session.host == host).count();
                (served > sessions).then(|| Refusal::fatal("53300", "sorry, too many clients already"))
            }
            Unreachable::Silent | Unreachable::Slow(_) => None,
        }
    }

    pub(super) fn is_standby(&self, connection: usize) -> bool {
        let state = self.state();
        state.hosts[state.sessions[connection].host].is_standby
    }

    /// The settings ask for a server such as this one.
    pub(super) fn is_wanted(&self, connection: usize) -> bool {
        matches!(self.plan.target, None | Some("prefer-standby")) || !self.is_standby(connection)
    }

    pub(super) fn take_interrupt(&self, connection: usize) -> Option<Interrupt> {
        self.state().sessions[connection].interrupt.take()
    }

    pub(super) fn interrupt(&self, connection: usize, interrupt: Interrupt) {
        let mut state = self.state();
        if let Some(session) = state.sessions.get_mut(connection)
            && session.is_served()
            && !session.is_cut
        {
            session.interrupt = Some(interrupt);
            session.interrupted.notify_one();
        }
    }

    /// A request to cancel has come.
    pub(super) async fn cancel(self: &Arc<Self>, process_id: i32, secret: i32) {
        let (is_lost, late) = {
            let (state, now) = (self.state(), Instant::now());
            let is_lost = state.cancels_lost_until.is_some_and(|until| now < until);
            (is_lost, state.cancels_late.filter(|(until, ..)| now < *until))
        };
        let connection = usize::try_from(process_id - FIRST_PROCESS_ID).unwrap();
        self.note(|| {
            format!("connection {connection} is to be cancelled{}", if is_lost { ", which is lost" } else { "" })
        });
        if is_lost {
            return;
        }
        let world = self.clone();
        let arriving = async move {
            time::sleep(late.map_or(CANCEL_TAKES, |(_, by, _)| by)).await;
            world.arrive(connection, secret);
        };
        if late.is_some_and(|(.., is_unnoticed)| is_unnoticed) {
            let world = self.clone();
            tokio::spawn(async move {
                let (arriving, over) = (pin!(arriving), pin!(world.is_over.notified()));
                select(arriving, over).await;
            });
        } else {
            arriving.await;
        }
    }

    /// A request to cancel reaches the session that it names.
    fn arrive(&self, connection: usize, secret: i32) {
        if self.state().sessions.get(connection).is_some_and(|session| session.secret == secret) {
            self.note(|| format!("connection {connection} is cancelled"));
            self.interrupt(connection, Interrupt::Cancel);
        }
    }

    /// Locks all rows, or none.
    pub(super) fn lock(&self, rows: &[(Table, String)], owner: Owner) -> bool {
        let mut state = self.state();
        if rows.iter().any(|row| state.locks.get(row).is_some_and(|other| *other != owner)) {
            return false;
        }
        state.locks.extend(rows.iter().map(|row| (row.clone(), owner)));
        true
    }

    pub(super) fn unlock(&self, owner: Owner) {
        self.state().locks.retain(|_, other| *other != owner);
        self.unlocked.notify_waiters();
    }

    pub(super) fn commit(&self, received: Option<usize>, changes: &[Change]) {
        let mut state = self.state();
        for change in changes {
            state.database.apply(change);
        }
        let after = state.database.clone();
        state.record.commits.push(Commit { received, after });
    }
}
