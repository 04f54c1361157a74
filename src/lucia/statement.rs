//! SQL text: pure functions of table and column names.

use super::{name::Name, version::Join};
use crate::pg::{Batch, Lookup};

/// A lookup, for one id and for many.
///
/// Both have a column that belongs to no table, `position`: it parts the columns of the first table from those of the
/// second (either may have columns of the same names), and says which of many ids a row answers. Ids are compared by the
/// server, as their column compares (`citext`, `char(n)`, `uuid` ...), and matched to the answers by position.
pub fn lookup(table: &Name, column: &str) -> (String, Batch) {
    let wanted = |id: &str| format!("FROM {table} AS t WHERE t.{column} = {id}");
    (
        format!("SELECT t.*, 1::pg_catalog.int8 AS position {}", wanted("$1")),
        batch(
            "SELECT t.*, call.position",
            &[table],
            &format!("JOIN {table} AS t ON t.{column} = call.id"),
            &format!("{} AS t", each(&format!("SELECT t.* {}", wanted("call.id")))),
        ),
    )
}

/// The lookup of a session and its user in one row, for one session id and for many. `join` says what becomes of a
/// session without a user.
pub fn session_and_user(session: &Name, user: &Name, join: Join) -> (String, Batch) {
    let each_session = each(&format!("SELECT s.* FROM {session} AS s WHERE s.id = call.id"));
    let user_of_each = format!("SELECT u.* FROM {user} AS u WHERE u.id = s.user_id");
    let join_user = format!("JOIN {user} AS u ON u.id = s.user_id");
    let (join, each_user) = match join {
        Join::Inner => (join_user, format!("{} AS u", each(&user_of_each))),
        Join::Left => {
            (format!("LEFT {join_user}"), format!("LEFT JOIN LATERAL ({user_of_each} OFFSET 0) AS u ON true"))
        }
    };
    (
        format!("SELECT s.*, 1::pg_catalog.int8 AS position, u.* FROM {session} AS s {join} WHERE s.id = $1"),
        batch(
            "SELECT s.*, call.position, u.*",
            &[session, user],
            &format!("JOIN {session} AS s ON s.id = call.id {join}"),
            &format!("{each_session} AS s {each_user}"),
        ),
    )
}

/// The lookup of a session and the lookup of its user, each by the session's id: for tables that have more columns
/// together than the 1,664 of one answer.
pub fn session_then_user(session: &Name, user: &Name, join: Join) -> [String; 2] {
    let join = if join == Join::Left { "LEFT JOIN" } else { "JOIN" };
    [
        format!("SELECT s.* FROM {session} AS s WHERE s.id = $1 LIMIT 1"),
        format!("SELECT u.* FROM {session} AS s {join} {user} AS u ON u.id = s.user_id WHERE s.id = $1 LIMIT 1"),
    ]
}

/// `OFFSET` keeps the server from joining, for which it would read the whole of some relations.
fn each(query: &str) -> String {
    format!("CROSS JOIN LATERAL ({query} OFFSET 0)")
}

fn batch(select: &str, relations: &[&Name], joins: &str, each: &str) -> Batch {
    let parts = |joins: &str| {
        vec![format!("{select} FROM pg_catalog.unnest("), format!(") WITH ORDINALITY AS call(id, position) {joins}")]
    };
    let relations = relations.iter().map(ToString::to_string).collect();
    Batch { parts: parts(joins), lookup: Lookup::Any(relations, parts(each)) }
}

/// A statement that writes: as it is, with a probe (see `pg::statement::Statement`), and for many calls, with a probe too.
pub struct Change {
    pub plain: String,
    pub with_probe: String,
    pub batch: Option<Batch>,
}

/// The insertion of one row, whose values are the parameters in the order of `columns`.
pub fn insert(table: &Name, columns: &[Name]) -> Change {
    let plain = format!("INSERT INTO {table} ({}) VALUES ({})", list(columns), parameters(0, columns.len()));
    let aliases = aliases("g", columns.len());
    let before = format!("WITH i({}) AS (INSERT INTO {table} ({}) SELECT * FROM", aliases.join(", "), list(columns));
    let after = format!(" RETURNING {}) SELECT {}", nothing_of("", columns), none_of("i", &aliases));
    Change {
        with_probe: format!("{plain} RETURNING {}", nothing_of("", columns)),
        plain,
        batch: Some(Batch { parts: parts(&before, columns.len(), &after), lookup: Lookup::None }),
    }
}

