//! What a server may send: which message, when, and how long. Checked before the driver reads on, since the driver keeps
//! whatever is announced, however long it is and whoever announced it.

use std::{collections::BTreeMap, error, io, mem};

use super::{
    authentication::{Interview, no_postgresql},
    completion::{self, Completion},
};
use crate::pg::error::{Error, code};

/// How far the conversation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Authentication,
    /// Authentication is over, and the session is being set up.
    Startup,
    Session,
}

/// libpq's bound on a request for authentication.
const REQUEST: u32 = 2_000;
/// libpq's bound on a message that is no list, row, error or notice, and on an error before the session.
const SHORT: u32 = 30_000;
/// PostgreSQL makes no longer message (`MaxAllocSize`).
const LONG: u32 = 1 << 30;
/// The bytes of all messages between authentication and the session, of all `ParameterStatus` within one answer, and of the last
/// `ParameterStatus` of each name, at most: the driver keeps these in memory.
const KEPT: usize = 1 << 20;
/// Where a message does not come.
const NOT: u32 = 0;

/// A message's type, and how long it may be in authentication, in startup and in a session.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
const MESSAGES: [(u8, [u32; 3]); 17] = [
    (b'R', [REQUEST, NOT, NOT]),
    (b'E', [SHORT, SHORT, LONG]),
    (b'N', [NOT, SHORT, LONG]),
    (b'S', [NOT, SHORT, SHORT]),
    (b'K', [NOT, SHORT, NOT]),
    (b'Z', [NOT, 5, 5]),
    (b'1', [NOT, NOT, SHORT]),
    (b'2', [NOT, NOT, SHORT]),
    (b'3', [NOT, NOT, SHORT]),
    (b'C', [NOT, NOT, SHORT]),
    (b'D', [NOT, NOT, LONG]),
    (b'I', [NOT, NOT, SHORT]),
    (b'n', [NOT, NOT, SHORT]),
    (b's', [NOT, NOT, SHORT]),
    (b'T', [NOT, NOT, LONG]),
    (b't', [NOT, NOT, SHORT]),
    (b'A', [NOT, NOT, LONG]),
];

/// `MESSAGES`, by stage and type.
const LONGEST: [[u32; 256]; 3] = {
    let mut longest = [[NOT; 256]; 3];
    let mut at = 0;
    while at < MESSAGES.len() {
        let (kind, [authentication, startup, session]) = MESSAGES[at];
        longest[0][kind as usize] = authentication;
        longest[1][kind as usize] = startup;
        longest[2][kind as usize] = session;
        at += 1;
    }
    longest
};

impl Stage {
    fn longest(self, kind: u8) -> u32 {
        LONGEST[self as usize][usize::from(kind)]
    }
}

/// The error for which a stream was ended, whose code tells what the server did: it asked for what is forbidden
/// (`AUTHENTICATION_REFUSED`), sent what PostgreSQL does not send (`CONNECTION_CLOSED`), or ended an answer as PostgreSQL ends
/// none (`INVALID_ANSWER`).
pub(super) fn violation<'a>(error: &'a (dyn error::Error + 'static)) -> Option<&'a Error> {
    const CODES: [&str; 3] = [code::AUTHENTICATION_REFUSED, code::CONNECTION_CLOSED, code::INVALID_ANSWER];
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Error>();
    inner.filter(|error| CODES.contains(&error.code()))
}

/// How a message begins.
struct Message<'a> {
    kind: u8,
    length: u32,
    /// The beginning of the body, as far as `read` looks at it.
    body: &'a [u8],
}

impl Message<'_> {
    /// The bytes of the whole message: `length` does not count the type.
    fn size(&self) -> usize {
        self.length as usize + 1
    }
}

/// Follows the messages of one connection; what nobody reads of them is skipped unread.
#[derive(Default)]
pub(super) struct Screen {
    stage: Stage,
    interview: Interview,
    completion: Completion,
    /// The begin of a message that was cut off before what is read of it had come.
    begun: Vec<u8>,
    /// How many bytes are still to come of the message before the next one.
    rest: usize,
    /// How many bytes the driver has kept (`KEPT`).
    kept: usize,
    settings: Settings,
}

