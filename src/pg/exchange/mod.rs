//! One exchange with the server: calls are sent together, and each gets a verdict: answered, to be done again, failed, or
//! its outcome is unknown.

mod carry_out;

mod execute;

mod transaction;

mod sent_ahead;

mod send;

mod stale;

mod limits;

mod alarm;

mod ending;

mod call;

mod verdict;

pub(in crate::pg) use alarm::Alarm;
pub use call::{Call, Caller, Parameters, Reply, Trace};
pub(in crate::pg) use carry_out::{Outcome, carry_out};
pub(in crate::pg) use limits::Spares;
pub use verdict::Answer;
pub(in crate::pg) use verdict::Verdict;
