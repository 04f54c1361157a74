//! Holds a record against what docs/reliability.md promises.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use super::{
    answer::Author,
    database::{Database, Row, Table},
    plan::{Call, Fault, Happening, Plan, Trouble, is_refusal, refusal},
    promises,
    record::{CallRecord, Connection, Ending, Moment, Received, Record},
    state::KEEP_ALIVE,
    statement::Action,
};
use crate::{lucia::method::Method, pg::code};

/// What was promised, and is not so.
pub(super) fn violations(plan: &Plan, record: &Record) -> Vec<String> {
    let mut found = record.violations.clone();
    found.extend(promises::broken(plan, record));
    for (call, recorded) in plan.calls.iter().zip(&record.calls) {
        let Some(recorded) = recorded else {
            found.push(format!("call {} was not made", call.number));
            continue;
        };
        let judge = Judge { plan, record, call, made: recorded.made };
        if let Err(violation) = judge.judge(recorded) {
            found.push(format!("call {}: {violation}", call.number));
        }
    }
    found
}

struct Judge<'a> {
    plan: &'a Plan,
    record: &'a Record,
    call: &'a Call,
    made: Moment,
}

/// An answer is on its way for a while.
const LATE: Duration = Duration::from_secs(2);
/// A clock that moves in whole milliseconds may be late by one.
const TICK: Duration = Duration::from_millis(1);
/// For so long a connection that has served is taken for open, with a little more for what is on its way.
const FRESH: Duration = Duration::from_millis(60);
/// A connection that was idle for longer is asked before a change is sent over it.
const UNSURE: Duration = Duration::from_secs(30);