/// The settings that the driver knows, by their names, and the bytes of their messages.
#[derive(Default)]
struct Settings {
    known: BTreeMap<Vec<u8>, usize>,
    bytes: usize,
}

impl Settings {
    /// The value takes the place of the one before.
    fn set(&mut self, message: &Message<'_>) {
        let name = message.body.split(|byte| *byte == 0).next().unwrap_or_default();
        self.bytes += message.size();
        self.bytes -= self.known.insert(name.to_vec(), message.size()).unwrap_or_default();
    }
}

impl Screen {
    pub(super) fn new(interview: Interview) -> Self {
        Self { interview, ..Self::default() }
    }

    pub(super) fn look(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        loop {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let Some((byte, after)) = bytes.split_first() else { return Ok(()) };
            if self.begun.is_empty()
                && let Some(message) = self.message(bytes)?
            {
                self.rest = message.size();
                self.read(&message)?;
                continue;
            }
            bytes = after;
            let mut begun = mem::take(&mut self.begun);
            begun.push(*byte);
            if let Some(message) = self.message(&begun)? {
                self.rest = message.size() - begun.len();
                self.read(&message)?;
                begun.clear();
            }
            self.begun = begun;
        }
    }

    /// The message that `bytes` begin with, once what is read of it is there.
    fn message<'a>(&self, bytes: &'a [u8]) -> Result<Option<Message<'a>>, Error> {
        let Some(&kind) = bytes.first() else { return Ok(None) };
        let longest = self.stage.longest(kind);
        let Some(([_, length @ ..], after)) = bytes.split_first_chunk::<5>() else {
            return if longest == NOT { Err(self.unexpected(bytes)) } else { Ok(None) };
        };
        let length = u32::from_be_bytes(*length);
        let shortest = if kind == b'R' { 8 } else { 4 };
        if length < shortest || length > longest {
            return Err(self.unexpected(bytes));
        }
        let read = match kind {
            b'R' | b'S' => length as usize - 4,
            b'C' | b'Z' => (length as usize - 4).min(completion::READ),
            _ => 0,
        };
        Ok(after.get(..read).map(|body| Message { kind, length, body }))
    }

    fn read(&mut self, message: &Message<'_>) -> Result<(), Error> {
        if self.stage == Stage::Authentication {
            if message.kind != b'R' {
                return Ok(());
            }
            if self.interview.hear(message.body)? {
                self.stage = Stage::Startup;
            }
            return Ok(());
        }
        if message.kind == b'S' {
            self.settings.set(message);
        }
        match message.kind {
            b'Z' => {
                self.stage = Stage::Session;
                self.kept = 0;
            }
            kind if kind == b'S' || self.stage == Stage::Startup => self.kept += message.length as usize,
            _ => {}
        }
        if self.kept > KEPT || self.settings.bytes > KEPT {
            let text = format!("the server sent more than {KEPT} bytes of settings and notices unasked");
            return Err(Error::failure(code::CONNECTION_CLOSED, text));
        }
        self.completion.judge(message.kind, message.body).map_err(|text| Error::failure(code::INVALID_ANSWER, text))
    }

    fn unexpected(&self, bytes: &[u8]) -> Error {
        if self.stage == Stage::Authentication {
            return no_postgresql(bytes);
        }
        let begin = bytes[..bytes.len().min(16)].escape_ascii();
        let text = format!("the server sent a message of another type or length than PostgreSQL: \"{begin}\"");
        Error::failure(code::CONNECTION_CLOSED, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[tag], &length[..], body].concat()
    }

    fn startup() -> Vec<u8> {
        [message(b'R', &[0; 4]), message(b'S', b"a\0b\0"), message(b'K', &[0; 8]), message(b'Z', b"I")].concat()
    }

    /// However the bytes are cut, the outcome is the same.
    fn refusal(bytes: &[u8]) -> Option<String> {
        let outcomes = [1, 3, 7, usize::MAX].map(|size| {
            let mut screen = Screen::default();
            let refused = bytes.chunks(size.min(bytes.len())).find_map(|part| screen.look(part).err());
            refused.is_some().then(|| refused.unwrap().to_string())
        });
        assert!(outcomes.iter().all(|outcome| outcome.is_some() == outcomes[0].is_some()), "{outcomes:?}");
        outcomes.into_iter().last().flatten()
    }

    #[test]
    fn what_postgresql_sends_passes() {
        let session = [startup(), message(b'D', &vec![7; 100_000]), message(b'A', b""), message(b'Z', b"I")].concat();
        assert_eq!(refusal(&session), None);
    }

    #[test]
    fn what_is_no_postgresql_is_refused_at_its_first_byte() {
        let refused = refusal(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
        assert_eq!(refused, "what answered is no PostgreSQL: \"HTTP/1.1 400 Bad\"");
        assert!(Screen::default().look(b"S").is_err());
    }

    #[test]
    fn each_message_has_its_place_and_its_bound() {
        let after = |bytes: &[u8]| refusal(&[startup(), bytes.to_vec()].concat());
        for (tag, longest) in MESSAGES {
            for (at, stage) in [Stage::Authentication, Stage::Startup, Stage::Session].into_iter().enumerate() {
                let mut screen = Screen { stage, ..Screen::default() };
                let mut head = |length: u32| screen.look(&[&[tag], &length.to_be_bytes()[..]].concat()).is_ok();
                assert!(!head(longest[at] + 1), "{} of {stage:?}", char::from(tag));
                let shortest = if tag == b'R' { 8 } else { 4 };
                let mut screen = Screen { stage, ..Screen::default() };
                let passes = screen.look(&[&[tag], &longest[at].max(shortest).to_be_bytes()[..]].concat()).is_ok();
                assert_eq!(passes, longest[at] != NOT, "{} of {stage:?}", char::from(tag));
            }
        }
        assert!(after(&message(b'G', &[0; 3])).is_some());
        assert!(after(&[b'D', 0, 0, 0, 3]).is_some());
    }

    #[test]
    fn questions_and_ends_of_answers_are_judged_however_they_are_cut() {
        let scram = message(b'R', &[&[0, 0, 0, 10][..], b"SCRAM-SHA-256\0\0"].concat());
        let last = message(b'R', &[0, 0, 0, 12]);
        let first = |iterations: &str| message(b'R', &[&[0, 0, 0, 11], iterations.as_bytes()].concat());
        assert_eq!(refusal(&[&scram[..], &first("r=a,s=b,i=4096"), &last, &startup()].concat()), None);
        assert!(refusal(&[&scram[..], &first("r=a,s=b,i=0"), &startup()].concat()).unwrap().contains("iterations"));
        let answer = |end: &[u8]| [startup(), message(b'2', b""), message(b'D', &[7; 90]), message(b'C', end)].concat();
        assert_eq!(refusal(&answer(b"SELECT 18446744073709551615\0")), None);
        assert!(refusal(&answer(b"HELLO\0")).unwrap().contains("does not know"));
        assert!(refusal(&[answer(b"UPDATE 1\0"), message(b'Z', b"")].concat()).is_some());
    }

    #[test]
    fn what_the_driver_keeps_is_bounded() {
        let ready = message(b'R', &[0; 4]);
        let notices = message(b'N', &[b'x'; 1000]).repeat(1100);
        assert!(refusal(&[&ready[..], &notices].concat()).is_some());
        let session = [startup(), notices].concat();
        assert_eq!(refusal(&session), None);
        let settings = message(b'S', &[b'x'; 1000]).repeat(600);
        let told = [startup(), settings.clone(), message(b'Z', b"I"), settings.clone()].concat();
        assert_eq!(refusal(&told), None);
        assert!(refusal(&[told, settings].concat()).is_some());
    }

    #[test]
    fn settings_of_ever_other_names_are_bounded_over_all_answers() {
        let setting = |name: usize| message(b'S', &[name.to_string().as_bytes(), &[0; 1000]].concat());
        let answers = |name: fn(usize) -> usize| -> Vec<u8> {
            let answer = |at| [setting(name(at)), message(b'Z', b"I")].concat();
            [startup(), (0..1100).flat_map(answer).collect()].concat()
        };
        assert_eq!(refusal(&answers(|at| at % 100)), None);
        assert!(refusal(&answers(|at| at)).unwrap().contains("settings"));
    }
}
