//! Rows that the driver has read from a server, for tests and for `fuzz/`: the driver alone can make a row.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    runtime::Builder,
};
use tokio_postgres::{Config, Error, NoTls, Row, types::Type};

/// What a client ends its questions with: the message Sync.
const SYNC: &[u8] = b"S\0\0\0\x04";
/// More than the messages of any answer here.
const CAPACITY: usize = 1 << 20;

/// The rows whose columns have these names and types. Each of `rows` is the body of a message `DataRow`.
pub(in crate::pg) fn rows(columns: &[(&str, Type)], rows: &[Vec<u8>]) -> Result<Vec<Row>, Error> {
    let answers = [description(columns), answer(rows)];
    let runtime = Builder::new_current_thread().build();
    #[expect(clippy::expect_used, reason = "a runtime without timers and sockets asks nothing of the system")]
    runtime.expect("a runtime").block_on(async {
        let (ours, theirs) = duplex(CAPACITY);
        tokio::spawn(serve(theirs, answers));
        let (client, connection) = Config::new().user("u").connect_raw(ours, NoTls).await?;
        tokio::spawn(connection);
        let statement = client.prepare("").await?;
        client.query(&statement, &[]).await
    })
}

/// The body of a message `DataRow` with these values.
pub(in crate::pg) fn data_row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = count(values.len()).to_vec();
    for value in values {
        match value {
            Some(bytes) => {
                body.extend(length(bytes.len()));
                body.extend_from_slice(bytes);
            }
            None => body.extend((-1i32).to_be_bytes()),
        }
    }
    body
}

async fn serve(mut stream: DuplexStream, answers: [Vec<u8>; 2]) -> std::io::Result<()> {
    let mut asked = vec![0; CAPACITY];
    // The message that begins a session.
    let _ = stream.read(&mut asked).await?;
    stream.write_all(&[message(b'R', &[0; 4]), ready()].concat()).await?;
    for answer in answers {
        let mut read = 0;
        while !asked[..read].ends_with(SYNC) {
            read += stream.read(&mut asked[read..]).await?;
        }
        stream.write_all(&answer).await?;
    }
    Ok(())
}

/// `ParseComplete`, `ParameterDescription`, `RowDescription`.
fn description(columns: &[(&str, Type)]) -> Vec<u8> {
    let mut fields = count(columns.len()).to_vec();
    for (name, kind) in columns {
        fields.extend(name.bytes().chain([0]));
        // No table's column.
        fields.extend([0; 6]);
        fields.extend(kind.oid().to_be_bytes());
        // Size and modifier of the type, and its binary format.
        fields.extend([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1]);
    }
    [message(b'1', &[]), message(b't', &count(0)), message(b'T', &fields), ready()].concat()
}

/// `BindComplete`, the rows, `CommandComplete`.
fn answer(rows: &[Vec<u8>]) -> Vec<u8> {
    let rows = rows.iter().flat_map(|body| message(b'D', body)).collect();
    [message(b'2', &[]), rows, message(b'C', b"SELECT\0"), ready()].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length(body.len() + 4), body].concat()
}

fn length(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes()
}

fn count(size: usize) -> [u8; 2] {
    u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes()
}
