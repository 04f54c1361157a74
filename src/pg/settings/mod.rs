//! What the user said: options, the connection string, a service file, the environment, merged into `Settings`. Imports
//! nothing else of `pg`.

mod merged;

mod environment;

mod service_file;

mod url;

mod options;

mod ssl_option;

mod session;

mod socket;

mod stated;

mod tls;

mod authentication;

mod password;

mod host;

mod option_value;

pub(in crate::pg) use authentication::{Method, Methods};
pub use merged::Settings;
pub(in crate::pg) use merged::{Host, Password, Prepare, Target};
pub(in crate::pg) use option_value::Invalid;
pub use option_value::{OptionValue, Options};
pub use options::is_read as is_option;
pub use socket::SocketSettings;
#[cfg(test)]
pub(in crate::pg) use tls::{HomeFiles, Ssl, StatedTls};
pub(in crate::pg) use tls::{Identity, Material, Mode, Revocation, Roots, Tls, Version};