impl Judge<'_> {
    fn judge(&self, recorded: &CallRecord) -> Result<(), String> {
        let commits = self.commits();
        let Some((settled, ending)) = &recorded.settled else {
            return Err("is never settled".to_owned());
        };
        let took = settled.at - self.made.at;
        if took > self.limit() {
            return Err(format!("is settled after {took:?}, where {:?} is the most", self.limit()));
        }
        let is_write = self.call.action().is_write();
        if is_write && self.call.is_alone_in(self.plan) && commits.len() > 1 {
            return Err(format!("is committed {} times", commits.len()));
        }
        // The versions of the database that there were from the call to its end.
        let window = self.made.commits - 1..settled.commits;
        match ending {
            Ending::Rows(_) if is_write => Err("is a write, and answered with rows".to_owned()),
            Ending::Rows(rows) => self.judge_rows(rows, window),
            Ending::Done if !is_write => Err("is a read, and answered as a write".to_owned()),
            Ending::Done if commits.iter().any(|commit| window.contains(commit) && *commit >= self.made.commits) => {
                Ok(())
            }
            Ending::Done => Err("is told for done, and is not committed".to_owned()),
            Ending::Failed(error) if error.code() == code::OUTCOME_UNKNOWN => {
                if is_write && self.may_be_unknown(settled.at) {
                    return Ok(());
                }
                Err("has an unknown outcome, and no connection was lost".to_owned())
            }
            // As an unknown outcome, of a write.
            Ending::Failed(error) if error.code() == code::CONNECTION_DESTROYED => {
                let gives_up = self.plan.end.is_some_and(|end| end.gives_up);
                if gives_up && self.has_ended(*settled) {
                    Ok(())
                } else {
                    Err("is destroyed before the end".to_owned())
                }
            }
            _ if is_write && self.call.is_alone_in(self.plan) && !commits.is_empty() => {
                Err(format!("is rejected, and committed: {ending:?}"))
            }
            Ending::Lucia(message) => self.judge_violation(message, window),
            Ending::Failed(error) => self.judge_failure(error, *settled, window),
        }
    }

    /// How long a call may take: it waits for a connection from when it was made and once more from when it was first
    /// lost, and for all that holds up the server.
    fn limit(&self) -> Duration {
        let mut limit = LATE + self.patience() * 2 + self.plan.latency * 50;
        for fault in &self.plan.faults {
            limit += match fault.trouble {
                Trouble::Wait(time) | Trouble::Split(_, time) | Trouble::Merge(time) => time,
                Trouble::Silence(_) => KEEP_ALIVE + TICK,
                _ => Duration::ZERO,
            };
        }
        for event in &self.plan.events {
            limit += match event.what {
                Happening::Lock { lasts, .. } => lasts,
                Happening::Jump { by } => by,
                Happening::CutSilently { .. } => KEEP_ALIVE + TICK,
                _ => Duration::ZERO,
            };
        }
        limit
    }

    fn patience(&self) -> Duration {
        self.plan.connect_timeout * u32::try_from(self.plan.hosts).unwrap()
    }

    /// The indexes of the commits that hold the call.
    fn commits(&self) -> Vec<usize> {
        let commits = self.record.commits.iter().enumerate();
        let is_own = |received: usize| self.call.is_in(&self.record.received[received]);
        commits.filter(|(_, commit)| commit.received.is_some_and(is_own)).map(|(index, _)| index).collect()
    }

    fn versions(&self, window: Range<usize>) -> impl Iterator<Item = &Database> {
        self.record.commits[window].iter().map(|commit| &commit.after)
    }

    /// A read that began after a write was resolved sees it, and nothing that never was.
    fn judge_rows(&self, rows: &[Row], window: Range<usize>) -> Result<(), String> {
        let id = &self.call.id;
        let is_so = |database: &Database| {
            if let Action::Lookup(table, column) = self.call.action() {
                let column = database.column(table, column).unwrap();
                return database.find(table, column, id).into_iter().eq(rows);
            }
            let pairs = database.find(Table::Session, 0, id).into_iter().flat_map(|session| {
                let user = session[1].as_deref().unwrap_or_default();
                let users = database.find(Table::User, 0, user).into_iter();
                users.map(move |user| [&session[..], user].concat())
            });
            pairs.eq(rows.iter().cloned())
        };
        if self.versions(window).any(is_so) {
            return Ok(());
        }
        Err(format!("is answered with what never was in its time: {rows:?}"))
    }

    fn judge_violation(&self, message: &str, window: Range<usize>) -> Result<(), String> {
        let (key, user) = match self.call.method {
            Method::SetUser => (self.call.other.as_ref(), None),
            _ => (Some(&self.call.id), self.call.other.as_ref()),
        };
        let has = |database: &Database, table, id: Option<&String>| {
            id.is_some_and(|id| !database.find(table, 0, id).is_empty())
        };
        let is_so = |database: &Database| match message {
            "AUTH_DUPLICATE_KEY_ID" => has(database, Table::Key, key),
            "AUTH_INVALID_USER_ID" => !has(database, Table::User, user),
            _ => false,
        };
        if self.versions(window).any(is_so) {
            return Ok(());
        }
        Err(format!("is rejected with {message}, and that is not so"))
    }

    fn judge_failure(&self, error: &crate::pg::Error, settled: Moment, window: Range<usize>) -> Result<(), String> {
        let took = settled.at - self.made.at;
        let why = || format!("is rejected: {} {}", error.code(), error.message());
        let has_waited = || took + TICK >= self.patience() && self.waited_after_loss(settled);
        let holds = match error.code() {
            code::CONNECTION_ENDED => self.has_ended(settled),
            code::QUERY_TIMEOUT => self.plan.query_timeout.is_some_and(|limit| took >= limit),
            "23505" => self.judge_duplicate(window, took),
            "23503" if self.call.method == Method::DeleteUser => {
                let is_referenced = |database: &Database| {
                    [Table::Key, Table::Session].iter().any(|table| !database.find(*table, 1, &self.call.id).is_empty())
                };
                self.versions(window).any(is_referenced)
            }
            "23503" => self.may_not_ask(took) && self.judge_violation("AUTH_INVALID_USER_ID", window).is_ok(),
            // Elsewhere it is done again, for as long as it may wait.
            "25006" => self.plan.hosts > 1 && (self.plan.target != Some("read-write") || has_waited()),
            _ => {
                let is_first = self.record.opened_at().is_none_or(|at| at >= settled.at);
                // What waits when the adapter ends is told so at once, and no connection is opened for it any more.
                let is_of_opening = [code::CONNECT_TIMEOUT, "ECONNREFUSED"].contains(&error.code());
                let is_over = is_of_opening && self.record.ended_at.is_some_and(|at| at + TICK < settled.at);
                is_first || (has_waited() && !is_over) || self.is_refused_alone(error.code(), error.message())
            }
        };
        if holds { Ok(()) } else { Err(why()) }
    }

    /// A user's or a session's; a key's only where the server could not be asked whether it is the key's.
    fn judge_duplicate(&self, window: Range<usize>, took: Duration) -> bool {
        let has =
            |table| self.versions(window.clone()).any(|database| !database.find(table, 0, &self.call.id).is_empty());
        match self.call.method {
            Method::SetSession => has(Table::Session),
            Method::SetUser if has(Table::User) => true,
            _ => self.may_not_ask(took) && self.judge_violation("AUTH_DUPLICATE_KEY_ID", window).is_ok(),
        }
    }

    /// What the violation means is asked like any other call.
    fn may_not_ask(&self, took: Duration) -> bool {
        took >= self.patience()
            || self.plan.query_timeout.is_some()
            || !self.plan.faults.is_empty()
            || !self.plan.events.is_empty()
            || self.plan.end.is_some()
    }

    /// The server refused this call's statement and no other's with it, in a way that is not to be done again; or to open
    /// a session or to prepare a statement.
    fn is_refused_alone(&self, code: &str, message: &str) -> bool {
        let is_planned = |fault: &Fault| match fault.trouble {
            Trouble::Error(_) | Trouble::Fatal("XX000" | "25P04") => is_refusal(message, fault.connection),
            // Supavisor says so of what waiting does not mend, too.
            Trouble::Pooler(Author::Supavisor) => code == "XX000",
            _ => false,
        };
        let is_here = |received: &&Received| message == refusal(received.connection, received.exchange);
        let is_lasting = ["XX000", "55P03", "25P04"].contains(&code);
        let is_alone = |received: &Received| is_lasting && self.call.is_part_of(received) && received.calls.len() == 1;
        self.plan.faults.iter().any(is_planned) && self.record.received.iter().find(is_here).is_none_or(is_alone)
    }

    fn has_ended(&self, settled: Moment) -> bool {
        self.record.ended_at.is_some_and(|at| at <= settled.at)
    }

    /// The wait begins anew when the call's connection is lost for the first time.
    fn waited_after_loss(&self, settled: Moment) -> bool {
        let received = self.record.received.iter().filter(|received| self.call.is_in(received));
        let lost = received.filter_map(|received| received.lost_at).min();
        let Some(lost) = lost.filter(|_| self.call.is_alone_in(self.plan)) else { return true };
        // A connection may also be lost before the call is executed.
        let may_be_second = self.record.connections.iter().any(|connection| {
            connection.ready.is_some() && connection.over.is_some_and(|over| over >= self.made.at && over < lost)
        });
        may_be_second || settled.at + TICK >= lost + self.patience()
    }

    /// The connection that the change was sent on is over, or the server was not waited for any longer.
    fn may_be_unknown(&self, settled: Instant) -> bool {
        let mut received = self.record.received.iter().filter(|received| self.call.is_in(received)).peekable();
        let over = |connection: &Connection| connection.over.filter(|over| *over <= settled);
        if self.plan.query_timeout.is_some() {
            return true;
        }
        // What was not received was sent on a connection that had been used a moment ago, and was not looked at.
        let is_recent = |connection: &Connection| {
            over(connection).is_some_and(|over| settled - over <= FRESH) && !self.was_to_be_asked(connection)
        };
        // Also after it was received with others, which were then parted.
        let mut with_others = self.record.received.iter().filter(|received| received.calls.len() > 1);
        let was_parted = with_others.any(|received| self.call.is_in(received));
        // Also after it was received, and rolled back for another's sake.
        let is_cut = self.plan.faults.iter().any(|fault| matches!(fault.trouble, Trouble::CutRequest(_)));
        let may_be_unseen = received.peek().is_none() || was_parted || is_cut || !self.call.is_alone_in(self.plan);
        if may_be_unseen && self.record.connections.iter().any(is_recent) {
            return true;
        }
        received.any(|received| over(&self.record.connections[received.connection]).is_some())
    }

    /// It had not been used for so long before the call was made that a change is not sent over it before it has answered.
    fn was_to_be_asked(&self, connection: &Connection) -> bool {
        let is_suspended = self.plan.events.iter().any(|event| matches!(event.what, Happening::Jump { .. }));
        !is_suspended && connection.quiet_since.is_some_and(|since| self.made.at > since + UNSURE + TICK)
    }
}
