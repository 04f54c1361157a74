//! What PostgreSQL speaks. The only code that names `tokio_postgres` and deadpool.

pub mod shared;

pub mod queue;

mod round_trip;

pub mod waiting;

mod pace;

pub mod execute;

pub mod rows;

pub mod pool;

pub mod inspect;

pub mod open;

mod pooler;

pub mod prepare;

pub mod statement;

mod server_text;

pub mod param;

pub mod row;

mod array;

pub mod value;

mod tls;

mod verifier;

mod certificate;

pub mod config;

mod environment;

mod service_file;

mod url;

mod options;

mod ssl_option;

mod session_settings;

mod stated;

mod tls_settings;

mod password;

mod host;

pub mod option_value;

pub mod runtime;

pub mod error;
