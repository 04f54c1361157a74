//! Three tables with their constraints. A statement is judged against what is committed, and gives what it would change.

use std::collections::BTreeMap;

use super::answer::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Table {
    User,
    Key,
    Session,
}

pub(super) const TABLES: [Table; 3] = [Table::User, Table::Key, Table::Session];

pub(super) const TEXT: u32 = 25;
pub(super) const INT8: u32 = 20;
pub(super) const VARCHAR: u32 = 1043;

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "auth_user",
            Self::Key => "user_key",
            Self::Session => "user_session",
        }
    }

    pub(super) fn oid(self) -> u32 {
        16_384 + self as u32
    }
}

/// The columns that calls write, which are all that an insertion needs.
pub(super) fn columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::User => &["id", "name"],
        Table::Key => &["id", "user_id", "hashed_password"],
        Table::Session => &["id", "user_id", "active_expires", "idle_expires"],
    }
}

/// The columns that updates change.
pub(super) fn updated(table: Table) -> &'static [&'static str] {
    match table {
        Table::User => &["name"],
        Table::Key => &["hashed_password"],
        Table::Session => &["active_expires", "idle_expires"],
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: u32,
}

/// Values as text, in the order of the columns.
pub(super) type Row = Vec<Option<String>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) columns: Vec<Column>,
    /// By their ids.
    pub(super) rows: BTreeMap<String, Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Database {
    tables: [Content; 3],
}

/// A change to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Insert(Table, Row),
    Update(Table, String, Vec<(usize, Option<String>)>),
    Delete(Table, String),
}

impl Change {
    pub(super) fn table(&self) -> Table {
        match self {
            Self::Insert(table, _) | Self::Update(table, ..) | Self::Delete(table, _) => *table,
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Insert(_, row) => row[0].as_deref().unwrap_or_default(),
            Self::Update(_, id, _) | Self::Delete(_, id) => id,
        }
    }
}

impl Database {
    pub(super) fn new() -> Self {
        let content = |columns: &[(&str, u32)]| Content {
            columns: columns.iter().map(|&(name, kind)| Column { name: name.to_owned(), kind }).collect(),
            rows: BTreeMap::new(),
        };
        Self {
            tables: [
                content(&[("id", TEXT), ("name", TEXT)]),
                content(&[("id", TEXT), ("user_id", TEXT), ("hashed_password", TEXT)]),
                content(&[("id", TEXT), ("user_id", TEXT), ("active_expires", INT8), ("idle_expires", INT8)]),
            ],
        }
    }

    pub(super) fn table(&self, table: Table) -> &Content {
        &self.tables[table as usize]
    }

    pub(super) fn column(&self, table: Table, name: &str) -> Option<usize> {
        self.table(table).columns.iter().position(|column| column.name == name)
    }

    /// The rows whose column holds `value`.
    pub(super) fn find(&self, table: Table, column: usize, value: &str) -> Vec<&Row> {
        let rows = &self.table(table).rows;
        if column == 0 {
            return rows.get(value).into_iter().collect();
        }
        rows.values().filter(|row| row[column].as_deref() == Some(value)).collect()
    }

    /// `ALTER TABLE ... ADD COLUMN ... text`.
    pub(super) fn add_column(&mut self, table: Table, name: &str) {
        let Content { columns, rows } = &mut self.tables[table as usize];
        columns.push(Column { name: name.to_owned(), kind: TEXT });
        for row in rows.values_mut() {
            row.push(None);
        }
    }

    /// `ALTER TABLE ... ALTER COLUMN ... TYPE varchar`, and back.
    pub(super) fn retype(&mut self, table: Table, column: usize) {
        let kind = &mut self.tables[table as usize].columns[column].kind;
        *kind = match *kind {
            TEXT => VARCHAR,
            VARCHAR => TEXT,
            other => other,
        };
    }

    /// The first constraint that the changes would violate.
    pub(super) fn check(&self, changes: &[Change]) -> Result<(), Refusal> {
        let mut after = self.clone();
        for change in changes {
            if let Change::Insert(table, row) = change {
                let rows = &after.table(*table).rows;
                if rows.contains_key(change.id()) {
                    return Err(duplicate(*table, change.id()));
                }
                let columns = &after.table(*table).columns;
                if let Some(at) = columns.iter().zip(row).position(|(column, value)| is_missing(column, value.as_ref()))
                {
                    return Err(Refusal::error("23502", "null value violates not-null constraint")
                        .about(table.name(), &columns[at].name));
                }
            }
            after.apply(change);
        }
        for change in changes {
            let (table, id) = (change.table(), change.id());
            match change {
                Change::Delete(Table::User, id) => {
                    for referring in [Table::Key, Table::Session] {
                        if !after.find(referring, 1, id).is_empty() {
                            return Err(still_referenced(referring, id));
                        }
                    }
                }
                _ if table != Table::User && !matches!(change, Change::Delete(..)) => {
                    let user = after.table(table).rows.get(id).and_then(|row| row[1].as_deref()).unwrap_or_default();
                    if !after.table(Table::User).rows.contains_key(user) {
                        return Err(no_such_user(table, user));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, change: &Change) {
        let Content { columns, rows } = &mut self.tables[change.table() as usize];
        match change {
            Change::Insert(_, row) => {
                let mut row = row.clone();
                // A column may have been added since the statement was executed.
                row.resize(columns.len(), None);
                rows.insert(change.id().to_owned(), row);
            }
            Change::Update(_, id, values) => {
                if let Some(row) = rows.get_mut(id) {
                    for (column, value) in values {
                        row[*column].clone_from(value);
                    }
                }
            }
            Change::Delete(_, id) => {
                rows.remove(id);
            }
        }
    }
}

fn is_missing(column: &Column, value: Option<&String>) -> bool {
    value.is_none() && ["id", "user_id", "active_expires", "idle_expires"].contains(&&*column.name)
}

fn duplicate(table: Table, id: &str) -> Refusal {
    let constraint = format!("{}_pkey", table.name());
    Refusal::error("23505", "duplicate key value violates unique constraint")
        .about(table.name(), "")
        .of_constraint(&constraint, &format!("Key (id)=({id}) already exists."))
}

fn no_such_user(table: Table, user: &str) -> Refusal {
    let constraint = format!("{}_user_id_fkey", table.name());
    Refusal::error("23503", "insert or update violates foreign key constraint")
        .about(table.name(), "")
        .of_constraint(&constraint, &format!("Key (user_id)=({user}) is not present in table \"auth_user\"."))
}

fn still_referenced(table: Table, user: &str) -> Refusal {
    let constraint = format!("{}_user_id_fkey", table.name());
    Refusal::error("23503", "update or delete violates foreign key constraint")
        .about(table.name(), "")
        .of_constraint(&constraint, &format!("Key (id)=({user}) is still referenced from table."))
}
