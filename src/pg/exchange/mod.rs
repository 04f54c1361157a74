//! One exchange with the server: calls are sent together, and each is answered, done again, or has an unknown outcome.

mod round_trip;

mod call;

mod execute;

pub use call::{Call, Caller, Journey, Parameters, Reply, Waiting};
pub use execute::Answer;
pub use round_trip::carry_out;
