//! Names that are no options: which option is meant.

use super::{
    session,
    table::{OPTIONS, Writer},
};

/// Names that other drivers use, and what to write here.
const ELSEWHERE: [(&str, &str); 10] = [
    ("application_name", "write `connection: { application_name: ... }`"),
    ("connectionString", "give the connection string as `connection`, the first argument"),
    ("connectionTimeoutMillis", "use `connect_timeout`, in seconds"),
    ("idleTimeoutMillis", "use `idle_timeout`, in seconds"),
    ("keepAlive", "use `keep_alive`, in seconds"),
    ("maxLifetimeSeconds", "use `max_lifetime`"),
    ("options", "write `connection: { options: ... }`"),
    ("schema", "write `connection: { search_path: ... }`"),
    ("sslmode", "use `ssl`"),
    ("url", "give the connection string as `connection`, the first argument"),
];

/// Options that decide over how a connection is protected: one that is misspelt or empty is an error, not passed over.
pub(super) const PROTECTION: [&str; 19] = [
    "ssl",
    "sslmode",
    "sslnegotiation",
    "sslcertmode",
    "channel_binding",
    "require_auth",
    "requirepeer",
    "gssencmode",
    "requiressl",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "sslcrldir",
    "sslaccept",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "tls",
];

/// How many of [`PROTECTION`], from the first, have to say something where they are given.
pub(super) const NEVER_EMPTY: usize = 9;

/// The option decides over protection, and has to say something where it is given.
pub(super) fn is_never_empty(name: &str) -> bool {
    PROTECTION[..NEVER_EMPTY].contains(&name)
}

/// The name of an option that decides over protection, and that this name, which is none, looks like.
pub(super) fn misspelt_protection(name: &str) -> Option<&'static str> {
    let letters = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let plain = letters(name);
    PROTECTION.into_iter().find(|known| {
        let distance = distance(&plain, &letters(known));
        distance == 0 || distance == 1 && known.len() > 5
    })
}

/// The text that an error about the unknown option `name` ends with: what to write in its place.
pub(super) fn suggestion(name: &str) -> String {
    if let Some((_, advice)) = ELSEWHERE.iter().find(|(known, _)| *known == name) {
        return format!("; {advice}");
    }
    if session::is_known(name) {
        return format!("; write `connection: {{ {name}: ... }}`");
    }
    let names = OPTIONS.iter().filter(|option| option.writer != Writer::Text).map(|option| option.name);
    let nearest = names.map(|known| (distance(&name.to_ascii_lowercase(), known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 3 => {
            format!("; did you mean `{known}`?")
        }
        _ => String::new(),
    }
}

/// How many letters have to be put in, taken out or exchanged to make one word of the other.
pub(super) fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in to.chars().enumerate() {
            let exchanged = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.chars().count()]
}
