//! What every plan draws: moments, and what becomes of a host.

use std::time::Duration;

use super::{
    chance::Chance,
    plan::{Call, Happening},
};

pub(super) const MOMENT: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const LASTS: [Duration; 4] =
    [Duration::from_millis(30), Duration::from_millis(400), Duration::from_secs(2), Duration::from_secs(40)];

/// The moment of a call.
pub(super) fn instant(chance: &Chance, calls: &[Call]) -> Duration {
    calls[chance.below(calls.len())].at
}

pub(super) fn moment(chance: &Chance, limit: Duration) -> Duration {
    MOMENT * u32::try_from(chance.below(usize::try_from(limit.as_millis()).unwrap().max(1))).unwrap()
}

/// What makes a host of no use for a while.
pub(super) fn trouble_of_host(chance: &Chance, host: usize) -> Happening {
    let lasts = chance.one_of(&LASTS);
    match chance.below(7) {
        0 => Happening::Crash { host, lasts },
        1 => Happening::Shutdown { host, lasts },
        2 => Happening::Recover { host, lasts },
        3 => Happening::Refuse { host, lasts },
        4 => Happening::Hang { host, lasts },
        5 => Happening::Slow { host, lasts, by: chance.one_of(&[100 * MOMENT, SECOND]) },
        _ => Happening::Full { host, lasts, sessions: chance.below(3) },
    }
}
