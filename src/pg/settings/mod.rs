//! What the user said: options, the connection string, a service file, the environment, merged into `Settings`. Imports
//! nothing else of `pg`.

mod merged;

mod environment;

mod service_file;

mod url;

mod options;

mod ssl_option;

mod session;

mod stated;

mod tls;

mod password;

mod host;

mod option_value;

pub use merged::{Host, Password, Prepare, Settings, Target};
pub use option_value::{Invalid, OptionValue, Options};
#[cfg(test)]
pub use tls::{HomeFiles, Ssl, StatedTls};
pub use tls::{Identity, Material, Mode, Roots, Tls, Version};