/// A user and its key: either both or none. The key's row reads from the user's insertion, so that of two violations the
/// user's is reported, as it is when one statement follows the other. It reads a count: the user's row may be one that a
/// trigger has put elsewhere.
pub fn insert_user_and_key(user: &Name, user_columns: &[Name], key: &Name, key_columns: &[Name]) -> Change {
    const AFTER_USER: &str = "FROM (SELECT pg_catalog.count(*) FROM u) AS u";
    let both = |names: &str, returned: &str| {
        format!(
            "WITH u({names}) AS (INSERT INTO {user} ({}) VALUES ({}) RETURNING {returned}) INSERT INTO {key} ({}) \
             SELECT {} {AFTER_USER}",
            list(user_columns),
            parameters(0, user_columns.len()),
            list(key_columns),
            parameters(user_columns.len(), key_columns.len()),
        )
    };
    let of_user = aliases("g", user_columns.len());
    let of_key = aliases("h", key_columns.len());
    let before_user =
        format!("WITH u({}) AS (INSERT INTO {user} ({}) SELECT * FROM", of_user.join(", "), list(user_columns));
    let between = format!(
        " RETURNING {}), k({}) AS (INSERT INTO {key} ({}) SELECT call.* {AFTER_USER},",
        nothing_of("", user_columns),
        of_key.join(", "),
        list(key_columns)
    );
    let after_key = format!(
        " RETURNING {}) SELECT {}, {}",
        nothing_of("", key_columns),
        none_of("k", &of_key),
        none_of("u", &of_user)
    );
    let mut batch = parts(&before_user, user_columns.len(), &between);
    let mut rest = parts("", key_columns.len(), &after_key).into_iter();
    if let (Some(last), Some(first)) = (batch.last_mut(), rest.next()) {
        last.push_str(&first);
    }
    batch.extend(rest);
    Change {
        plain: both("g", "1"),
        with_probe: format!(
            "{} RETURNING {}, {}",
            both(&of_user.join(", "), &nothing_of("", user_columns)),
            nothing_of("", key_columns),
            none_of("u", &of_user)
        ),
        batch: Some(Batch { parts: batch, lookup: Lookup::None }),
    }
}

/// Around `count` arrays, the elements of which are the rows of `call`.
fn parts(before: &str, count: usize, after: &str) -> Vec<String> {
    let mut parts = vec!["), pg_catalog.unnest(".to_owned(); count + 1];
    parts[0] = format!("{before} ROWS FROM (pg_catalog.unnest(");
    parts[count] = format!(")) AS call{after}");
    parts
}

/// Names for what an insertion returns.
fn aliases(prefix: &str, count: usize) -> Vec<String> {
    (1..=count).map(|index| format!("{prefix}{index}")).collect()
}

/// NULLs with the types of the columns that an insertion returned.
fn none_of(insertion: &str, aliases: &[String]) -> String {
    let none = |alias: &String| format!("(SELECT {alias} FROM {insertion} LIMIT 0)");
    aliases.iter().map(none).collect::<Vec<_>>().join(", ")
}

/// The update of the row with an id. The parameters are the values of `columns`, then the id. Of many calls for one row
/// the last counts; rows are changed in the order of their ids, so that two statements do not wait for one another in a
/// circle (`40P01`).
pub fn update(table: &Name, columns: &[Name]) -> Change {
    let set = |value: &dyn Fn(usize) -> String| {
        let set = columns.iter().zip(1..).map(|(column, number)| format!("{column} = {}", value(number)));
        format!("UPDATE {table} AS t SET {}", set.collect::<Vec<_>>().join(", "))
    };
    let probe = format!("RETURNING {}", nothing_of("t.", columns));
    let plain = format!("{} WHERE t.id = ${}", set(&|number| format!("${number}")), columns.len() + 1);
    let before = format!("{} FROM (SELECT DISTINCT ON (call.id) * FROM", set(&|number| format!("call.v{number}")));
    let values = aliases("v", columns.len()).join(", ");
    let mut batch = parts(&before, columns.len() + 1, "");
    if let Some(last) = batch.last_mut() {
        *last = format!(
            ")) WITH ORDINALITY AS call({values}, id, position) ORDER BY call.id, call.position DESC) AS call \
             WHERE t.id = call.id {probe}, call.position"
        );
    }
    let batch = Batch { parts: batch, lookup: Lookup::Tables(vec![table.to_string()]) };
    Change { with_probe: format!("{plain} {probe}"), plain, batch: Some(batch) }
}

