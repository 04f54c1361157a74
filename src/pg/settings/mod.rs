//! What the user said: options, the connection string, a service file, the environment, merged into `Settings`. Imports
//! nothing of `pg` but its error.

#[cfg(fuzzing)]
pub(in crate::pg) mod fuzz;

mod merged;

mod environment;

mod service_file;

mod url;

mod options;

mod misspelt;

mod table;

mod setters;

mod ssl;

mod session;

mod socket;

mod stated;

mod stated_tls;

mod tls;

mod authentication;

mod password;

mod host;

mod value;

pub(in crate::pg) use authentication::{Method, Methods};
pub use merged::Settings;
pub(in crate::pg) use merged::{Host, Password, Prepare, Target};
pub use options::is_read as is_option;
#[cfg(test)]
pub(in crate::pg) use password::Secret;
pub use socket::SocketSettings;
#[cfg(test)]
pub(in crate::pg) use stated_tls::{HomeFiles, Ssl, StatedTls};
pub(in crate::pg) use tls::{Identity, Material, Mode, Revocation, Roots, Tls, Version};
pub use value::{OptionValue, Options};
