//! One exchange with the server: calls are sent together, and each is answered, done again, or has an unknown outcome.

mod round_trip;

mod call;

mod execute;

pub(in crate::pg) use call::Waiting;
pub use call::{Call, Caller, Journey, Parameters, Reply};
pub use execute::Answer;
pub(in crate::pg) use round_trip::carry_out;
