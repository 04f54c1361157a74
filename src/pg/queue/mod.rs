//! Which call leaves when, and over which connection: a pure scheduler, and the workers that obey it.

mod handle;

mod worker;

mod leaving;

mod spare;

mod clock;

mod dispatch;

mod ahead;

mod mailbox;

mod inbox;

mod refusal;

mod work;

mod scheduler;

mod spin;

mod sync;

pub use handle::{Load, Queue};
pub use scheduler::{BUCKETS_MS, Figures, SMALLEST_BATCH, Times};
pub use spin::may_spin;
#[cfg(test)]
pub use sync::explore;