/// NULLs of the columns' types; of a field of a column, just NULL.
fn nothing_of(table: &str, columns: &[Name]) -> String {
    let nothing = |column: &Name| {
        if column.has_parts() { "NULL".to_owned() } else { format!("CASE WHEN false THEN {table}{column} END") }
    };
    columns.iter().map(nothing).collect::<Vec<_>>().join(", ")
}

/// The deletion of all rows whose `column` is the parameter.
pub fn delete(table: &Name, column: &str) -> Change {
    let plain = format!("DELETE FROM {table} AS t WHERE t.{column} = $1");
    let probe = format!("RETURNING CASE WHEN false THEN t.{column} END");
    let before = format!("DELETE FROM {table} AS t USING pg_catalog.unnest(");
    let after = format!(") WITH ORDINALITY AS call(id, position) WHERE t.{column} = call.id {probe}, call.position");
    let batch = Batch { parts: vec![before, after], lookup: Lookup::Tables(vec![table.to_string()]) };
    Change { with_probe: format!("{plain} {probe}"), plain, batch: Some(batch) }
}

/// The deletion of all sessions for which the condition `is_dead` holds.
pub fn delete_expired(session: &Name, is_dead: &str) -> String {
    format!("DELETE FROM {session} WHERE {is_dead}")
}

fn list(columns: &[Name]) -> String {
    columns.iter().map(Name::to_string).collect::<Vec<_>>().join(", ")
}

