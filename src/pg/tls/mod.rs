//! Certificates and handshakes, with rustls.

#[cfg(fuzzing)]
pub(in crate::pg) mod fuzz;

mod explain;

mod negotiation;

mod connector;

mod verifier;

mod host_name;

mod revocation;

mod rules;

mod stream;

mod identity;

mod roots;

mod algorithms;

mod certificate;

mod distinguished_name;

mod material;

#[cfg(test)]
mod samples;

pub(in crate::pg) use connector::{Connector, connector};
pub(in crate::pg) use explain::{Explained, explain};
pub(in crate::pg) use negotiation::{AsItIs, secure};
