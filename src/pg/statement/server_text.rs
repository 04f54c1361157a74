//! Some columns have no decoder here, or no binary form at all: the select list asks for their text.
//!
//! `SELECT *` tells by itself when the table has changed (`0A000`); a list of columns does not, so it carries a fingerprint
//! of the tables' columns, to be compared with the one that it was made for.

use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement as ServerStatement};

use crate::pg::{error::Error, value::field_bytes};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerText {
    /// What stands before and behind the statement.
    before: String,
    after: String,
    /// The index of the column that carries the fingerprint, and what it must be.
    column: usize,
    fingerprint: String,
}

impl ServerText {
    pub(super) fn rewrite(&self, sql: &str) -> String {
        format!("{}{sql}{}", self.before, self.after)
    }

    /// The first row is of other tables than those that the list of columns was made for.
    pub(super) fn is_stale(&self, first: &Row) -> bool {
        field_bytes(first, self.column) != Some(self.fingerprint.as_bytes())
    }

    /// Asks for the text of those columns that `needs_text` names, by their index.
    ///
    /// `format('%s', ...)` is the type's output function whatever casts to text there are (that of `inet` adds a netmask);
    /// it makes NULL empty, so that has a branch of its own. `IS NULL` is also true of a row of NULLs, `IS NOT DISTINCT`
    /// is not.
    pub(super) fn new(needs_text: &[bool], tables: &str, fingerprint: String) -> Self {
        let list: Vec<String> = needs_text
            .iter()
            .enumerate()
            .map(|(index, needs_text)| {
                let column = format!("c{index}");
                if *needs_text {
                    format!(
                        "CASE WHEN {column} IS NOT DISTINCT FROM NULL THEN NULL \
                         ELSE pg_catalog.format('%s', {column}) END"
                    )
                } else {
                    column
                }
            })
            .collect();
        let names: Vec<String> = (0..needs_text.len()).map(|index| format!("c{index}")).collect();
        Self {
            before: format!("SELECT {}, {} FROM (", list.join(", "), fingerprint_sql(tables)),
            after: format!(") AS answer({})", names.join(", ")),
            column: needs_text.len(),
            fingerprint,
        }
    }
}

/// The tables whose columns an answer has, by the names that they are known by now, as a list of SQL: another table may
/// take a name over.
pub(super) async fn tables(client: &Client, statement: &ServerStatement) -> Result<String, Error> {
    let mut oids: Vec<u32> = statement.columns().iter().filter_map(tokio_postgres::Column::table_oid).collect();
    oids.sort_unstable();
    oids.dedup();
    let mut names = Vec::with_capacity(oids.len());
    for oid in oids {
        let sql = format!("SELECT pg_catalog.quote_literal({oid}::pg_catalog.regclass::pg_catalog.text)");
        names.push(format!("pg_catalog.to_regclass({})", one_text(client, &sql).await?));
    }
    Ok(names.join(", "))
}

fn fingerprint_sql(tables: &str) -> String {
    format!(
        "(SELECT pg_catalog.string_agg(attname::text || ' ' || atttypid::text, ',' ORDER BY attrelid, attnum) \
         FROM pg_catalog.pg_attribute WHERE attrelid IN ({tables}) AND attnum > 0)"
    )
}

/// The fingerprint of the tables as they are now.
pub(super) async fn fingerprint(client: &Client, tables: &str) -> Result<String, Error> {
    one_text(client, &format!("SELECT {}", fingerprint_sql(tables))).await
}

async fn one_text(client: &Client, sql: &str) -> Result<String, Error> {
    let messages = client.simple_query(sql).await?;
    let text = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(text.unwrap_or_default().to_owned())
}
