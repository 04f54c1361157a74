//! How answers end: with one completion for each statement, whose tag is that of a command, and in no transaction that was
//! not begun. The driver takes whatever comes for the end of the statement, and a change would be reported as made.

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
/// How much is read of a message: more than any of them.
pub(super) const READ: usize = 16;

/// Follows the messages of one connection.
#[derive(Debug, Default)]
pub(super) struct Completion {
    /// Since the last `ReadyForQuery`. A simple query binds nothing.
    bound: u32,
    completed: u32,
    in_transaction: bool,
}

impl Completion {
    /// `body` is the message's, up to `READ`.
    pub(super) fn judge(&mut self, kind: u8, body: &[u8]) -> Result<(), &'static str> {
        match kind {
            b'2' => self.bound += 1,
            b'C' => {
                self.completed += 1;
                if self.bound > 0 && self.completed > self.bound {
                    return Err("a statement is complete twice");
                }
                let word = body.split(|byte| matches!(byte, b' ' | 0)).next().unwrap_or_default();
                match word {
                    b"BEGIN" => self.in_transaction = true,
                    b"COMMIT" | b"ROLLBACK" => self.in_transaction = false,
                    word if COMMANDS.contains(&word) => {}
                    _ => return Err("a command is complete that PostgreSQL does not know"),
                }
            }
            b'Z' => {
                (self.bound, self.completed) = (0, 0);
                match (body.first(), self.in_transaction) {
                    (Some(b'I'), _) => self.in_transaction = false,
                    (Some(b'T' | b'E'), true) => {}
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

    /// Whether these messages pass, each a type and a body.
    fn passes(messages: &[(u8, &[u8])]) -> bool {
        let mut completion = Completion::default();
        messages.iter().all(|(kind, body)| completion.judge(*kind, body).is_ok())
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
