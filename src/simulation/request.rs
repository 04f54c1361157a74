//! Messages that a client writes, as a server reads them.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a session starts with.
#[derive(Debug)]
pub(super) enum Opening {
    Session,
    Cancel { process_id: i32, secret: i32 },
}

#[derive(Clone, Debug)]
pub(super) enum Request {
    Parse { name: String, sql: String },
    Bind { statement: String, parameters: Vec<Option<String>> },
    Describe { statement: String },
    Execute,
    Close { statement: String },
    Sync,
    Query(String),
    Password(Vec<u8>),
    Terminate,
}

impl Request {
    /// By the simple protocol, of a text that begins so.
    pub(super) fn is_query(&self, begin: &str) -> bool {
        matches!(self, Self::Query(sql) if sql.starts_with(begin))
    }

    /// It begins or ends a transaction, or closes a statement.
    pub(super) fn is_never_refused(&self) -> bool {
        matches!(self, Self::Close { .. } | Self::Sync) || self.is_query("BEGIN") || self.is_query("ROLLBACK")
    }

    /// An exchange ends with it.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::Sync | Self::Query(_))
    }

    /// Under a name.
    pub(super) fn prepares(&self) -> bool {
        matches!(self, Self::Parse { name, .. } if !name.is_empty())
    }
}

const PROTOCOL: i32 = 196_608;
const CANCEL: i32 = 80_877_102;

/// `None` when the other side has closed the stream.
pub(super) async fn read_opening(stream: &mut (impl AsyncRead + Unpin)) -> Option<Opening> {
    let body = read_body(stream).await?;
    let mut reader = Reader(&body);
    match reader.int4() {
        CANCEL => Some(Opening::Cancel { process_id: reader.int4(), secret: reader.int4() }),
        PROTOCOL => Some(Opening::Session),
        code => panic!("a session cannot start with {code}"),
    }
}

/// `None` when the other side has closed the stream.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let kind = stream.read_u8().await.ok()?;
    let body = read_body(stream).await?;
    let mut reader = Reader(&body);
    Some(match kind {
        b'P' => {
            // The types that parameters are declared with follow.
            Request::Parse { name: reader.text(), sql: reader.text() }
        }
        b'B' => {
            assert_eq!(reader.text(), "", "the portal has a name");
            let statement = reader.text();
            for _ in 0..reader.int2() {
                assert_eq!(reader.int2(), 0, "a parameter is not text");
            }
            let parameters = (0..reader.int2()).map(|_| reader.value()).collect();
            Request::Bind { statement, parameters }
        }
        b'D' => {
            assert_eq!(reader.byte(), b'S', "a portal is described");
            Request::Describe { statement: reader.text() }
        }
        b'E' => Request::Execute,
        b'C' => {
            assert_eq!(reader.byte(), b'S', "a portal is closed");
            Request::Close { statement: reader.text() }
        }
        b'S' => Request::Sync,
        b'Q' => Request::Query(reader.text()),
        b'p' => Request::Password(body),
        b'X' => Request::Terminate,
        kind => panic!("there is no message {:?}", char::from(kind)),
    })
}

async fn read_body(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await.ok()?).unwrap();
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn int2(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn int4(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap();
        let text = String::from_utf8(self.take(length).to_vec()).unwrap();
        self.byte();
        text
    }

    fn value(&mut self) -> Option<String> {
        let length = usize::try_from(self.int4()).ok()?;
        Some(String::from_utf8(self.take(length).to_vec()).unwrap())
    }
}
