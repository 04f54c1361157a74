//! What lookups come to that were sent ahead, while their connection was opened.

use super::{ending::Fault, send::sent, verdict::Answer};
use crate::pg::{
    connection::{Ahead, Lookups},
    statement::{Statement, columns_ahead},
    value::{Decoding, Form},
};

/// The answers to lookups that were sent ahead; `None` where they are not of this statement and these forms, or would not do.
pub(super) async fn sent_ahead(
    mut ahead: Ahead,
    statement: &Statement,
    wanted: &[Form],
) -> Result<Option<Vec<Answer>>, Fault> {
    let Lookups { statement: of, forms, .. } = &*ahead.lookups;
    if of.number != statement.number || forms != wanted {
        return Ok(None);
    }
    let Some(found) = ahead.answers().await else { return Ok(None) };
    if let Some(error) = found.iter().filter_map(|found| found.as_ref().err()).find(|error| !error.is_database()) {
        return Err(sent(error.clone()));
    }
    let answer = |place: usize| {
        let rows = found[place].as_ref().ok()?;
        let columns = columns_ahead(statement, ahead.shape.as_deref(), wanted, rows.first()?)?;
        let mut decoding = Decoding::new(columns, 1);
        rows.iter().try_for_each(|row| decoding.add(row)).ok()?;
        decoding.finish().pop().map(Answer::Rows)
    };
    Ok(ahead.places.iter().copied().map(answer).collect())
}
