//! The statements that Lucia's methods are: what their parameters and columns are, and what they do.

use super::{
    answer::{Field, Refusal},
    database::{Change, Database, INT8, Row, TEXT, Table, VARCHAR, columns, updated},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Lookup(Table, &'static str),
    Pair,
    Insert(Table),
    SignUp,
    Update(Table),
    Delete(Table, &'static str),
    DeleteExpired,
    /// Is the violated constraint the one that the method means?
    Question(&'static str),
}

impl Action {
    pub(super) fn is_write(self) -> bool {
        !matches!(self, Self::Lookup(..) | Self::Pair | Self::Question(_))
    }
}

/// A statement that is known by its text.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) action: Action,
    /// It has a `RETURNING` clause with the types of what it writes.
    pub(super) is_probed: bool,
    /// The types of the arrays of a statement for many calls.
    pub(super) arrays: Option<Vec<u32>>,
}

/// What a statement answers and changes.
#[derive(Debug, Default)]
pub(super) struct Effect {
    pub(super) rows: Vec<Vec<Option<Vec<u8>>>>,
    pub(super) tag: String,
    pub(super) changes: Vec<Change>,
}

impl Statement {
    /// The types of the parameters.
    pub(super) fn parameters(&self, database: &Database) -> Vec<u32> {
        if let Some(arrays) = &self.arrays {
            return arrays.clone();
        }
        let kinds = |table, columns: &[&str]| columns.iter().map(|name| kind(database, table, name)).collect();
        match self.action {
            Action::Lookup(table, column) | Action::Delete(table, column) => kinds(table, &[column]),
            Action::Pair => kinds(Table::Session, &["id"]),
            Action::Insert(table) => kinds(table, columns(table)),
            Action::SignUp => {
                [kinds(Table::User, columns(Table::User)), kinds(Table::Key, columns(Table::Key))].concat()
            }
            Action::Update(table) => kinds(table, &[updated(table), &["id"]].concat()),
            Action::DeleteExpired => kinds(Table::Session, &["idle_expires"]),
            Action::Question(_) => vec![19, 19, 19, TEXT, TEXT],
        }
    }

    /// The columns of the answer.
    pub(super) fn fields(&self, database: &Database) -> Vec<Field> {
        let position = || Field { name: "position".to_owned(), table: 0, kind: INT8 };
        let all = |table: Table| {
            let columns = database.table(table).columns.iter();
            columns.map(move |column| Field { name: column.name.clone(), table: table.oid(), kind: column.kind })
        };
        let probes = |table, columns: &'static [&str]| {
            let field =
                move |name: &&str| Field { name: "case".to_owned(), table: 0, kind: kind(database, table, name) };
            columns.iter().map(field)
        };
        match self.action {
            Action::Lookup(table, _) => all(table).chain([position()]).collect(),
            Action::Pair => all(Table::Session).chain([position()]).chain(all(Table::User)).collect(),
            Action::Question(_) => vec![Field { name: "?column?".to_owned(), table: 0, kind: 16 }],
            _ if !self.is_probed => Vec::new(),
            Action::Insert(table) => probes(table, columns(table)).collect(),
            Action::SignUp => {
                probes(Table::Key, columns(Table::Key)).chain(probes(Table::User, columns(Table::User))).collect()
            }
            Action::Update(table) => {
                probes(table, updated(table)).chain(self.arrays.is_some().then(position)).collect()
            }
            Action::Delete(table, column) => {
                let probe = Field { name: "case".to_owned(), table: 0, kind: kind(database, table, column) };
                [probe].into_iter().chain(self.arrays.is_some().then(position)).collect()
            }
            Action::DeleteExpired => Vec::new(),
        }
    }

    /// The parameters of each call that the statement is sent for.
    pub(super) fn calls(&self, parameters: &[Option<String>]) -> Vec<Row> {
        if self.arrays.is_none() {
            return vec![parameters.to_vec()];
        }
        let arrays: Vec<Vec<Option<String>>> =
            parameters.iter().map(|literal| elements(literal.as_deref().unwrap())).collect();
        (0..arrays[0].len()).map(|call| arrays.iter().map(|array| array[call].clone()).collect()).collect()
    }

    /// What the statement does to `database` for these calls.
    pub(super) fn effect(&self, database: &Database, calls: &[Row]) -> Result<Effect, Refusal> {
        let mut effect = Effect::default();
        for (index, call) in calls.iter().enumerate() {
            let position = i64::try_from(index + 1).unwrap().to_be_bytes();
            self.add(database, call, &position, &mut effect);
        }
        let (rows, changes) = (effect.rows.len(), effect.changes.len());
        let nothing = vec![None; self.fields(database).len()];
        effect.tag = match self.action {
            Action::Lookup(..) | Action::Pair | Action::Question(_) => format!("SELECT {rows}"),
            Action::Insert(_) | Action::SignUp if self.arrays.is_some() => {
                effect.rows.push(nothing);
                "SELECT 1".to_owned()
            }
            Action::Insert(_) | Action::SignUp => {
                effect.rows.extend(self.is_probed.then_some(nothing));
                "INSERT 0 1".to_owned()
            }
            Action::Update(_) => {
                if self.is_probed && self.arrays.is_none() {
                    effect.rows.extend(vec![nothing; changes]);
                }
                format!("UPDATE {changes}")
            }
            Action::Delete(..) => {
                if self.is_probed && self.arrays.is_none() {
                    effect.rows.extend(vec![nothing; changes]);
                }
                format!("DELETE {changes}")
            }
            Action::DeleteExpired => format!("DELETE {changes}"),
        };
        database.check(&effect.changes)?;
        Ok(effect)
    }

    fn add(&self, database: &Database, call: &[Option<String>], position: &[u8], effect: &mut Effect) {
        let first = call[0].as_deref().unwrap_or_default();
        let found = |table, column: &str, value: &str| {
            let column = database.column(table, column);
            column.map_or_else(Vec::new, |column| database.find(table, column, value))
        };
        match self.action {
            Action::Lookup(table, column) => {
                for row in found(table, column, first) {
                    effect.rows.push(encode(database, table, row).chain([Some(position.to_vec())]).collect());
                }
            }
            Action::Pair => {
                for session in found(Table::Session, "id", first) {
                    for user in found(Table::User, "id", session[1].as_deref().unwrap_or_default()) {
                        let session = encode(database, Table::Session, session).chain([Some(position.to_vec())]);
                        effect.rows.push(session.chain(encode(database, Table::User, user)).collect());
                    }
                }
            }
            Action::Insert(table) => effect.changes.push(Change::Insert(table, inserted(database, table, call))),
            Action::SignUp => {
                let (user, key) = call.split_at(columns(Table::User).len());
                effect.changes.push(Change::Insert(Table::User, inserted(database, Table::User, user)));
                effect.changes.push(Change::Insert(Table::Key, inserted(database, Table::Key, key)));
            }
            Action::Update(table) => {
                let (id, values) = call.split_last().unwrap();
                for row in found(table, "id", id.as_deref().unwrap_or_default()) {
                    let index = |name: &&str| database.column(table, name).unwrap();
                    let values = updated(table).iter().map(index).zip(values.iter().cloned()).collect();
                    effect.changes.push(Change::Update(table, row[0].clone().unwrap(), values));
                    if self.arrays.is_some() {
                        effect.rows.push(vec![None; updated(table).len()]);
                        if let Some(row) = effect.rows.last_mut() {
                            row.push(Some(position.to_vec()));
                        }
                    }
                }
            }
            Action::Delete(table, column) => {
                for row in found(table, column, first) {
                    let change = Change::Delete(table, row[0].clone().unwrap());
                    // Of several calls one deletes it.
                    if !effect.changes.contains(&change) {
                        effect.changes.push(change);
                        if self.arrays.is_some() {
                            effect.rows.push(vec![None, Some(position.to_vec())]);
                        }
                    }
                }
            }
            Action::DeleteExpired => {
                let until: i64 = first.parse().unwrap();
                let rows = database.table(Table::Session).rows.iter();
                let old = rows.filter(|(_, row)| row[3].as_ref().is_some_and(|at| at.parse::<i64>().unwrap() < until));
                effect.changes.extend(old.map(|(id, _)| Change::Delete(Table::Session, id.clone())));
            }
            Action::Question(column) => {
                let constraint = if column == "id" { "_pkey" } else { "_user_id_fkey" };
                let is_meant = call[2].as_ref().is_some_and(|name| name.ends_with(constraint))
                    && call[3].as_deref() == call[1].as_ref().map(|name| format!("\"{name}\"")).as_deref();
                effect.rows.extend(is_meant.then(|| vec![Some(vec![1])]));
            }
        }
    }
}

/// A whole row, of the columns that a call gives.
fn inserted(database: &Database, table: Table, values: &[Option<String>]) -> Row {
    let mut row = vec![None; database.table(table).columns.len()];
    for (name, value) in columns(table).iter().zip(values) {
        row[database.column(table, name).unwrap()].clone_from(value);
    }
    row
}

fn kind(database: &Database, table: Table, name: &str) -> u32 {
    // The tables of users have no `user_id`, and nobody looks for it.
    database.column(table, name).map_or(TEXT, |column| database.table(table).columns[column].kind)
}

/// A row in binary.
fn encode<'a>(database: &'a Database, table: Table, row: &'a Row) -> impl Iterator<Item = Option<Vec<u8>>> + 'a {
    database.table(table).columns.iter().zip(row).map(|(column, value)| {
        let value = value.as_ref()?;
        Some(match column.kind {
            INT8 => value.parse::<i64>().unwrap().to_be_bytes().to_vec(),
            TEXT | VARCHAR => value.clone().into_bytes(),
            kind => panic!("a column is of type {kind}"),
        })
    })
}

/// The elements of a one-dimensional array's text.
fn elements(literal: &str) -> Vec<Option<String>> {
    let mut letters = literal.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap().chars();
    let mut elements = Vec::new();
    while let Some(letter) = letters.next() {
        if letter == 'N' {
            letters.nth(2);
            elements.push(None);
        } else {
            assert_eq!(letter, '"', "{literal}");
            let mut element = String::new();
            loop {
                match letters.next().unwrap() {
                    '"' => break,
                    '\\' => element.push(letters.next().unwrap()),
                    letter => element.push(letter),
                }
            }
            elements.push(Some(element));
        }
        letters.next();
    }
    elements
}
