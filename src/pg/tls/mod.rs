//! Certificates and handshakes, with rustls.

mod connector;

mod verifier;

mod certificate;

pub use connector::{Connector, connector, explain};
