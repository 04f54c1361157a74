//! How answers end: with one completion for each statement, whose tag is that of a command, and in no transaction that was
//! not begun. The driver takes whatever comes for the end of the statement, and a change would be reported as made.

use std::{error, fmt, io};

/// The commands that this package sends, and those that a rule may put in their place.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COMMANDCOMPLETE>
const COMMANDS: [&[u8]; 13] = [
    b"SELECT",
    b"INSERT",
    b"UPDATE",
    b"DELETE",
    b"MERGE",
    b"BEGIN",
    b"COMMIT",
    b"ROLLBACK",
    b"DEALLOCATE",
    b"SET",
    b"RESET",
    b"SHOW",
    b"NOTIFY",
];
/// Longer than any of them.
const WORD: usize = 16;
/// A message's type and length.
const HEADER: usize = 5;

/// Follows the messages of one connection.
#[derive(Debug, Default)]
pub(super) struct Completion {
    /// Since the last `ReadyForQuery`. A simple query binds nothing.
    bound: u32,
    completed: u32,
    in_transaction: bool,
    /// How the message that is being read begins: its type, its length, and the begin of its body.
    head: [u8; HEADER + WORD],
    come: usize,
    /// How much of the message is still to come, once its header is there.
    rest: usize,
}

/// An answer that ends as none of PostgreSQL's does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Improper(pub(super) &'static str);

impl fmt::Display for Improper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl error::Error for Improper {}

impl Improper {
    /// The one for which the stream of a connection was ended.
    pub(super) fn within(error: &(dyn error::Error + 'static)) -> Option<Self> {
        error.source()?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref().copied()
    }
}

impl Completion {
    /// Looks at what comes next.
    pub(super) fn look(&mut self, mut bytes: &[u8]) -> Result<(), Improper> {
        while !bytes.is_empty() {
            let wanted = if self.come < HEADER { HEADER - self.come } else { self.rest };
            let (part, after) = bytes.split_at(wanted.min(bytes.len()));
            bytes = after;
            let room = &mut self.head[self.come.min(HEADER + WORD)..];
            let kept = part.len().min(room.len());
            room[..kept].copy_from_slice(&part[..kept]);
            if self.come < HEADER {
                self.come += part.len();
                if self.come < HEADER {
                    return Ok(());
                }
                let [_, length @ ..] = self.head.first_chunk::<HEADER>().copied().unwrap_or_default();
                self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX).saturating_sub(4);
            } else {
                self.come += kept;
                self.rest -= part.len();
            }
            if self.rest == 0 {
                let body = self.come - HEADER;
                self.come = 0;
                self.judge(body).map_err(Improper)?;
            }
        }
        Ok(())
    }

    /// The message is there as a whole, and so much of its body in `head`.
    fn judge(&mut self, length: usize) -> Result<(), &'static str> {
        let [message, _, _, _, _, body @ ..] = &self.head;
        match message {
            b'2' => self.bound += 1,
            b'C' => {
                self.completed += 1;
                if self.bound > 0 && self.completed > self.bound {
                    return Err("a statement is complete twice");
                }
                let text = &body[..length];
                let word = text.split(|byte| matches!(byte, b' ' | 0)).next().unwrap_or_default();
                match word {
                    b"BEGIN" => self.in_transaction = true,
                    b"COMMIT" | b"ROLLBACK" => self.in_transaction = false,
                    word if COMMANDS.contains(&word) => {}
                    _ => return Err("a command is complete that PostgreSQL does not know"),
                }
            }
            b'Z' => {
                (self.bound, self.completed) = (0, 0);
                match (body[0], self.in_transaction) {
                    (b'I', _) => self.in_transaction = false,
                    (b'T' | b'E', true) => {}
                    _ => return Err("a transaction is under way that was not begun"),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Completion;

    /// Whether these messages pass, each a type and a body, in pieces of any length.
    fn passes(messages: &[(u8, &[u8])]) -> bool {
        let message = |(kind, body): &(u8, &[u8])| {
            [&[*kind], &u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
        };
        let bytes: Vec<u8> = messages.iter().flat_map(message).collect();
        let outcomes = [1, 2, 7, bytes.len()].map(|length| {
            let mut completion = Completion::default();
            bytes.chunks(length).try_for_each(|piece| completion.look(piece)).is_ok()
        });
        assert_eq!(outcomes, [outcomes[0]; 4], "{messages:?}");
        outcomes[0]
    }

    #[test]
    fn what_postgresql_says_passes() {
        let insertion: [(u8, &[u8]); 4] = [(b'2', b""), (b'D', b"\0\0"), (b'C', b"INSERT 0 1\0"), (b'Z', b"I")];
        assert!(passes(&insertion));
        let pipelined: [(u8, &[u8]); 5] =
            [(b'2', b""), (b'C', b"INSERT 0 1\0"), (b'2', b""), (b'C', b"INSERT 0 1\0"), (b'Z', b"I")];
        assert!(passes(&pipelined));
        let transaction: [(u8, &[u8]); 8] = [
            (b'C', b"BEGIN\0"),
            (b'Z', b"T"),
            (b'E', b""),
            (b'Z', b"E"),
            (b'C', b"ROLLBACK\0"),
            (b'C', b"BEGIN\0"),
            (b'Z', b"T"),
            (b'C', b"COMMIT\0"),
        ];
        assert!(passes(&transaction));
        assert!(passes(&[(b'2', b""), (b'C', b"SELECT 18446744073709551615\0"), (b'Z', b"I")]));
    }

    #[test]
    fn an_answer_that_ends_otherwise_is_refused() {
        let cases: [&[(u8, &[u8])]; 6] = [
            &[(b'2', b""), (b'C', b"HELLO\0")],
            &[(b'2', b""), (b'C', b"UPDATES 1\0")],
            &[(b'2', b""), (b'C', b"UPDATE 1\0"), (b'C', b"UPDATE 1\0")],
            &[(b'2', b""), (b'C', b"UPDATE 1\0"), (b'Z', b"T")],
            &[(b'2', b""), (b'C', b"UPDATE 1\0"), (b'Z', b"E")],
            &[(b'C', b"BEGIN\0"), (b'Z', b"T"), (b'C', b"COMMIT\0"), (b'Z', b"T")],
        ];
        for messages in cases {
            assert!(!passes(messages), "{messages:?}");
        }
    }
}
