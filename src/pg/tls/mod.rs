//! Certificates and handshakes, with rustls.

mod connector;

mod explain;

mod verifier;

mod rules;

mod stream;

mod identity;

mod revocation;

mod roots;

mod algorithms;

mod certificate;

mod distinguished_name;

mod material;

#[cfg(test)]
mod samples;

pub(in crate::pg) use connector::{Connector, connector};
pub(in crate::pg) use explain::explain;
