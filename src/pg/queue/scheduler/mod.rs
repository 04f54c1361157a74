//! Which call leaves when, and over which connection: a state machine that is told what has happened, and says what is to be
//! done. No clock, no chance, no task and no lock are in here: the time comes with every event and is never less than the last.
//!
//! A call that may be sent waits neither beside an idle connection nor while another may be opened.

#[cfg(test)]
mod exhaustive;

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod model;

mod events;

mod lend;

mod wake;

mod decide;

mod in_flight;

mod machine;

mod worker;

mod turns;

mod waiting;

mod admission;

mod batch;

mod queued;

mod figures;

pub use batch::SMALLEST_BATCH;
pub(super) use events::CANCEL;
pub(super) use figures::Rejection;
pub use figures::{BUCKETS_MS, Figures, Times};
pub(super) use lend::Loan;
pub(super) use machine::{Command, Connection, Ending, Limits, Return, Scheduler};
#[cfg(test)]
pub(super) use model::Job;
pub(super) use queued::{Queued, Time, Work};
pub(super) use worker::{Opened, Refusal, WorkerId};
