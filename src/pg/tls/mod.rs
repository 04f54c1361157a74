//! Certificates and handshakes, with rustls.

mod connector;

mod verifier;

mod certificate;

pub(in crate::pg) use connector::{Connector, connector, explain};
