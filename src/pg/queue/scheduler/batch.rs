//! How many calls one statement is for.

use std::{collections::VecDeque, ops::RangeInclusive};

use super::queued::{Queued, Work};

/// Lookups in one statement, at most: a quarter of the calls in flight and waiting, within these bounds. 16 gave the most
/// answers a second with 64 in flight, 64 with 256, and 128 with 1,024.
pub(super) const BATCH: RangeInclusive<usize> = SMALLEST_BATCH as usize..=128;
/// `lib/connection.js` hands over so many calls at a time.
pub const SMALLEST_BATCH: u32 = 16;
/// Writes in one statement, at most: when one of them is refused all are sent again.
pub(super) const WRITES: usize = 32;
/// The parameters of a batch, in bytes: a longer batch is sent in several statements, each of which fits a message.
const BATCH_BYTES: usize = 1 << 20;

pub(super) const BATCH_MOST: usize = *BATCH.end();

/// How many calls one statement is for, at most, when so many wait beside those in flight.
pub(super) fn batch_size(in_flight: usize, waiting: usize) -> usize {
    ((in_flight + waiting) / 4).clamp(*BATCH.start(), *BATCH.end())
}

pub(super) fn most_writes(in_flight: usize, waiting: usize, may_batch: bool) -> usize {
    if may_batch { batch_size(in_flight, waiting).min(WRITES) } else { 1 }
}

/// How many of the first calls may be sent in one statement, of `most`.
pub(super) fn group<C: Work>(calls: &VecDeque<Queued<C>>, most: usize) -> usize {
    let Some(first) = calls.front() else { return 0 };
    let mut room = BATCH_BYTES;
    let fits = |queued: &&Queued<C>| {
        room = room.saturating_sub(queued.work.bytes());
        room > 0 && first.shares_batch(queued)
    };
    calls.iter().take(most).take_while(fits).count().max(1)
}
