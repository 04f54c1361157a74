//! What lookups come to that were sent ahead, while their connection was opened.

use super::{ending::Fault, send::sent, verdict::Answer};
use crate::pg::{
    connection::{Ahead, Lookups},
    statement::{Statement, columns_ahead},
    value::{Decoding, Form},
};

/// The answers to lookups that were sent ahead; `None` where they are not of these calls and forms, or would not do.
pub(super) async fn sent_ahead(
    mut ahead: Ahead,
    statement: &Statement,
    calls: &[&[Option<String>]],
    wanted: &[Form],
) -> Result<Option<Vec<Answer>>, Fault> {
    let Lookups { statement: of, forms, parameters } = &*ahead.lookups.clone();
    let at = |call: &&[Option<String>]| parameters.iter().position(|sent| sent[..] == **call);
    let places: Option<Vec<usize>> = calls.iter().map(at).collect();
    let Some(places) = places.filter(|_| of.number == statement.number && forms == wanted) else {
        return Ok(None);
    };
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
    Ok(places.into_iter().map(answer).collect())
}
