//! Messages that a server writes.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    /// 0 where the column is no table's.
    pub(super) table: u32,
    pub(super) kind: u32,
}

/// An error, or a notice, with the fields that PostgreSQL sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    severity: &'static str,
    pub(super) code: String,
    pub(super) message: String,
    /// Schema, table, column, constraint, detail, by the letters of their fields.
    more: Vec<(u8, String)>,
    author: Author,
}

/// Who wrote an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    Postgres,
    /// Its own errors lack the fields F, L and R.
    Supavisor,
    /// Its own errors lack V as well.
    PgBouncer,
}

impl Refusal {
    fn new(severity: &'static str, code: &str, message: &str) -> Self {
        Self {
            severity,
            code: code.to_owned(),
            message: message.to_owned(),
            more: Vec::new(),
            author: Author::Postgres,
        }
    }

    pub(super) fn error(code: &str, message: &str) -> Self {
        Self::new("ERROR", code, message)
    }

    pub(super) fn fatal(code: &str, message: &str) -> Self {
        Self::new("FATAL", code, message)
    }

    pub(super) fn notice(code: &str, message: &str) -> Self {
        Self::new("WARNING", code, message)
    }

    /// What a pooler says that has lost its server.
    pub(super) fn of_pooler(author: Author) -> Self {
        let (code, message) = match author {
            Author::PgBouncer => ("08P01", "server conn crashed?"),
            Author::Supavisor | Author::Postgres => ("XX000", "DbHandler exited"),
        };
        Self { author, ..Self::fatal(code, message) }
    }

    pub(super) fn about(mut self, table: &str, column: &str) -> Self {
        self.more.extend([(b's', "public".to_owned()), (b't', table.to_owned())]);
        if !column.is_empty() {
            self.more.push((b'c', column.to_owned()));
        }
        self
    }

    pub(super) fn of_constraint(mut self, name: &str, detail: &str) -> Self {
        self.more.extend([(b'n', name.to_owned()), (b'D', detail.to_owned())]);
        self
    }
}

/// What a server writes.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
}

impl Output {
    fn message(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(kind);
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        write(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start).unwrap();
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn authentication(&mut self, code: i32, data: &[u8]) {
        self.message(b'R', |bytes| {
            bytes.extend(code.to_be_bytes());
            bytes.extend(data);
        });
    }

    pub(super) fn authenticated(&mut self) {
        self.authentication(0, b"");
    }

    pub(super) fn scram_is_wanted(&mut self) {
        self.authentication(10, b"SCRAM-SHA-256\0\0");
    }

    pub(super) fn scram_continues(&mut self, data: &str) {
        self.authentication(11, data.as_bytes());
    }

    pub(super) fn scram_ends(&mut self, data: &str) {
        self.authentication(12, data.as_bytes());
    }

    pub(super) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |bytes| {
            text(bytes, name);
            text(bytes, value);
        });
    }

    pub(super) fn key_data(&mut self, process_id: i32, secret: i32) {
        self.message(b'K', |bytes| {
            bytes.extend(process_id.to_be_bytes());
            bytes.extend(secret.to_be_bytes());
        });
    }

    pub(super) fn ready(&mut self, status: u8) {
        self.message(b'Z', |bytes| bytes.push(status));
    }

    pub(super) fn parsed(&mut self) {
        self.message(b'1', |_| {});
    }

    pub(super) fn bound(&mut self) {
        self.message(b'2', |_| {});
    }

    pub(super) fn closed(&mut self) {
        self.message(b'3', |_| {});
    }

    pub(super) fn parameters(&mut self, kinds: &[u32]) {
        self.message(b't', |bytes| {
            count(bytes, kinds.len());
            for kind in kinds {
                bytes.extend(kind.to_be_bytes());
            }
        });
    }

    /// What a statement gives, if anything.
    pub(super) fn described(&mut self, fields: &[Field]) {
        if fields.is_empty() { self.message(b'n', |_| {}) } else { self.columns(fields) }
    }

    pub(super) fn columns(&mut self, fields: &[Field]) {
        self.message(b'T', |bytes| {
            count(bytes, fields.len());
            for (index, field) in fields.iter().enumerate() {
                text(bytes, &field.name);
                bytes.extend(field.table.to_be_bytes());
                count(bytes, if field.table == 0 { 0 } else { index + 1 });
                bytes.extend(field.kind.to_be_bytes());
                // The type's size and modifier, and the format, which is not known before it is bound.
                bytes.extend((-1_i16).to_be_bytes());
                bytes.extend((-1_i32).to_be_bytes());
                count(bytes, 0);
            }
        });
    }

    pub(super) fn row(&mut self, values: &[Option<Vec<u8>>]) {
        self.message(b'D', |bytes| {
            count(bytes, values.len());
            for value in values {
                let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap());
                bytes.extend(length.to_be_bytes());
                bytes.extend(value.iter().flatten());
            }
        });
    }

    pub(super) fn complete(&mut self, tag: &str) {
        self.message(b'C', |bytes| text(bytes, tag));
    }

    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        self.fields_of(b'E', refusal);
    }

    pub(super) fn notice(&mut self, notice: &Refusal) {
        self.fields_of(b'N', notice);
    }

    fn fields_of(&mut self, kind: u8, Refusal { severity, code, message, more, author }: &Refusal) {
        self.message(kind, |bytes| {
            let mut field = |letter: u8, value: &str| {
                bytes.push(letter);
                text(bytes, value);
            };
            field(b'S', severity);
            if *author != Author::PgBouncer {
                field(b'V', severity);
            }
            field(b'C', code);
            field(b'M', message);
            for (letter, value) in more {
                field(*letter, value);
            }
            if *author == Author::Postgres {
                field(b'F', "simulated.c");
                field(b'L', "1");
                field(b'R', "simulated");
            }
            bytes.push(0);
        });
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend(i16::try_from(count).unwrap().to_be_bytes());
}
