//! Questions by the simple protocol, which `pg` asks of a session.

use super::{
    answer::{Field, Output, Refusal},
    state::{FIRST_PROCESS_ID, Phase},
    transaction::{Stop, Transaction},
    world::World,
};

/// The process id that a pooler's server tells is never the one that the pooler told.
const POOLED_PROCESS_ID: i32 = 500_000;

pub(super) enum Question<'a> {
    /// A list of functions that tell of the session, and the process id that makes it plan each statement once.
    State(Vec<&'a str>, Option<&'a str>),
    /// Does the commit of this process wait for a standby?
    WaitsForStandby(i32),
    /// Answered with no more than that it is done.
    Command(&'static str),
    PreparedNames,
    /// Which of some relations are views? None is.
    Views,
    Deallocate(&'a str),
    Unknown(&'a str),
}

const COMMANDS: [&str; 3] = ["BEGIN", "COMMIT", "ROLLBACK"];

impl<'a> Question<'a> {
    pub(super) fn read(sql: &'a str) -> Self {
        let word = sql.split_whitespace().next().unwrap_or_default();
        if let Some(command) = COMMANDS.iter().find(|command| **command == word) {
            return Self::Command(command);
        }
        if sql.starts_with("SELECT name FROM pg_catalog.pg_prepared_statements") {
            return Self::PreparedNames;
        }
        if sql.starts_with("WITH RECURSIVE relation(oid)") {
            return Self::Views;
        }
        if let Some(name) = sql.strip_prefix("DEALLOCATE ") {
            return Self::Deallocate(name.trim_matches('"'));
        }
        if let Some((_, rest)) = sql.split_once("FROM pg_catalog.pg_stat_activity WHERE pid = ") {
            let digits = rest.split(' ').next().unwrap_or_default();
            return digits.parse().map_or(Self::Unknown(sql), Self::WaitsForStandby);
        }
        match sql.strip_prefix("SELECT ") {
            Some(list) if !list.contains(" FROM ") => {
                let (list, setting) =
                    list.split_once(", CASE WHEN ").map_or((list, None), |(list, rest)| (list, Some(rest)));
                let told = setting.and_then(|setting| setting.strip_prefix("pg_catalog.pg_backend_pid() = "));
                let functions = list.split("pg_catalog.").map(|part| part.trim().trim_end_matches(','));
                let functions = functions.filter(|part| !part.is_empty()).collect();
                Self::State(functions, told.and_then(|told| told.split(' ').next()))
            }
            _ => Self::Unknown(sql),
        }
    }

    pub(super) fn answer(
        self,
        world: &World,
        connection: usize,
        transaction: &mut Transaction,
        output: &mut Output,
    ) -> Result<(), Stop> {
        match self {
            Self::State(functions, told) => {
                let values: Result<Vec<_>, Stop> =
                    functions.iter().map(|function| value(world, connection, function)).collect();
                let mut values = values?;
                if let Some(told) = told {
                    let is_direct = value(world, connection, "pg_backend_pid()")?.as_deref() == Some(told);
                    values.push(is_direct.then(|| "force_generic_plan".to_owned()));
                }
                rows(output, &[values]);
            }
            Self::WaitsForStandby(process_id) => {
                let asked = usize::try_from(process_id - FIRST_PROCESS_ID).ok();
                let waits = asked.and_then(|at| world.state().sessions.get(at).map(|session| session.phase));
                rows(output, &vec![Vec::new(); usize::from(matches!(waits, Some(Phase::WaitingForStandby { .. })))]);
            }
            Self::Command(command) => transaction.command(command, output),
            Self::PreparedNames => {
                let state = world.state();
                let mut names: Vec<_> = state.pooled[state.sessions[connection].process].keys().cloned().collect();
                names.sort_unstable();
                rows(output, &names.into_iter().map(|name| vec![Some(name)]).collect::<Vec<_>>());
            }
            Self::Views => rows(output, &[]),
            Self::Deallocate(name) => {
                for process in &mut world.state().pooled {
                    process.remove(name);
                }
                output.complete("DEALLOCATE");
            }
            Self::Unknown(sql) => return Err(unknown(world, sql)),
        }
        Ok(())
    }
}

fn unknown(world: &World, sql: &str) -> Stop {
    world.violated(format!("an unknown question: {sql}"));
    Stop::Refused(Refusal::error("42601", "unknown question"))
}

fn value(world: &World, connection: usize, function: &str) -> Result<Option<String>, Stop> {
    let is_standby = world.is_standby(connection);
    Ok(Some(match function {
        "pg_backend_pid()" => {
            let first = if world.plan.has_pooler { POOLED_PROCESS_ID } else { FIRST_PROCESS_ID };
            (first + i32::try_from(connection).unwrap()).to_string()
        }
        "pg_is_in_recovery()" => (if is_standby { "t" } else { "f" }).to_owned(),
        "current_setting('transaction_read_only')" => (if is_standby { "on" } else { "off" }).to_owned(),
        "current_setting('array_nulls', true)" => "on".to_owned(),
        "current_setting('crdb_version', true)" => return Ok(None),
        _ => return Err(unknown(world, function)),
    }))
}

/// Rows of texts.
fn rows(output: &mut Output, rows: &[Vec<Option<String>>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let field = |_| Field { name: "text".to_owned(), table: 0, kind: 25 };
    let fields: Vec<Field> = (0..columns).map(field).collect();
    output.columns(&fields);
    for row in rows {
        output.row(&row.iter().map(|text| text.clone().map(String::into_bytes)).collect::<Vec<_>>());
    }
    output.complete(&format!("SELECT {}", rows.len()));
}
