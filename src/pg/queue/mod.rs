//! Which call leaves when, and over which connection.

mod workers;

mod waiting;

mod pace;

pub use waiting::Load;
pub use workers::Queue;
