//! Which statement a text is: those that `crate::lucia` builds, and no other.

use std::{collections::HashMap, fmt::Write, sync::LazyLock};

use super::{
    database::{TABLES, columns, updated},
    statement::{Action, Statement},
};
use crate::{
    lucia::{
        name::Name,
        statement as lucia,
        version::Join,
        violation::{Constraint, question},
    },
    pg::Batch,
};

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().map(|text| name(text)).collect()
}

static KNOWN: LazyLock<HashMap<String, Statement>> = LazyLock::new(|| {
    let mut known = HashMap::new();
    let mut learn = |action, (one, many): (Vec<(String, bool)>, Option<Batch>)| {
        for (text, is_probed) in one {
            known.insert(text, Statement { action, is_probed, arrays: None });
        }
        if let Some(Batch { parts, .. }) = many {
            let mut text = parts[0].clone();
            for (index, part) in parts[1..].iter().enumerate() {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "${}{part}", index + 1);
            }
            known.insert(text, Statement { action, is_probed: true, arrays: Some(Vec::new()) });
        }
    };
    let read = |(one, many): (String, Batch)| (vec![(one, false)], Some(many));
    let write = |change: lucia::Change| (vec![(change.plain, false), (change.with_probe, true)], change.batch);
    for table in TABLES {
        for column in ["id", "user_id"] {
            learn(Action::Lookup(table, column), read(lucia::lookup(&name(table.name()), column)));
            learn(Action::Delete(table, column), write(lucia::delete(&name(table.name()), column)));
        }
        learn(Action::Insert(table), write(lucia::insert(&name(table.name()), &names(columns(table)))));
        learn(Action::Update(table), write(lucia::update(&name(table.name()), &names(updated(table)))));
    }
    let [user, key, session] = TABLES.map(|table| name(table.name()));
    let [user_columns, key_columns, _] = TABLES.map(|table| names(columns(table)));
    learn(Action::SignUp, write(lucia::insert_user_and_key(&user, &user_columns, &key, &key_columns)));
    learn(Action::Pair, read(lucia::session_and_user(&session, &user, Join::Inner)));
    learn(Action::DeleteExpired, (vec![(lucia::delete_expired(&session, "idle_expires < $1"), false)], None));
    learn(Action::Question("id"), (vec![(question(Constraint::Id), false)], None));
    learn(Action::Question("user_id"), (vec![(question(Constraint::UserId), false)], None));
    known
});

/// The statement of this text, whatever comment stands behind it.
pub(super) fn recognise(sql: &str) -> Option<Statement> {
    let text = sql.split_once(" /*").map_or(sql, |(text, _)| text);
    // `$1::"pg_catalog"."text"[]` in a statement for many.
    let mut plain = String::with_capacity(text.len());
    let mut arrays = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("::\"pg_catalog\".\"") {
        let (kind, after) = after.split_once("\"[]")?;
        plain.push_str(before);
        arrays.push(match kind {
            "text" => 1009,
            "varchar" => 1015,
            "int8" => 1016,
            _ => return None,
        });
        rest = after;
    }
    plain.push_str(rest);
    let known = KNOWN.get(&plain)?;
    Some(Statement { arrays: known.arrays.as_ref().map(|_| arrays), ..known.clone() })
}
