//! One exchange by the extended protocol: what is prepared, bound, executed, and committed at `Sync`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    answer::{Output, Refusal},
    block::Block,
    database::{Change, Row, Table},
    plan::Cut,
    recognise::recognise,
    record::Received,
    state::{Owner, Phase, Prepared, PreparedStatement, State},
    statement::{Action, Effect},
    world::World,
};

/// Why an exchange is not answered as it should be.
#[derive(Debug)]
pub(super) enum Stop {
    Refused(Refusal),
    Fatal(Refusal),
    PoolerEnds(Refusal),
    Reset(Cut),
    Silence(Cut),
}

/// No statement is given up before it has taken so long: by `query_timeout`, or because it holds others up.
const GIVEN_UP: Duration = Duration::from_millis(300);
/// What a session may keep prepared: what the package keeps, and what it is about to close.
const MOST_PREPARED: usize = 110;

pub(super) struct Transaction {
    world: Arc<World>,
    connection: usize,
    exchange: usize,
    unnamed: Option<PreparedStatement>,
    bound: Option<(PreparedStatement, Vec<Row>)>,
    /// The index in the record.
    received: Option<usize>,
    /// What is to be committed.
    changes: Vec<Change>,
    /// It is a `COMMIT`.
    commits_block: bool,
}

impl Transaction {
    pub(super) fn new(world: Arc<World>, connection: usize, exchange: usize) -> Self {
        let (unnamed, bound, received, changes) = (None, None, None, Vec::new());
        Self { world, connection, exchange, unnamed, bound, received, changes, commits_block: false }
    }

