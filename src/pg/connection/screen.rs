//! What a server may send: which message, when, and how long. Checked before the driver reads on, since the driver keeps
//! whatever is announced, however long it is and whoever announced it.

use std::{error, fmt, io};

/// How far the conversation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Authentication,
    /// Authentication is over, and the session is being set up.
    Startup,
    Session,
}

/// libpq's bound on a request for authentication, of which none is longer.
const REQUEST: u32 = 2_000;
/// libpq's bound on a message that is no list, row, error or notice, and on an error before the session.
const SHORT: u32 = 30_000;
/// PostgreSQL makes no longer one.
const LONG: u32 = 1 << 30;
/// All messages between authentication and the session, and all settings that are told within one answer: the driver keeps
/// them.
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

/// What a server sent that PostgreSQL does not send.
#[derive(Debug)]
pub(super) struct Unexpected(String);

impl fmt::Display for Unexpected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl error::Error for Unexpected {}

impl Unexpected {
    pub(super) fn of<'a>(error: &'a (dyn error::Error + 'static)) -> Option<&'a Self> {
        error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
    }
}

/// Follows the headers of the messages; what lies between them is skipped unread.
#[derive(Default)]
pub(super) struct Screen {
    stage: Stage,
    /// The type and length of the message that has begun; of a request for authentication its kind as well.
    head: [u8; 9],
    /// How much of the head has come.
    come: usize,
    /// What is still to come of the message whose head has come.
    rest: usize,
    /// What the driver has kept.
    kept: usize,
}

impl Screen {
    pub(super) fn look(&mut self, mut bytes: &[u8]) -> Result<(), Unexpected> {
        loop {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let Some((byte, after)) = bytes.split_first() else { return Ok(()) };
            self.head[self.come] = *byte;
            self.come += 1;
            match self.come {
                1 if self.longest() == NOT => return Err(self.refuse(bytes)),
                5 => self.measure()?,
                9 => self.request(),
                _ => {}
            }
            bytes = after;
        }
    }

    fn longest(&self) -> u32 {
        let stage = match self.stage {
            Stage::Authentication => 0,
            Stage::Startup => 1,
            Stage::Session => 2,
        };
        MESSAGES.iter().find(|(known, _)| *known == self.head[0]).map_or(NOT, |(_, longest)| longest[stage])
    }

    fn length(&self) -> u32 {
        u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]])
    }

    /// The length has come.
    fn measure(&mut self) -> Result<(), Unexpected> {
        let (tag, length) = (self.head[0], self.length());
        let is_request = tag == b'R';
        let shortest = if is_request { 8 } else { 4 };
        if !(shortest..=self.longest()).contains(&length) {
            return Err(self.refuse(&self.head[..5]));
        }
        self.kept = match (self.stage, tag) {
            (_, b'Z') => 0,
            (Stage::Startup, _) | (Stage::Session, b'S') => self.kept + length as usize,
            _ => self.kept,
        };
        if self.kept > KEPT {
            return Err(Unexpected(format!("the server sent more than {KEPT} bytes of settings and notices unasked")));
        }
        if !is_request {
            self.rest = length as usize - 4;
            self.come = 0;
        }
        if tag == b'Z' {
            self.stage = Stage::Session;
        }
        Ok(())
    }

    /// The kind of a request for authentication has come; 0 is its end.
    fn request(&mut self) {
        if self.head[5..] == [0; 4] {
            self.stage = Stage::Startup;
        }
        self.rest = self.length() as usize - 8;
        self.come = 0;
    }

    fn refuse(&self, bytes: &[u8]) -> Unexpected {
        let begin = bytes[..bytes.len().min(16)].escape_ascii();
        Unexpected(match self.stage {
            Stage::Authentication => format!("what answered is no PostgreSQL: \"{begin}\""),
            _ => format!("the server sent a message of another type or length than PostgreSQL: \"{begin}\""),
        })
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
        [
            message(b'R', &[0, 0, 0, 10, b'x', 0, 0]),
            message(b'R', &[0; 4]),
            message(b'S', b"a\0b\0"),
            message(b'K', &[0; 8]),
            message(b'Z', b"I"),
        ]
        .concat()
    }

    /// However the bytes are cut, the outcome is the same.
    fn refusal(bytes: &[u8]) -> Option<String> {
        let outcomes = [1, 3, usize::MAX].map(|size| {
            let mut screen = Screen::default();
            let refused = bytes.chunks(size.min(bytes.len())).find_map(|part| screen.look(part).err());
            refused.is_some().then(|| refused.unwrap().to_string())
        });
        assert_eq!(outcomes[0].is_some(), outcomes[2].is_some());
        assert_eq!(outcomes[1].is_some(), outcomes[2].is_some());
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
}
