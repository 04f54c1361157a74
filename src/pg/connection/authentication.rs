//! What a server may ask of the client before it lets it in. The driver answers whatever it is asked; what is forbidden has
//! to be noticed before it reads the question.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-AUTHENTICATIONOK>

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::network::Stream;
use crate::pg::{
    error::{Error, code},
    settings::{Host, Method, Methods},
};

/// postgres-protocol derives no key over more rounds, since any server can ask for any number.
const MOST_ITERATIONS: u32 = 100_000;

/// Whether the server behind a unix socket belongs to the account that it has to.
pub(super) fn check_owner(expected: Option<u32>, host: &Host, stream: &Stream) -> Result<(), &'static str> {
    match (expected, host) {
        (Some(expected), Host::Unix { .. }) if stream.owner() != Some(expected) => {
            Err("does not belong to the account that `requirepeer` names")
        }
        _ => Ok(()),
    }
}

/// PostgreSQL asks so, or may do so one day, but this client does not answer.
fn refused(text: impl Into<String>) -> Error {
    Error::failure(code::AUTHENTICATION_REFUSED, text)
}

/// No PostgreSQL begins an answer with `bytes`.
pub(super) fn no_postgresql(bytes: &[u8]) -> Error {
    let begin = bytes[..bytes.len().min(16)].escape_ascii();
    Error::failure(code::CONNECTION_CLOSED, format!("what answered is no PostgreSQL: \"{begin}\""))
}

/// What a server has asked, up to where it lets the client in.
#[derive(Default)]
pub(super) struct Interview {
    methods: Methods,
    is_encrypted: bool,
    has_asked: Arc<AtomicBool>,
    /// The only kind of request that may follow what has been asked.
    next: Option<u32>,
}

impl Interview {
    /// `has_asked` tells whether the server has asked for a password, and so got it.
    pub(super) fn new(methods: &Methods, is_encrypted: bool, has_asked: &Arc<AtomicBool>) -> Self {
        Self { methods: methods.clone(), is_encrypted, has_asked: has_asked.clone(), next: None }
    }

    /// Reads a request for authentication, and gives true for `AuthenticationOk`. Rejects a request that is forbidden
    /// (`AUTHENTICATION_REFUSED`), and one that PostgreSQL does not send (`CONNECTION_CLOSED`).
    pub(super) fn hear(&mut self, body: &[u8]) -> Result<bool, Error> {
        let malformed = || no_postgresql(body);
        let (kind, data) = body.split_first_chunk().ok_or_else(malformed)?;
        let kind = u32::from_be_bytes(*kind);
        if self.next.is_some_and(|next| next != kind) {
            return Err(malformed());
        }
        self.next = Some(match (kind, data) {
            (0, []) => {
                if self.next.is_none() {
                    self.allow(Method::None, "lets anybody in without asking")?;
                }
                return Ok(true);
            }
            (3, []) => {
                self.allow(Method::Password, "asks for the password in clear text")?;
                0
            }
            (5, [_, _, _, _]) => {
                self.allow(Method::Md5, "asks for the password as an MD5 hash")?;
                0
            }
            (10, [mechanisms @ .., 0, 0]) => {
                self.allow_scram(mechanisms)?;
                11
            }
            (11, data) if self.next.is_some() => {
                check_iterations(iterations(data).ok_or_else(malformed)?)?;
                12
            }
            (12, _) if self.next.is_some() => 0,
            (0 | 3 | 5 | 10 | 11 | 12, _) => return Err(malformed()),
            (2 | 7 | 8, _) => return Err(refused("asks for Kerberos (GSSAPI), which is not supported")),
            (9, _) => return Err(refused("asks for SSPI, which is not supported")),
            (other, _) => return Err(refused(format!("asks in a way that is not known ({other})"))),
        });
        self.has_asked.store(true, Ordering::Relaxed);
        Ok(false)
    }

    fn allow(&self, method: Method, does: &str) -> Result<(), Error> {
        if self.methods.allow(method) {
            return Ok(());
        }
        Err(refused(format!("{does}, which `require_auth` does not allow")))
    }

