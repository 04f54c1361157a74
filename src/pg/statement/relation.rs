//! What a statement looks into. The server joins a table with many calls by its index; of a foreign table, or of a view that
//! groups, it may read every row for that. And columns may be of types that the driver has to ask for.

use futures_util::TryStreamExt;
use postgres_protocol::escape::escape_literal;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relations {
    Tables,
    /// A table with partitions, or that others inherit from, is among them. The server takes a lookup in it for one in each of
    /// its parts, and joins it with many calls by reading all of them, where the parts are many or small.
    Parted,
    /// A view or a foreign table is among them, or among their partitions.
    Others,
}

/// What there is among relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) relations: Relations,
    /// A column is of a type that is not built in.
    pub(super) has_own_types: bool,
}

/// Sends the question what relations of these names, written as SQL, are.
pub(super) async fn ask(client: &Client, names: &[String]) -> Result<SimpleQueryStream, Error> {
    client.simple_query_raw(&question(names)).await
}

/// Reads the answer to `ask`.
pub(super) async fn read(answer: SimpleQueryStream) -> Result<Found, Error> {
    let messages: Vec<SimpleQueryMessage> = answer.try_collect().await?;
    let has = |what| {
        messages.iter().any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some(what)))
    };
    let relations = match (has(OTHER), has(PARTED)) {
        (true, _) => Relations::Others,
        (false, true) => Relations::Parted,
        (false, false) => Relations::Tables,
    };
    Ok(Found { relations, has_own_types: has(OWN_TYPE) })
}

/// What a row of the answer says that there is.
const OTHER: &str = "other";
const PARTED: &str = "parted";
const OWN_TYPE: &str = "own type";
/// The first OID of a type that `initdb` has made, or a user: PostgreSQL's `FirstGenbkiObjectId`.
const FIRST_OWN_TYPE: u32 = 10_000;

fn question(names: &[String]) -> String {
    let oids: Vec<String> =
        names.iter().map(|name| format!("pg_catalog.to_regclass({})", escape_literal(name))).collect();
    format!(
        "WITH RECURSIVE relation(oid) AS (\
         SELECT pg_catalog.unnest(ARRAY[{}])::pg_catalog.oid \
         UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN relation AS r ON i.inhparent = r.oid) \
         SELECT '{OTHER}' FROM pg_catalog.pg_class AS c JOIN relation AS r ON r.oid = c.oid WHERE c.relkind IN ('v', 'f') \
         UNION SELECT '{PARTED}' FROM pg_catalog.pg_class AS c JOIN relation AS r ON r.oid = c.oid WHERE c.relhassubclass \
         UNION SELECT '{OWN_TYPE}' FROM pg_catalog.pg_attribute AS a JOIN relation AS r ON r.oid = a.attrelid \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= {FIRST_OWN_TYPE}",
        oids.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn a_name_is_quoted_for_sessions_that_take_backslashes_for_escapes_too() {
        let sql = question(&[r#""it's a \ name""#.to_owned(), "\"b\"".to_owned()]);
        assert!(
            sql.contains(r#"ARRAY[pg_catalog.to_regclass( E'"it''s a \\ name"'), pg_catalog.to_regclass('"b"')]"#),
            "{sql}"
        );
    }
}
