//! One exchange of a session: what it does, what is planned for it, and which interrupts it heeds at which point.

use std::{pin::pin, sync::Arc};

use futures_util::future::select;
use tokio::time;

use super::{
    answer::{Output, Refusal},
    plan::{Cut, Place, Stage, Trouble, refusal},
    query::Question,
    request::Request,
    state::{Interrupt, Phase},
    transaction::{Stop, Transaction},
    world::World,
};

pub(super) struct Exchange {
    pub(super) world: Arc<World>,
    pub(super) connection: usize,
    /// Counted from the startup, which is 0.
    pub(super) number: usize,
    /// The same number, and which execution it is.
    pub(super) places: Vec<Place>,
    /// It begins or ends a transaction, or closes a statement: servers do not refuse that.
    is_never_refused: bool,
    commits: bool,
    /// It prepares something under a name.
    prepares: bool,
}

impl Exchange {
    pub(super) fn new(
        world: Arc<World>,
        connection: usize,
        number: usize,
        places: Vec<Place>,
        requests: &[Request],
    ) -> Self {
        let is_never_refused = !requests.is_empty() && requests.iter().all(Request::is_never_refused);
        let commits = requests.iter().any(|request| request.is_query("COMMIT"));
        let prepares = requests.iter().any(Request::prepares);
        Self { world, connection, number, places, is_never_refused, commits, prepares }
    }

    pub(super) async fn perform(
        &self,
        requests: Vec<Request>,
        transaction: &mut Transaction,
        output: &mut Output,
    ) -> Result<(), Stop> {
        let has_failed =
            self.world.state().sessions[self.connection].block.as_ref().is_some_and(|block| block.has_failed);
        let is_end = |request: &Request| request.is_query("ROLLBACK") || request.is_query("COMMIT");
        if has_failed && !requests.iter().any(is_end) {
            return Err(Stop::Refused(Refusal::error("25P02", "current transaction is aborted")));
        }
        if !requests.iter().any(|request| matches!(request, Request::Execute)) {
            self.pass(Stage::Received, output).await?;
        }
        for request in requests {
            match request {
                Request::Parse { name, sql } => transaction.parse(name, &sql, output)?,
                Request::Bind { statement, parameters } => transaction.bind(&statement, &parameters, output)?,
                Request::Describe { statement } => transaction.describe(&statement, output)?,
                Request::Execute => {
                    transaction.receive();
                    self.pass(Stage::Received, output).await?;
                    transaction.begin()?;
                    while !transaction.try_execute(output)? {
                        self.wait_for_rows().await?;
                    }
                }
                Request::Close { statement } => transaction.close(&statement, output),
                Request::Query(sql) => {
                    for sql in sql.split("; ") {
                        Question::read(sql).answer(&self.world, self.connection, transaction, output)?;
                    }
                }
                Request::Sync | Request::Password(_) | Request::Terminate => {}
            }
        }
        self.pass(Stage::Complete, output).await?;
        transaction.commit();
        self.pass(Stage::Committed, output).await?;
        transaction.told(output);
        Ok(())
    }

    /// Waits until another transaction ends.
    async fn wait_for_rows(&self) -> Result<(), Stop> {
        let interrupted = self.world.state().sessions[self.connection].interrupted.clone();
        self.world.note(|| format!("connection {} waits for a row", self.connection));
        select(pin!(self.world.unlocked.notified()), pin!(interrupted.notified())).await;
        self.heed()
    }

    /// What an interrupt does to a statement.
    fn heed(&self) -> Result<(), Stop> {
        match self.world.take_interrupt(self.connection) {
            None => Ok(()),
            Some(Interrupt::Cancel) => {
                Err(Stop::Refused(Refusal::error("57014", "canceling statement due to user request")))
            }
            Some(Interrupt::Terminate(code)) => {
                Err(Stop::Fatal(Refusal::fatal(code, "terminating connection due to administrator command")))
            }
            Some(Interrupt::Crash) => Err(Stop::Reset(Cut::After(usize::MAX))),
        }
    }

    async fn pass(&self, stage: Stage, output: &mut Output) -> Result<(), Stop> {
        match self.world.trouble(self.connection, &self.places, stage) {
            Some(Trouble::Notice) => {
                output.notice(&Refusal::notice("01000", "a notice"));
                Ok(())
            }
            _ => match self.trouble(stage).await {
                None => self.heed_at(stage, output),
                Some(stop) => Err(stop),
            },
        }
    }

    /// A commit that waits for a standby is not undone.
    fn heed_at(&self, stage: Stage, output: &mut Output) -> Result<(), Stop> {
        match self.heed() {
            Err(Stop::Refused(_)) if stage == Stage::Committed => {
                output.notice(&Refusal::notice("01000", "canceling wait for synchronous replication"));
                Ok(())
            }
            result => result,
        }
    }

    /// No server refuses this so. At `Sync` within a transaction nothing is done that could fail, and a `COMMIT` that only
    /// rolls back does nothing that could. What is wrong before a `COMMIT` has begun is an internal error or an interrupt, and
    /// leaves the transaction as a failed one.
    fn is_absurd(&self, code: &str, stage: Stage) -> bool {
        let servers = self.world.state();
        let block = servers.sessions[self.connection].block.as_ref();
        self.is_never_refused
            || (code == "42P05" && !self.prepares)
            || (self.commits && ["0A000", "26000"].contains(&code))
            || match stage {
                Stage::Received => self.commits && (code != "XX000" || block.is_none_or(|block| block.has_failed)),
                Stage::Complete | Stage::Committed => block.is_some() != self.commits,
            }
    }

    /// Goes through what is planned for this point.
    pub(super) async fn trouble(&self, stage: Stage) -> Option<Stop> {
        let trouble = self.world.trouble(self.connection, &self.places, stage)?;
        self.world.note(|| format!("connection {} meets {trouble:?} at {} {stage:?}", self.connection, self.number));
        let name = refusal(self.connection, self.number);
        Some(match trouble {
            Trouble::Wait(time) => {
                let before = self.world.state().sessions[self.connection].phase;
                if let (Phase::Working { executes: Some(executes) }, Stage::Committed) = (before, stage) {
                    self.world.state().sessions[self.connection].phase = Phase::WaitingForStandby { executes };
                }
                let interrupted = self.world.state().sessions[self.connection].interrupted.clone();
                select(pin!(time::sleep(time)), pin!(interrupted.notified())).await;
                return None;
            }
            Trouble::Notice | Trouble::Split(..) | Trouble::Merge(_) | Trouble::CutRequest(_) => return None,
            Trouble::Error(code) if self.is_absurd(code, stage) => return None,
            Trouble::Reset(cut) => Stop::Reset(cut),
            Trouble::Silence(cut) => Stop::Silence(cut),
            Trouble::Error(code) => Stop::Refused(Refusal::error(code, &name)),
            Trouble::Fatal(code) => Stop::Fatal(Refusal::fatal(code, &name)),
            Trouble::Pooler(author) => Stop::PoolerEnds(Refusal::of_pooler(author)),
        })
    }
}
