//! What Lucia means, without JavaScript and without a wire format.
#![forbid(unsafe_code)]

pub mod store;

pub mod violation;

pub mod method;

pub mod statement;

pub mod name;

pub mod version;
