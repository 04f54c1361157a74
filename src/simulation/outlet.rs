//! What a session writes to its client, at once or together with what comes next.

use std::{future, mem};

use tokio::{
    io::{AsyncWriteExt, DuplexStream, WriteHalf},
    time::{self, Instant},
};

use super::{
    exchange::Exchange,
    plan::{Stage, Trouble},
};

pub(super) struct Outlet {
    writer: WriteHalf<DuplexStream>,
    /// It is written with what comes next, or by itself from this moment on.
    kept: Vec<u8>,
    until: Option<Instant>,
}

/// The session is over.
pub(super) struct Over;

impl Outlet {
    pub(super) fn new(writer: WriteHalf<DuplexStream>) -> Self {
        Self { writer, kept: Vec::new(), until: None }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let mut kept = mem::take(&mut self.kept);
        self.until = None;
        kept.extend(bytes);
        self.writer.write_all(&kept).await.map_err(|_| Over)
    }

    /// Sends a whole answer: in two pieces where that is planned, or later, with the next one.
    pub(super) async fn answer(&mut self, exchange: &Exchange, bytes: &[u8]) -> Result<(), Over> {
        for stage in [Stage::Received, Stage::Complete, Stage::Committed] {
            match exchange.world.trouble(exchange.connection, &exchange.places, stage) {
                Some(Trouble::Split(cut, pause)) => {
                    let (first, rest) = bytes.split_at(cut.of(bytes.len()));
                    self.write(first).await?;
                    if rest.is_empty() {
                        return Ok(());
                    }
                    time::sleep(pause).await;
                    return self.write(rest).await;
                }
                // Until the first question is answered nothing else is asked.
                Some(Trouble::Merge(pause)) if exchange.number > 1 => {
                    self.kept.extend(bytes);
                    self.until.get_or_insert(Instant::now() + pause);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.write(bytes).await
    }

    /// When what is kept is due.
    pub(super) fn due(&self) -> impl Future<Output = ()> + use<> {
        let until = self.until;
        async move {
            match until {
                Some(until) => time::sleep_until(until).await,
                None => future::pending().await,
            }
        }
    }
}