    /// What is prepared where the transaction runs.
    fn prepared<'a>(&self, state: &'a mut State) -> &'a mut Prepared {
        if self.world.plan.has_pooler {
            let process = state.sessions[self.connection].process;
            return &mut state.pooled[process];
        }
        &mut state.sessions[self.connection].prepared
    }

    pub(super) fn parse(&mut self, name: String, sql: &str, output: &mut Output) -> Result<(), Stop> {
        let Some(statement) = recognise(sql) else {
            self.world.violated(format!("an unknown statement: {sql}"));
            return Err(Stop::Refused(Refusal::error("42601", "unknown statement")));
        };
        if self.world.plan.has_rule && statement.action == Action::SignUp {
            return Err(Stop::Refused(Refusal::error("0A000", "rules are not supported for such a statement")));
        }
        let mut state = self.world.state();
        let (parameters, fields) = (statement.parameters(&state.database), statement.fields(&state.database));
        let prepared = PreparedStatement { statement, parameters, fields };
        if name.is_empty() {
            self.unnamed = Some(prepared);
        } else {
            let known = self.prepared(&mut state);
            if known.contains_key(&name) {
                return Err(Stop::Refused(Refusal::error("42P05", "prepared statement already exists")));
            }
            known.insert(name, prepared);
            let count = known.len();
            drop(state);
            if count > MOST_PREPARED {
                self.world.violated(format!("{count} statements are prepared on connection {}", self.connection));
            }
        }
        output.parsed();
        Ok(())
    }

    fn known(&self, name: &str) -> Result<PreparedStatement, Stop> {
        let found = if name.is_empty() {
            self.unnamed.clone()
        } else {
            self.prepared(&mut self.world.state()).get(name).cloned()
        };
        found.ok_or_else(|| Stop::Refused(Refusal::error("26000", "prepared statement does not exist")))
    }

    pub(super) fn describe(&self, name: &str, output: &mut Output) -> Result<(), Stop> {
        let PreparedStatement { parameters, fields, .. } = self.known(name)?;
        output.parameters(&parameters);
        output.described(&fields);
        Ok(())
    }

    pub(super) fn bind(&mut self, name: &str, parameters: &[Option<String>], output: &mut Output) -> Result<(), Stop> {
        let prepared = self.known(name)?;
        let calls = prepared.statement.calls(parameters);
        self.bound = Some((prepared, calls));
        output.bound();
        Ok(())
    }

    /// The server gets to the statement: from now on it has the tables locked, so that their columns stay as they are.
    pub(super) fn begin(&self) -> Result<(), Stop> {
        let (PreparedStatement { statement, fields, .. }, _) = self.bound.as_ref().unwrap();
        if statement.fields(&self.world.state().database) != *fields {
            return Err(Stop::Refused(Refusal::error("0A000", "cached plan must not change result type")));
        }
        Ok(())
    }

    /// False while another transaction has a row locked that this one is to change.
    pub(super) fn try_execute(&mut self, output: &mut Output) -> Result<bool, Stop> {
        let (PreparedStatement { statement, .. }, calls) = self.bound.as_ref().unwrap();
        let action = statement.action;
        if action.is_write() && self.world.is_standby(self.connection) {
            return Err(Stop::Refused(Refusal::error("25006", "cannot execute in a read-only transaction")));
        }
        let effect = statement.effect(&self.world.state().seen(self.connection), calls);
        let Effect { rows, tag, changes } = match effect {
            // A violation is waited for too: who has the row may not commit.
            Err(refusal) if self.world.lock(&Self::named(action, calls), self.owner()) => {
                return Err(Stop::Refused(refusal));
            }
            Err(_) => return Ok(false),
            Ok(effect) => effect,
        };
        let mut locks = Self::named(action, calls);
        locks.extend(changes.iter().map(|change| (change.table(), change.id().to_owned())));
        if action.is_write() && !self.world.lock(&locks, self.owner()) {
            return Ok(false);
        }
        self.changes = changes;
        for row in &rows {
            output.row(row);
        }
        output.complete(&tag);
        Ok(true)
    }

    fn owner(&self) -> Owner {
        Owner::Session(self.connection)
    }

    /// The rows that the parameters name: those that come into being, and the users that they belong to.
    fn named(action: Action, calls: &[Row]) -> Vec<(Table, String)> {
        let mut named = Vec::new();
        for call in calls {
            let mut add = |table, index: usize| named.extend(call[index].clone().map(|id| (table, id)));
            match action {
                Action::Insert(table) => {
                    add(table, 0);
                    if table != Table::User {
                        add(Table::User, 1);
                    }
                }
                Action::SignUp => {
                    add(Table::User, 0);
                    add(Table::Key, 2);
                }
                Action::Update(table) => add(table, call.len() - 1),
                Action::Delete(table, "id") => add(table, 0),
                _ => {}
            }
        }
        named
    }

    /// The statement is about to be executed.
    pub(super) fn receive(&mut self) {
        let (connection, exchange) = (self.connection, self.exchange);
        let (PreparedStatement { statement, .. }, calls) = self.bound.clone().unwrap();
        self.world.note(|| format!("connection {connection} executes {exchange}: {:?} {calls:?}", statement.action));
        self.record(statement.action, calls);
    }

    fn record(&mut self, action: Action, calls: Vec<Row>) {
        let (connection, exchange) = (self.connection, self.exchange);
        let mut state = self.world.state();
        let free_since = state.sessions[connection].free_since;
        let is_ahead = (2..2 + state.sessions[connection].ahead).contains(&exchange);
        let at = Instant::now();
        let received = Received { at, connection, exchange, action, calls, free_since, lost_at: None, is_ahead };
        let is_write = received.action.is_write();
        state.record.received.push(received);
        self.received = Some(state.record.received.len() - 1);
        state.sessions[connection].phase = Phase::Working { executes: self.received };
        let max = self.world.plan.max;
        let writing = state.writing(GIVEN_UP);
        drop(state);
        if is_write && max > 1 && writing >= max {
            self.world.violated(format!("{writing} connections of {max} execute changes"));
        }
    }

    pub(super) fn close(&mut self, name: &str, output: &mut Output) {
        self.prepared(&mut self.world.state()).remove(name);
        output.closed();
    }

    /// `BEGIN`, `COMMIT` or `ROLLBACK`.
    pub(super) fn command(&mut self, command: &'static str, output: &mut Output) {
        let block = self.world.state().sessions[self.connection].block.take();
        let stays = match (command, &block) {
            ("BEGIN", _) => Some(Block::default()),
            ("COMMIT", Some(block)) if !block.has_failed => Some(block.clone()),
            _ => None,
        };
        self.commits_block = command == "COMMIT" && stays.is_some();
        let sign_up = stays.as_ref().filter(|_| self.commits_block).and_then(Block::sign_up);
        let is_odd = self.commits_block && sign_up.is_none() && stays.as_ref().is_some_and(|block| !block.is_empty());
        self.world.state().sessions[self.connection].block = stays;
        if let Some(sign_up) = sign_up {
            self.record(Action::SignUp, vec![sign_up]);
        }
        if is_odd {
            self.world.violated(format!("a transaction is no sign-up: {block:?}"));
        }
        if !self.commits_block {
            output.complete(if command == "BEGIN" { command } else { "ROLLBACK" });
        }
    }

    /// A `COMMIT` is done.
    pub(super) fn told(&self, output: &mut Output) {
        if self.commits_block {
            output.complete("COMMIT");
        }
    }

    /// The exchange is refused: what fails in a block fails all of it, and a `COMMIT` that fails ends it.
    pub(super) fn fail(&self) {
        let block = &mut self.world.state().sessions[self.connection].block;
        if self.commits_block {
            *block = None;
        } else if let Some(block) = block {
            block.has_failed = true;
        }
    }

    pub(super) fn commit(&mut self) {
        let block = self.world.state().sessions[self.connection].block.take();
        if let Some(mut block) = block {
            if self.commits_block {
                self.changes = block.changes;
            } else {
                if let (Some(_), Some((bound, calls))) = (self.received, &self.bound) {
                    block.add(bound.statement.action, calls.clone(), &self.changes);
                }
                self.world.state().sessions[self.connection].block = Some(block);
                return;
            }
        }
        let Some(received) = self.received else { return };
        if self.world.state().record.received[received].action.is_write() {
            self.world.note(|| format!("connection {} commits {}", self.connection, self.exchange));
            self.world.commit(Some(received), &self.changes);
        }
    }

    /// Gives up what is locked, unless the transaction goes on.
    pub(super) fn end(&self) {
        if self.world.state().sessions[self.connection].block.is_none() {
            self.world.unlock(self.owner());
        }
    }
}
