//! The queue, as other floors see it: calls come in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::{
    clock,
    dispatch::{Dispatcher, Runtime},
    leaving::Leaving,
    scheduler::Figures,
    worker,
};
use crate::pg::{
    chance::Chance,
    connection::{Network, Program, new_pool},
    exchange::Call,
    settings::Settings,
    statement::Statement,
};

/// Statements known at a time. Writes vary with the columns that they name.
const STATEMENTS: usize = 1000;

/// How much there is to do, who does it, and what has been done so far.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub max: usize,
    /// Open, or being opened.
    pub connections: usize,
    pub idle: usize,
    /// Calls that no connection has taken yet.
    pub waiting: usize,
    pub figures: Figures,
}

pub struct Queue {
    dispatcher: Arc<Dispatcher>,
    statements: Mutex<HashMap<String, Arc<Statement>>>,
}

impl Queue {
    /// `runtime` gives the runtime that tasks are spawned in: another one when the last has failed.
    pub fn new(
        settings: Settings,
        program: Arc<dyn Program>,
        network: Arc<dyn Network>,
        runtime: impl Fn() -> Handle + Send + Sync + 'static,
        chance: Chance,
        may_spin: bool,
    ) -> Arc<Self> {
        let chance = Arc::new(chance);
        let pool = {
            let (settings, chance) = (settings.clone(), chance.clone());
            move |ahead| new_pool(settings, program, network, chance, ahead)
        };
        let runtime: Runtime = Box::new(runtime);
        let work = |dispatcher, runtime, id, orders| -> BoxFuture<'static, ()> {
            Box::pin(worker::run(Leaving::new(dispatcher, runtime, id), orders))
        };
        let dispatcher = Dispatcher::new(settings, pool, runtime, work, chance, may_spin);
        dispatcher.attend(clock::serve);
        Arc::new(Self { dispatcher, statements: Mutex::default() })
    }

    pub(in crate::pg) fn settings(&self) -> &Settings {
        &self.dispatcher.settings
    }

    /// The one statement of this text and these declared types: what is prepared once is prepared for all adapters.
    pub fn statement(&self, statement: Statement) -> Arc<Statement> {
        known(&mut self.statements.lock().unwrap_or_else(PoisonError::into_inner), statement)
    }

    /// How many statements are known.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Queues calls, each of which is settled whatever happens. They are sent when they fill a batch, or when the turn of
    /// the event loop is over: with `are_last`, or by `flush`.
    pub fn join(&self, calls: impl IntoIterator<Item = Call>, are_last: bool) {
        self.dispatcher.queue(calls, are_last);
    }

    /// The calls that are queued may be sent.
    pub fn flush(&self) {
        self.dispatcher.queue([], true);
    }

    pub fn load(&self) -> Load {
        let max = self.settings().max;
        self.dispatcher.tell(|scheduler, _| Load {
            max,
            connections: scheduler.connections(),
            idle: scheduler.idle(),
            waiting: scheduler.waiting(),
            figures: scheduler.figures(),
        })
    }

    /// A caller has ended: its calls that wait are taken out, and those that are in flight are not sent again.
    pub fn caller_ended(&self) {
        self.dispatcher.caller_ended();
    }

    /// Waits for nothing: calls that wait are settled as ended, connections close when they have answered.
    pub fn end(&self) {
        self.dispatcher.end();
    }

    /// As `end`, and gives up what is under way.
    pub fn destroy(&self) {
        self.end();
        self.dispatcher.destroy();
    }
}

/// The one statement of this text and these declared types; all are forgotten where there would be too many.
fn known(statements: &mut HashMap<String, Arc<Statement>>, statement: Statement) -> Arc<Statement> {
    let key = statement.key();
    if statements.len() >= STATEMENTS && !statements.contains_key(&key) {
        statements.clear();
    }
    statements.entry(key).or_insert_with(|| Arc::new(statement)).clone()
}

#[cfg(test)]
mod tests {
    use super::{Arc, HashMap, STATEMENTS, Statement, known};

    #[test]
    fn a_text_is_one_statement_and_a_thousand_are_known_at_most() {
        let mut statements = HashMap::new();
        let mut of = |number: usize| {
            let statement = known(&mut statements, Statement::read(format!("SELECT {number}"), &[]));
            assert!(statements.len() <= STATEMENTS);
            statement
        };
        let first = of(0);
        for number in 1..STATEMENTS {
            of(number);
        }
        assert!(Arc::ptr_eq(&first, &of(0)));
        of(STATEMENTS);
        assert!(!Arc::ptr_eq(&first, &of(0)));
    }
}
