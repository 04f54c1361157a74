//! What every plan draws: moments, and where bytes are cut.

use std::time::Duration;

use super::{
    chance::Chance,
    plan::{Call, Cut},
};

pub(super) const MOMENT: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const LASTS: [Duration; 4] =
    [Duration::from_millis(30), Duration::from_millis(400), Duration::from_secs(2), Duration::from_secs(40)];

/// How long an answer takes.
pub(super) const WAITS: [Duration; 4] =
    [Duration::from_millis(3), Duration::from_millis(80), Duration::from_millis(1300), Duration::from_secs(4)];

/// The moment of a call.
pub(super) fn instant(chance: &Chance, calls: &[Call]) -> Duration {
    calls[chance.below(calls.len())].at
}

pub(super) fn moment(chance: &Chance, limit: Duration) -> Duration {
    MOMENT * u32::try_from(chance.below(usize::try_from(limit.as_millis()).unwrap().max(1))).unwrap()
}

/// A few bytes from the beginning, or anywhere.
pub(super) fn cut(chance: &Chance) -> Cut {
    let part = |chance: &Chance| u32::try_from(chance.below(1 << 32)).unwrap();
    if chance.happens(50) { Cut::After(chance.below(200)) } else { Cut::Part(part(chance)) }
}
