//! Connections: opened to the right host, told apart from a pooler's, leased, cancelled, inspected, retired.

#[cfg(fuzzing)]
pub(in crate::pg) mod fuzz;

mod pool;

mod inspect;

mod hosts;

mod balance;

mod open;

mod ahead;

mod host_error;

mod state;

mod cancel;

mod client;

mod screened;

mod screen;

mod authentication;

mod completion;

mod pooler;

mod race;

mod system;

mod network;

mod aside;

pub(in crate::pg) use ahead::{Ahead, Lookups, Source, incomplete};
pub use inspect::{Inspection, Protection, inspect};
pub use network::Network;
#[cfg(test)]
pub use network::{Endpoint, Stream};
pub(in crate::pg) use open::Peer;
pub use open::{Login, Program, Thrown};
pub(in crate::pg) use pool::{Connection, Lease, Pool, pool as new_pool};
pub(in crate::pg) use system::System;