    fn allow_scram(&self, mechanisms: &[u8]) -> Result<(), Error> {
        let mut names = mechanisms.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        if !self.is_encrypted && names.any(|name| name == b"SCRAM-SHA-256-PLUS") {
            // PostgreSQL offers it over TLS alone: the TLS that the server sees ends at somebody in the middle.
            return Err(refused("offers SCRAM-SHA-256-PLUS over a connection without TLS"));
        }
        self.allow(Method::ScramSha256, "asks for SCRAM-SHA-256")
    }
}

/// How many iterations `r=nonce,s=salt,i=iterations` asks for.
fn iterations(data: &[u8]) -> Option<u32> {
    let count = data.split(|byte| *byte == b',').find_map(|part| part.strip_prefix(b"i="));
    str::from_utf8(count?).ok()?.parse().ok()
}

fn check_iterations(count: u32) -> Result<(), Error> {
    match count {
        1..=MOST_ITERATIONS => Ok(()),
        0 => Err(refused("asks for a proof by SCRAM without iterations")),
        _ => Err(refused(format!(
            "asks for {count} iterations of SCRAM; up to {MOST_ITERATIONS} are made (scram_iterations of the server, then \
             set the password anew)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: u32, data: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes(), data].concat()
    }

    /// What is said to these questions.
    fn heard(methods: &str, is_encrypted: bool, questions: &[Vec<u8>]) -> String {
        let methods = if methods.is_empty() { Methods::default() } else { Methods::named(methods).unwrap() };
        let mut interview = Interview::new(&methods, is_encrypted, &Arc::default());
        for question in questions {
            match interview.hear(question) {
                Ok(true) => return "in".to_owned(),
                Ok(false) => {}
                Err(error) => return error.to_string(),
            }
        }
        "waits".to_owned()
    }

    #[test]
    fn what_a_server_may_ask_depends_on_the_methods_that_are_allowed() {
        let ok = || question(0, b"");
        let scram =
            |first: &[u8]| vec![question(10, b"SCRAM-SHA-256\0\0"), question(11, first), question(12, b"v=x"), ok()];
        let table: [(&str, bool, Vec<Vec<u8>>, &str); 27] = [
            ("", false, vec![ok()], "in"),
            ("", false, vec![question(3, b""), ok()], "in"),
            ("", false, vec![question(5, b"salt")], "waits"),
            ("", false, scram(b"r=a,s=b,i=4096"), "in"),
            ("scram-sha-256", false, scram(b"r=a,s=b,i=4096"), "in"),
            ("scram-sha-256", true, vec![question(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")], "waits"),
            ("", false, vec![question(10, b"SCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0\0")], "without TLS"),
            ("scram-sha-256", true, vec![question(3, b"")], "clear text"),
            ("!password", true, vec![question(3, b"")], "clear text"),
            ("scram-sha-256", true, vec![question(5, b"salt")], "MD5"),
            ("scram-sha-256", true, vec![ok()], "without asking"),
            ("md5", true, scram(b"r=a,s=b,i=4096"), "asks for SCRAM"),
            ("", true, scram(b"r=a,s=b,i=0"), "without iterations"),
            ("", true, scram(b"r=a,s=b,i=100001"), "100001 iterations"),
            ("", true, vec![question(7, b"")], "Kerberos"),
            ("", true, vec![question(13, b"")], "not known (13)"),
            ("", true, vec![vec![0, 0, 0]], "is no PostgreSQL"),
            ("", true, vec![question(0, b"x")], "is no PostgreSQL"),
            ("", true, vec![question(3, b"x")], "is no PostgreSQL"),
            ("", true, vec![question(5, b"sal")], "is no PostgreSQL"),
            ("", true, vec![question(5, b"salt.")], "is no PostgreSQL"),
            ("", true, vec![question(10, b"SCRAM-SHA-256\0")], "is no PostgreSQL"),
            ("", true, scram(b"r=a,s=b"), "is no PostgreSQL"),
            ("", true, vec![question(11, b"r=a,s=b,i=4096")], "is no PostgreSQL"),
            ("", true, vec![question(12, b"v=x")], "is no PostgreSQL"),
            ("", true, vec![question(10, b"SCRAM-SHA-256\0\0"), ok()], "is no PostgreSQL"),
            ("", true, vec![question(3, b""), question(3, b"")], "is no PostgreSQL"),
        ];
        for (row, (methods, is_encrypted, messages, expected)) in table.into_iter().enumerate() {
            let answer = heard(methods, is_encrypted, &messages);
            assert!(answer.contains(expected), "row {row}: {answer}");
        }
    }
}
