//! What Lucia means, without JavaScript and without a wire format.

pub mod store;

pub mod statement;

pub mod name;