fn parameters(before: usize, count: usize) -> String {
    (1..=count).map(|index| format!("${}", before + index)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{
        delete, delete_expired, insert, insert_user_and_key, lookup, session_and_user, session_then_user, update,
    };
    use crate::{
        lucia::{name::Name, version::Join},
        pg::Lookup,
    };

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::new(text).unwrap()).collect()
    }

    #[test]
    fn a_lookup_for_many_parts_where_the_type_of_the_ids_belongs() {
        let tables = names(&["user_session", "auth_user"]);
        let (one, many) = lookup(&tables[0], "user_id");
        assert_eq!(one, r#"SELECT t.*, 1::pg_catalog.int8 AS position FROM "user_session" AS t WHERE t.user_id = $1"#);
        assert_eq!(
            many.parts,
            [
                "SELECT t.*, call.position FROM pg_catalog.unnest(",
                ") WITH ORDINALITY AS call(id, position) JOIN \"user_session\" AS t ON t.user_id = call.id"
            ]
        );
        let (_, many) = session_and_user(&tables[0], &tables[1], Join::Inner);
        assert_eq!(
            many.parts[1],
            ") WITH ORDINALITY AS call(id, position) JOIN \"user_session\" AS s ON s.id = call.id \
             JOIN \"auth_user\" AS u ON u.id = s.user_id"
        );
    }

    #[test]
    fn relations_that_are_no_tables_are_looked_into_for_each_call_by_itself() {
        let tables = names(&["user_session", "auth_user"]);
        let each = |join| match session_and_user(&tables[0], &tables[1], join).1.lookup {
            Lookup::Any(relations, parts) => (relations, parts[1].clone()),
            other => panic!("{other:?}"),
        };
        let session = ") WITH ORDINALITY AS call(id, position) CROSS JOIN LATERAL (SELECT s.* FROM \"user_session\" AS s \
                       WHERE s.id = call.id OFFSET 0) AS s ";
        let user = "JOIN LATERAL (SELECT u.* FROM \"auth_user\" AS u WHERE u.id = s.user_id OFFSET 0) AS u";
        let relations = vec![r#""user_session""#.to_owned(), r#""auth_user""#.to_owned()];
        assert_eq!(each(Join::Inner), (relations.clone(), format!("{session}CROSS {user}")));
        assert_eq!(each(Join::Left), (relations, format!("{session}LEFT {user} ON true")));
    }

    #[test]
    fn a_session_is_found_without_its_user_where_the_version_says_so() {
        let tables = names(&["s", "u"]);
        for (join, text) in [(Join::Inner, "JOIN"), (Join::Left, "LEFT JOIN")] {
            assert_eq!(
                session_then_user(&tables[0], &tables[1], join),
                [
                    r#"SELECT s.* FROM "s" AS s WHERE s.id = $1 LIMIT 1"#.to_owned(),
                    format!(r#"SELECT u.* FROM "s" AS s {text} "u" AS u ON u.id = s.user_id WHERE s.id = $1 LIMIT 1"#),
                ]
            );
        }
        assert_eq!(delete_expired(&tables[0], "n < $1"), r#"DELETE FROM "s" WHERE n < $1"#);
    }

    #[test]
    fn writes_number_their_parameters() {
        let columns = names(&["id", "na me"]);
        assert_eq!(
            update(&columns[0], &columns).with_probe,
            r#"UPDATE "id" AS t SET "id" = $1, "na me" = $2 WHERE t.id = $3 "#.to_owned()
                + r#"RETURNING CASE WHEN false THEN t."id" END, CASE WHEN false THEN t."na me" END"#
        );
        assert_eq!(
            insert_user_and_key(&columns[1], &columns[..1], &columns[0], &columns).with_probe,
            "WITH u(g1) AS (INSERT INTO \"na me\" (\"id\") VALUES ($1) RETURNING CASE WHEN false THEN \"id\" END) \
             INSERT INTO \"id\" (\"id\", \"na me\") SELECT $2, $3 FROM (SELECT pg_catalog.count(*) FROM u) AS u \
             RETURNING CASE WHEN false THEN \"id\" END, CASE WHEN false THEN \"na me\" END, (SELECT g1 FROM u LIMIT 0)"
        );
    }

    #[test]
    fn a_deletion_tells_the_type_of_its_column_and_for_many_which_call_a_row_was_deleted_for() {
        let deletion = delete(&names(&["user_key"])[0], "user_id");
        let probe = "RETURNING CASE WHEN false THEN t.user_id END";
        assert_eq!(deletion.plain, r#"DELETE FROM "user_key" AS t WHERE t.user_id = $1"#);
        assert_eq!(deletion.with_probe, format!("{} {probe}", deletion.plain));
        assert_eq!(
            deletion.batch.unwrap().parts,
            [
                r#"DELETE FROM "user_key" AS t USING pg_catalog.unnest("#.to_owned(),
                format!(") WITH ORDINALITY AS call(id, position) WHERE t.user_id = call.id {probe}, call.position")
            ]
        );
    }

    #[test]
    fn of_many_updates_of_one_row_the_last_counts() {
        let columns = names(&["user_session", "expires_at"]);
        let update = update(&columns[0], &columns[1..]);
        let probe = r#"RETURNING CASE WHEN false THEN t."expires_at" END"#;
        assert_eq!(
            update.batch.unwrap().parts,
            [
                r#"UPDATE "user_session" AS t SET "expires_at" = call.v1 FROM (SELECT DISTINCT ON (call.id) * "#
                    .to_owned()
                    + "FROM ROWS FROM (pg_catalog.unnest(",
                "), pg_catalog.unnest(".to_owned(),
                ")) WITH ORDINALITY AS call(v1, id, position) ORDER BY call.id, call.position DESC) AS call "
                    .to_owned()
                    + "WHERE t.id = call.id "
                    + probe
                    + ", call.position"
            ]
        );
    }

    #[test]
    fn an_insertion_for_many_parts_where_the_arrays_belong() {
        let columns = names(&["id", "name"]);
        assert_eq!(
            insert(&columns[1], &columns).batch.unwrap().parts,
            [
                r#"WITH i(g1, g2) AS (INSERT INTO "name" ("id", "name") SELECT * FROM ROWS FROM (pg_catalog.unnest("#
                    .to_owned(),
                "), pg_catalog.unnest(".to_owned(),
                r#")) AS call RETURNING CASE WHEN false THEN "id" END, CASE WHEN false THEN "name" END) "#.to_owned()
                    + "SELECT (SELECT g1 FROM i LIMIT 0), (SELECT g2 FROM i LIMIT 0)"
            ]
        );
        assert_eq!(
            insert_user_and_key(&columns[1], &columns[..1], &columns[0], &columns).batch.unwrap().parts,
            [
                r#"WITH u(g1) AS (INSERT INTO "name" ("id") SELECT * FROM ROWS FROM (pg_catalog.unnest("#.to_owned(),
                r#")) AS call RETURNING CASE WHEN false THEN "id" END), k(h1, h2) AS (INSERT INTO "id" ("id", "name") "#
                    .to_owned()
                    + "SELECT call.* FROM (SELECT pg_catalog.count(*) FROM u) AS u, ROWS FROM (pg_catalog.unnest(",
                "), pg_catalog.unnest(".to_owned(),
                r#")) AS call RETURNING CASE WHEN false THEN "id" END, CASE WHEN false THEN "name" END) "#.to_owned()
                    + "SELECT (SELECT h1 FROM k LIMIT 0), (SELECT h2 FROM k LIMIT 0), (SELECT g1 FROM u LIMIT 0)"
            ]
        );
    }
}
