//! The first question of a session: what the server says of itself. It makes the session's one setting too, which takes no
//! round trip of its own.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::pg::{error::Error, settings::Target};

const STATE: &str = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), \
                     pg_catalog.current_setting('transaction_read_only'), \
                     pg_catalog.current_setting('array_nulls', true), \
                     pg_catalog.current_setting('crdb_version', true)";

pub(super) struct Question {
    /// The process id that the other side told when the connection started.
    pub(super) told: Option<i32>,
    /// The session plans each prepared statement once, unless a pooler stands between or the settings say otherwise.
    pub(super) plans_once: bool,
}

impl Question {
    /// The server plans a prepared statement anew each time if that looks cheaper than a plan for any parameters. Of a
    /// statement for two to nine ids it always does, as it expects ten of an array that it does not know: planning then
    /// takes longer than all the rest. None of our statements has a better plan for one id than for another.
    fn text(&self) -> String {
        match self.told {
            Some(told) if self.plans_once => format!(
                "{STATE}, CASE WHEN pg_catalog.pg_backend_pid() = {told} \
                 AND pg_catalog.current_setting('plan_cache_mode', true) = 'auto' \
                 THEN pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', false) END"
            ),
            _ => STATE.to_owned(),
        }
    }

    pub(super) async fn ask(&self, client: &Client) -> Result<State, Error> {
        let messages = client.simple_query(&self.text()).await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let Some(row) = row else { return Ok(State::default()) };
        let mut traits = Vec::new();
        for (column, (its, yes)) in (1..).zip(TRAITS) {
            let answer: Option<&str> = row.try_get(column)?;
            if answer.is_some_and(|answer| yes.is_none_or(|yes| answer == yes)) {
                traits.push(its);
            }
        }
        Ok(State { process_id: row.try_get(0)?.and_then(|id| id.parse().ok()), traits })
    }
}

/// What a server may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trait {
    InRecovery,
    ReadOnly,
    /// NULL in an array's text is NULL, and not a text of four letters.
    ArrayNulls,
    Cockroach,
}

/// What the columns of `STATE` after the first tell, and the text that says yes: any, where there is none.
const TRAITS: [(Trait, Option<&str>); 4] = [
    (Trait::InRecovery, Some("t")),
    (Trait::ReadOnly, Some("on")),
    (Trait::ArrayNulls, Some("on")),
    (Trait::Cockroach, None),
];

/// What a server says of itself.
#[derive(Default)]
pub(super) struct State {
    pub(super) process_id: Option<i32>,
    traits: Vec<Trait>,
}

impl State {
    pub(super) fn has(&self, its: Trait) -> bool {
        self.traits.contains(&its)
    }

    pub(super) fn is_wanted(&self, target: Target) -> bool {
        match target {
            Target::ReadWrite => !self.has(Trait::ReadOnly),
            Target::ReadOnly => self.has(Trait::ReadOnly),
            Target::Primary => !self.has(Trait::InRecovery),
            Target::Standby => self.has(Trait::InRecovery),
            Target::Any | Target::PreferStandby => true,
        }
    }
}
