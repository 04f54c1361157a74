//! What PostgreSQL speaks. The only code that names `tokio_postgres` and deadpool.
#![forbid(unsafe_code)]

#[cfg(fuzzing)]
pub mod fuzz;

mod shared;

mod queue;

mod exchange;

mod connection;

mod statement;

mod value;

mod tls;

mod settings;

mod runtime;

mod chance;

mod endless;

mod io_code;

mod error;

mod codes;

pub use postgres_protocol::escape::escape_identifier;
pub use tokio_postgres::error::SqlState;

#[cfg(test)]
pub use chance::Chance;
#[cfg(test)]
pub use connection::{Endpoint, Network, Stream};
pub use connection::{Inspection, Login, Program, Protection, Thrown, inspect};
pub use error::{Error, code};
pub use exchange::{Answer, Call, Caller, Parameters, Reply, Trace};
#[cfg(test)]
pub use queue::explore;
pub use queue::{BUCKETS_MS, Figures, Load, Queue, SMALLEST_BATCH, Times};
pub use runtime::handle as runtime;
#[cfg(test)]
pub use settings::SocketSettings;
pub use settings::{OptionValue, Options, Settings, is_option};
pub use shared::{Shared, share};
pub use statement::{Batch, Lookup, Statement};
pub use value::{Columns, Conversion, Field, Form, Piece, Rows, UNKNOWN, Values};
