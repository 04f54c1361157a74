//! What a server may ask of the client before it lets it in. The driver answers whatever it is asked; what is forbidden has
//! to be noticed before it reads the question.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-AUTHENTICATIONOK>

use std::{
    error, fmt, io, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::{completion::Completion, network::Stream};
use crate::pg::{
    settings::{Host, Method, Methods},
    tls::Secured,
};

/// libpq takes no longer one for a message of authentication.
const LONGEST: usize = 2000;
/// postgres-protocol derives no key over more rounds, since any server can ask for any number.
const MOST_ITERATIONS: u32 = 100_000;

/// A question that is not answered.
#[derive(Debug)]
pub(super) struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl error::Error for Forbidden {}

impl Forbidden {
    /// The one that an error of the stream holds.
    pub(super) fn within<'a>(error: &'a (dyn error::Error + 'static)) -> Option<&'a Self> {
        error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
    }
}

/// Whether the server behind a unix socket belongs to the account that it has to.
pub(super) fn check_owner(expected: Option<u32>, host: &Host, stream: &Stream) -> Result<(), Forbidden> {
    match (expected, host) {
        (Some(expected), Host::Unix { .. }) if stream.owner() != Some(expected) => {
            Err(forbidden("does not belong to the account that `requirepeer` names"))
        }
        _ => Ok(()),
    }
}

/// Reads the beginning of what a server says, up to where it lets the client in.
struct Interview {
    methods: Methods,
    is_encrypted: bool,
    has_asked: Arc<AtomicBool>,
    /// The message that is being read: its type and length, then what it holds if it is one of authentication.
    message: Vec<u8>,
    /// How many bytes of another message are still to come.
    rest: usize,
}

impl Interview {
    /// Says whether the client is in.
    fn read(&mut self, mut bytes: &[u8]) -> Result<bool, Forbidden> {
        const HEADER: usize = 5;
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let Some((first, after)) = bytes.split_first() else { break };
            self.message.push(*first);
            bytes = after;
            let Some((header, body)) = self.message.split_at_checked(HEADER) else { continue };
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(4);
            match header[0] {
                b'R' if length > LONGEST => return Err(forbidden("sends a question that is too long")),
                b'R' if body.len() < length => {}
                b'R' => {
                    let message = mem::take(&mut self.message);
                    if self.judge(&message[HEADER..])? {
                        return Ok(true);
                    }
                }
                _ => {
                    self.rest = length;
                    self.message.clear();
                }
            }
        }
        Ok(false)
    }

    fn judge(&mut self, body: &[u8]) -> Result<bool, Forbidden> {
        let Some((kind, data)) = body.split_first_chunk() else {
            return Err(forbidden("sends a question that is none"));
        };
        let had_asked = self.has_asked.load(Ordering::Relaxed);
        match u32::from_be_bytes(*kind) {
            0 => {
                if !had_asked {
                    self.allow(Method::None, "lets anybody in without asking")?;
                }
                return Ok(true);
            }
            3 => self.allow(Method::Password, "asks for the password in clear text")?,
            5 => self.allow(Method::Md5, "asks for the password as an MD5 hash")?,
            10 => self.allow_scram(data)?,
            11 => return check_iterations(data).map(|()| false),
            12 => return Ok(false),
            2 | 7 | 8 => return Err(forbidden("asks for Kerberos (GSSAPI), which is not supported")),
            9 => return Err(forbidden("asks for SSPI, which is not supported")),
            other => return Err(forbidden(format!("asks in a way that is not known ({other})"))),
        }
        self.has_asked.store(true, Ordering::Relaxed);
        Ok(false)
    }

    fn allow(&self, method: Method, does: &str) -> Result<(), Forbidden> {
        if self.methods.allow(method) {
            return Ok(());
        }
        Err(forbidden(format!("{does}, which `require_auth` does not allow")))
    }

    fn allow_scram(&self, mechanisms: &[u8]) -> Result<(), Forbidden> {
        let mut names = mechanisms.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        if !self.is_encrypted && names.any(|name| name == b"SCRAM-SHA-256-PLUS") {
            // Bound to the encryption between the server and somebody in the middle.
            return Err(forbidden("offers SCRAM-SHA-256-PLUS over a connection without TLS"));
        }
        self.allow(Method::ScramSha256, "asks for SCRAM-SHA-256")
    }
}

/// Of `r=nonce,s=salt,i=iterations`.
fn check_iterations(data: &[u8]) -> Result<(), Forbidden> {
    let count = data.split(|byte| *byte == b',').find_map(|part| part.strip_prefix(b"i="));
    let count = count.and_then(|digits| str::from_utf8(digits).ok()?.parse::<u32>().ok());
    match count {
        Some(1..=MOST_ITERATIONS) => Ok(()),
        Some(0) | None => Err(forbidden("asks for a proof by SCRAM without iterations")),
        Some(count) => Err(forbidden(format!(
            "asks for {count} iterations of SCRAM; up to {MOST_ITERATIONS} are made (scram_iterations of the server, then \
             set the password anew)"
        ))),
    }
}

fn forbidden(text: impl Into<String>) -> Forbidden {
    Forbidden(text.into())
}

/// A connection whose server is watched: what it asks until it has let the client in, and how its answers end.
pub(super) struct Watched<S> {
    stream: Secured<S>,
    interview: Option<Interview>,
    completion: Completion,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    /// `has_asked` tells whether the server has asked for a password, and so got it.
    pub(super) fn new(stream: Secured<S>, methods: &Methods, has_asked: &Arc<AtomicBool>) -> Self {
        let interview = Interview {
            methods: methods.clone(),
            is_encrypted: stream.is_encrypted(),
            has_asked: has_asked.clone(),
            message: Vec::new(),
            rest: 0,
        };
        Self { stream, interview: Some(interview), completion: Completion::default() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, interview, completion } = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = &result {
            completion
                .look(&buffer.filled()[before..])
                .map_err(|improper| io::Error::new(io::ErrorKind::InvalidData, improper))?;
        }
        if let (Some(watch), Poll::Ready(Ok(()))) = (interview.as_mut(), &result) {
            match watch.read(&buffer.filled()[before..]) {
                Ok(false) => {}
                Ok(true) => *interview = None,
                Err(forbidden) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, forbidden))),
            }
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        [&[kind][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), &body].concat()
    }

    fn question(kind: u32, data: &[u8]) -> Vec<u8> {
        message(b'R', &[&kind.to_be_bytes(), data])
    }

    /// What is said to messages that come in pieces of every length.
    fn heard(methods: &str, is_encrypted: bool, messages: &[Vec<u8>]) -> String {
        let bytes = messages.concat();
        let answers = (1..=bytes.len()).map(|length| {
            let methods = if methods.is_empty() { Methods::default() } else { Methods::named(methods).unwrap() };
            let has_asked = Arc::default();
            let mut interview = Interview { methods, is_encrypted, has_asked, message: Vec::new(), rest: 0 };
            for piece in bytes.chunks(length) {
                match interview.read(piece) {
                    Ok(true) => return "in".to_owned(),
                    Ok(false) => {}
                    Err(Forbidden(text)) => return text,
                }
            }
            "waits".to_owned()
        });
        let answers: Vec<_> = answers.collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        answers[0].clone()
    }

    #[test]
    fn what_a_server_may_ask_depends_on_the_methods_that_are_allowed() {
        let ok = || question(0, b"");
        let notice = || message(b'N', &[b"SNOTICE\0\0"]);
        let scram =
            |first: &[u8]| vec![question(10, b"SCRAM-SHA-256\0\0"), question(11, first), question(12, b"v=x"), ok()];
        let table: [(&str, bool, Vec<Vec<u8>>, &str); 16] = [
            ("", false, vec![ok()], "in"),
            ("", false, vec![notice(), ok()], "in"),
            ("", false, vec![question(3, b""), ok()], "in"),
            ("", false, vec![question(5, b"salt")], "waits"),
            ("", false, scram(b"r=a,s=b,i=4096"), "in"),
            ("scram-sha-256", false, scram(b"r=a,s=b,i=4096"), "in"),
            ("scram-sha-256", true, vec![question(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")], "waits"),
            ("", false, vec![question(10, b"SCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0\0")], "without TLS"),
            ("scram-sha-256", true, vec![question(3, b"")], "clear text"),
            ("!password", true, vec![question(3, b"")], "clear text"),
            ("scram-sha-256", true, vec![notice(), question(5, b"salt")], "MD5"),
            ("scram-sha-256", true, vec![ok()], "without asking"),
            ("md5", true, scram(b"r=a,s=b,i=4096"), "asks for SCRAM"),
            ("", true, scram(b"r=a,s=b,i=0"), "without iterations"),
            ("", true, scram(b"r=a,s=b,i=100001"), "100001 iterations"),
            ("", true, vec![question(7, b"")], "Kerberos"),
        ];
        for (row, (methods, is_encrypted, messages, expected)) in table.into_iter().enumerate() {
            let answer = heard(methods, is_encrypted, &messages);
            assert!(answer.contains(expected), "row {row}: {answer}");
        }
    }
}
