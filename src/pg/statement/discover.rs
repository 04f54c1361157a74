//! What the server tells of a statement: its columns, and the types of its parameters.

use std::sync::Arc;

use tokio_postgres::{Client, Column, Row, SimpleQueryStream, Statement as ServerStatement, types::Type};

use super::{
    definition::Statement,
    relation,
    server_text::{self, ServerText},
    shape::Shape,
};
use crate::pg::{
    error::Error,
    value::{Columns, Field, Form, form},
};

/// Learns the shape of `statement`, whose text is `sql`; gives the prepared statement too where it can be used as it is.
pub(super) async fn discover(
    client: &Client,
    statement: &Statement,
    sql: &str,
    knows_types: bool,
) -> Result<(Arc<Shape>, Option<ServerStatement>), Error> {
    // The driver looks types up that it does not know, under names of its own: only where something may be prepared.
    let needs_text = |column: &Column, field: &Field| {
        // A change gives no rows: only the types of its columns are read.
        !statement.access.is_write() && (field.reading.needs_server() || !(knows_types || is_built_in(column.type_())))
    };
    let needs_any_text =
        |plain: &ServerStatement| plain.columns().iter().any(|column| needs_text(column, &Field::new(column, &[])));
    let plain = client.prepare_typed(sql, &statement.declared).await?;
    let has_own_types = |plain: &ServerStatement| {
        plain
            .columns()
            .iter()
            .any(|column| !is_built_in(column.type_()) && !needs_text(column, &Field::new(column, &[])))
    };
    if !needs_any_text(&plain) {
        let shape = Shape {
            columns: columns(statement, plain.columns()),
            parameters: plain.params().to_vec(),
            server_text: None,
            has_own_types: has_own_types(&plain),
        };
        return Ok((statement.agree(shape), Some(plain)));
    }
    let tables = server_text::tables(client, &plain).await?;
    let fingerprint = server_text::fingerprint(client, &tables).await?;
    // Once more, now that the fingerprint is known: it must not be newer than the columns.
    drop(plain);
    let plain = client.prepare_typed(sql, &statement.declared).await?;
    let texts: Vec<bool> = plain.columns().iter().map(|column| needs_text(column, &Field::new(column, &[]))).collect();
    let shape = Shape {
        columns: columns(statement, plain.columns()),
        parameters: plain.params().to_vec(),
        server_text: Some(ServerText::new(&texts, &tables, fingerprint)),
        has_own_types: has_own_types(&plain),
    };
    Ok((statement.agree(shape), None))
}

pub(super) fn is_built_in(kind: &Type) -> bool {
    Type::from_oid(kind.oid()).is_some()
}

fn columns(statement: &Statement, sent: &[Column]) -> Arc<Columns> {
    // The only column of a lookup that is no table's.
    let is_position = |column: &Column| column.table_oid().is_none();
    let is_lookup = statement.batch.is_some() && !statement.access.is_write();
    let position = sent.iter().position(is_position).filter(|_| is_lookup);
    statement.agree_columns(fields(statement, sent, position), position)
}

/// Sends the question whether the rows of a lookup can be read that has not been described. To learn of a type the driver asks
/// the server, behind the rows that it does not read meanwhile: of many it would wait for ever.
pub(in crate::pg) async fn ask_types(client: &Client, statement: &Statement) -> Result<SimpleQueryStream, Error> {
    Ok(relation::ask(client, statement.relations()).await?)
}

/// Reads the answer to `ask_types`.
pub(in crate::pg) async fn has_own_types(statement: &Statement, answer: SimpleQueryStream) -> Result<bool, Error> {
    let found = relation::read(answer).await?;
    statement.learn_relations(found.relations);
    Ok(found.has_own_types)
}

/// The columns of rows that were sent for with the text of a lookup, when that was known of it; `None` where the lookup has
/// to be described to be sent as it should.
pub(in crate::pg) fn columns_ahead(
    statement: &Statement,
    known: Option<&Shape>,
    forms: &[Form],
    first: &Row,
) -> Option<Arc<Columns>> {
    let Some(shape) = known else {
        let looked_up = first.columns().iter().find(|column| Some(column.name()) == statement.looked_up)?;
        let columns = columns(statement, first.columns());
        let is_plain = !columns.fields.iter().any(|field| field.reading.needs_server());
        return Some(columns).filter(|_| is_plain && forms == [form(looked_up.type_())]);
    };
    let is_current = match &shape.server_text {
        Some(server_text) => !server_text.is_stale(first),
        None => fields(statement, first.columns(), shape.columns.position) == shape.columns.fields,
    };
    (is_current && shape.parameters.iter().map(form).eq(forms.iter().copied())).then(|| shape.columns.clone())
}

pub(super) fn fields(statement: &Statement, sent: &[Column], position: Option<usize>) -> Vec<Field> {
    // The second table has no columns that are to be numbers.
    let numbers = |index| if position.is_none_or(|at| index < at) { statement.numbers } else { &[] };
    let columns = sent.iter().enumerate().filter(|(index, _)| Some(*index) != position);
    columns.map(|(index, column)| Field::new(column, numbers(index))).collect()
}
