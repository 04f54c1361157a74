//! What is promised of a history as a whole: how connections are opened, and in which order lookups are done again.

use std::time::Duration;

use super::{
    plan::{Call, Happening, Plan},
    record::{CallRecord, Connection, Received, Record},
};

/// What was promised, and is not so.
pub(super) fn broken(plan: &Plan, record: &Record) -> Vec<String> {
    let history = History { plan, record };
    let found =
        [history.fails_fast(), history.tries_again(), history.keeps_the_order(), history.stores_what_was_asked_for()];
    found.into_iter().flatten().collect()
}

struct History<'a> {
    plan: &'a Plan,
    record: &'a Record,
}

/// A clock that moves in whole milliseconds may be late by one.
const LATE: Duration = Duration::from_millis(2);
/// A lookup that is sent by itself and not answered for so long keeps no other waiting.
const SILENT: Duration = Duration::from_secs(1);
/// The longest first pause after an attempt that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

impl History<'_> {
    fn connections(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.record.connections.iter().enumerate().filter(|(_, connection)| !connection.is_cancel)
    }

    /// What came over connections that served.
    fn served(&self) -> impl Iterator<Item = &Received> {
        self.record.received.iter().filter(|received| !received.is_ahead)
    }

    /// The clock may have moved between what was decided and what was done.
    fn jumps(&self) -> bool {
        self.plan.events.iter().any(|event| matches!(event.what, Happening::Jump { .. }))
    }

    fn calls(&self) -> impl Iterator<Item = (&Call, &CallRecord)> {
        let recorded = self.plan.calls.iter().zip(&self.record.calls);
        recorded.filter_map(|(call, recorded)| Some((call, recorded.as_ref()?)))
    }

    /// Until a pool has been connected once, a connection that cannot be opened rejects the calls that wait for it.
    fn fails_fast(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (number, connection) in self.connections() {
            let Some(refused) = connection.refused.filter(|_| self.plan.hosts == 1 && !self.jumps()) else { continue };
            let was_connected = |other: &Connection| other.ready.is_some_and(|ready| ready <= refused);
            let is_beside =
                |other: &Connection| other.dialed <= refused && other.over.is_none_or(|over| over > refused);
            if self.connections().any(|(at, other)| at != number && (was_connected(other) || is_beside(other))) {
                continue;
            }
            let was_waiting = |recorded: &CallRecord| {
                recorded.made.at < connection.dialed || (number == 0 && recorded.made.at == connection.dialed)
            };
            for (call, recorded) in self.calls().filter(|(_, recorded)| was_waiting(recorded)) {
                if recorded.settled.as_ref().is_none_or(|(settled, _)| settled.at > refused + LATE) {
                    let number = call.number;
                    found.push(format!("call {number}: is not rejected when the first connection cannot be opened"));
                }
            }
        }
        found
    }

    /// After a connection that served, the first attempt that fails is followed by another within a quarter of a second.
    fn tries_again(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (number, connection) in self.connections() {
            let Some(refused) = connection.refused.filter(|_| !self.jumps()) else { continue };
            let until = refused + FIRST_PAUSE + LATE;
            let served = self.served().map(|received| received.at).filter(|at| *at < connection.dialed);
            let Some(served) = served.max() else { continue };
            let is_in_the_way = |(at, other): (usize, &Connection)| {
                let is_failure = other.over.is_none_or(|over| over >= served) && !self.was_opened(at);
                let is_beside = other.over.is_none_or(|over| over > refused);
                at != number && other.dialed <= refused && (is_failure || is_beside)
            };
            let is_waiting = |(call, recorded): (&Call, &CallRecord)| {
                !call.action().is_write()
                    && recorded.made.at <= refused
                    && recorded.settled.as_ref().is_none_or(|(settled, _)| settled.at > until)
            };
            let has_ended = self.record.ended_at.is_some_and(|at| at <= until);
            if has_ended || self.connections().any(is_in_the_way) || !self.calls().any(is_waiting) {
                continue;
            }
            if !self.connections().any(|(_, other)| other.dialed > refused && other.dialed <= until) {
                found.push(format!("connection {number}: is refused, and no other is tried for long"));
            }
        }
        found
    }

    /// Each change that is committed is whole calls: of a sign-up not one half without the other.
    fn stores_what_was_asked_for(&self) -> Vec<String> {
        let is_asked_for = |received: &Received| {
            received.calls.iter().all(|texts| {
                let is_it = |call: &Call| call.action() == received.action && call.texts() == *texts;
                self.plan.calls.iter().any(is_it)
            })
        };
        let received = self.record.commits.iter().filter_map(|commit| commit.received);
        let odd = received.map(|index| &self.record.received[index]).filter(|received| !is_asked_for(received));
        odd.map(|received| format!("a change is committed that no call is: {:?} {:?}", received.action, received.calls))
            .collect()
    }

    /// It executed something, or lived for longer than its opening can have taken.
    fn was_opened(&self, number: usize) -> bool {
        let Connection { ready, over, .. } = self.record.connections[number];
        let has_faults = self.plan.faults.iter().any(|fault| fault.connection == number);
        let takes = LATE + self.plan.latency * 20;
        self.served().any(|received| received.connection == number)
            || (!has_faults && ready.zip(over).is_some_and(|(ready, over)| over - ready > takes))
    }

    /// Lookups whose connection was lost are done again in the order in which they were called. With at most three
    /// connections they go one at a time.
    fn keeps_the_order(&self) -> Vec<String> {
        if self.plan.max > 3 {
            return Vec::new();
        }
        let mut lost: Vec<(&Call, &CallRecord, Vec<&Received>)> = Vec::new();
        for (call, recorded) in
            self.calls().filter(|(call, _)| !call.action().is_write() && call.is_alone_in(self.plan))
        {
            let received: Vec<_> = self.served().filter(|received| call.is_in(received)).collect();
            if received.iter().any(|received| received.lost_at.is_some()) {
                lost.push((call, recorded, received));
            }
        }
        let mut found = Vec::new();
        for (at, (older, recorded, received)) in lost.iter().enumerate() {
            for (younger, _, again) in &lost[at + 1..] {
                let mut sent_again = again.windows(2).filter(|pair| pair[0].lost_at.is_some()).map(|pair| pair[1]);
                let is_overtaken = sent_again.any(|sent| {
                    let latest = received.iter().rfind(|received| received.at <= sent.at);
                    latest.is_some_and(|latest| {
                        latest.lost_at.is_some_and(|lost| lost < sent.free_since && sent.at - lost < SILENT)
                    }) && recorded.settled.as_ref().is_none_or(|(settled, _)| settled.at > sent.at)
                });
                if is_overtaken {
                    found.push(format!("call {}: is overtaken by call {}", older.number, younger.number));
                }
            }
        }
        found
    }
}
