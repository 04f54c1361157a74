//! What a statement for many calls looks into. The server joins a table with the calls by its index; of a foreign table, or
//! of a view that groups, it may read every row for that.

use futures_util::TryStreamExt;
use postgres_protocol::escape::escape_literal;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relations {
    Tables,
    /// A view or a foreign table is among them, or among their partitions.
    Others,
}

/// Sends the question what relations of these names, written as SQL, are.
pub(super) async fn ask(client: &Client, names: &[String]) -> Result<SimpleQueryStream, Error> {
    client.simple_query_raw(&question(names)).await
}

/// Reads the answer to `ask`.
pub(super) async fn read(answer: SimpleQueryStream) -> Result<Relations, Error> {
    let messages: Vec<SimpleQueryMessage> = answer.try_collect().await?;
    let has_others = messages.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_)));
    Ok(if has_others { Relations::Others } else { Relations::Tables })
}

/// A row says that there are others than tables.
fn question(names: &[String]) -> String {
    let oids: Vec<String> =
        names.iter().map(|name| format!("pg_catalog.to_regclass({})", escape_literal(name))).collect();
    format!(
        "WITH RECURSIVE relation(oid) AS (\
         SELECT pg_catalog.unnest(ARRAY[{}])::pg_catalog.oid \
         UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN relation AS r ON i.inhparent = r.oid) \
         SELECT FROM pg_catalog.pg_class AS c JOIN relation AS r ON r.oid = c.oid WHERE c.relkind IN ('v', 'f')",
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
