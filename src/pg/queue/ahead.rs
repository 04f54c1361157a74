//! Which lookups a connection is sent while it is being opened.

use super::scheduler::Scheduler;
use crate::pg::{connection::Lookups, exchange::Call};

/// So many at most: each has a text and an answer of its own.
const AHEAD: usize = 16;

/// Of those that wait for a connection, the oldest that no other connection has been sent; the oldest where it has. `sent_ahead`
/// is the number of the youngest call that was sent so.
pub(super) fn lookups_to_send_ahead(scheduler: &Scheduler<Call>, sent_ahead: &mut u64) -> Option<Lookups> {
    let after = if scheduler.lookups_after(*sent_ahead).next().is_some() { *sent_ahead } else { 0 };
    let (_, first) = scheduler.lookups_after(after).next()?;
    let is_alike = |(_, call): &(u64, &Call)| call.forms == first.forms;
    let calls: Vec<_> = scheduler.lookups_after(after).take(AHEAD).take_while(is_alike).collect();
    if calls.len() > first.statement.most_ahead() {
        return None;
    }
    *sent_ahead = calls.last().map_or(after, |(number, _)| *number);
    Some(Lookups {
        statement: first.statement.clone(),
        forms: first.forms.to_vec(),
        calls: calls.iter().map(|(number, _)| *number).collect(),
        parameters: calls.iter().map(|(_, call)| call.parameters.to_vec()).collect(),
    })
}
