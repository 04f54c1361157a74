//! What is planned for a moment, and what it does to the servers.

use std::{sync::Arc, time::Duration};

use tokio::time::{self, Instant};

use super::{
    plan::Happening,
    state::{Interrupt, KEEP_ALIVE, Owner, Phase, Session, Unreachable},
    world::World,
};

impl World {
    /// What is planned for a moment.
    pub(super) async fn happen(self: Arc<Self>, happening: Happening) {
        self.note(|| format!("{happening:?}"));
        let until = |lasts: Duration| Instant::now() + lasts;
        let trouble = |host: usize, lasts, trouble| {
            self.state().hosts[host].trouble = Some((until(lasts), trouble));
        };
        match happening {
            Happening::Crash { host, lasts } => {
                trouble(host, lasts, Unreachable::Down);
                self.interrupt_all(host, &Interrupt::Crash);
            }
            Happening::Shutdown { host, lasts } => {
                trouble(host, lasts, Unreachable::Down);
                self.interrupt_all(host, &Interrupt::Terminate("57P01"));
            }
            Happening::Recover { host, lasts } => {
                trouble(host, lasts, Unreachable::Starting);
                self.interrupt_all(host, &Interrupt::Terminate("57P02"));
            }
            Happening::Refuse { host, lasts } => trouble(host, lasts, Unreachable::Down),
            Happening::Hang { host, lasts } => trouble(host, lasts, Unreachable::Silent),
            Happening::Slow { host, lasts, by } => trouble(host, lasts, Unreachable::Slow(by)),
            Happening::Full { host, lasts, sessions } => trouble(host, lasts, Unreachable::Full(sessions)),
            Happening::Switch => {
                for host in &mut self.state().hosts {
                    host.is_standby = !host.is_standby;
                }
            }
            Happening::Lock { table, id, lasts } => {
                let row = [(table, id)];
                while !self.lock(&row, Owner::Other) {
                    self.unlocked.notified().await;
                }
                time::sleep(lasts).await;
                self.state().locks.remove(&row[0]);
                self.unlocked.notify_waiters();
            }
            Happening::AddColumn(table) => {
                let name = format!("extra_{}", self.state().database.table(table).columns.len());
                self.state().database.add_column(table, &name);
                self.commit(None, &[]);
            }
            Happening::Retype(table) => {
                self.state().database.retype(table, 1);
                self.commit(None, &[]);
            }
            Happening::CutSilently { connection } => self.cut(connection).await,
            Happening::Terminate { connection } => self.interrupt(connection, Interrupt::Terminate("57P01")),
            Happening::LoseCancels { lasts } => self.state().cancels_lost_until = Some(until(lasts)),
            Happening::DelayCancels { lasts, by, is_unnoticed } => {
                self.state().cancels_late = Some((until(lasts), by, is_unnoticed));
            }
            Happening::Jump { by } => time::advance(by).await,
        }
    }

    /// Nothing arrives any more, until TCP gives the connection up.
    async fn cut(&self, connection: usize) {
        let quiet_since = match self.state().sessions.get_mut(connection) {
            Some(Session { phase: Phase::Idle { since }, is_open: true, is_cut, .. }) => {
                *is_cut = true;
                *since
            }
            _ => return,
        };
        self.note(|| format!("connection {connection} is cut"));
        self.of_record(connection, |record| record.quiet_since = Some(quiet_since));
        time::sleep(KEEP_ALIVE).await;
        self.state().sessions[connection].is_cut = false;
        self.interrupt(connection, Interrupt::Crash);
    }

    fn interrupt_all(&self, host: usize, interrupt: &Interrupt) {
        let connections = self.state().sessions.len();
        for connection in 0..connections {
            if self.state().sessions[connection].host == host {
                self.interrupt(connection, interrupt.clone());
            }
        }
    }
}
