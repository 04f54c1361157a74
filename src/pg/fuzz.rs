//! What reads bytes from outside, by name, for `fuzz/`. Each takes any bytes, and may do all but panic or hang.

use super::{connection::fuzz as connection, settings::fuzz as settings, tls::fuzz as tls, value::fuzz as value};

pub type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 10] = [
    ("messages", connection::messages),
    ("rows", value::rows),
    ("value", value::value),
    ("array", value::array),
    ("array_text", value::array_text),
    ("certificate", tls::certificate),
    ("pem", tls::pem),
    ("url", settings::url),
    ("password_file", settings::password_file),
    ("service_file", settings::service_file),
];
