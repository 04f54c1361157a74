//! How long the parts of an exchange may take, and what happens when they take longer.

use std::{
    future::pending,
    pin::{Pin, pin},
    time::Duration,
};

use futures_util::future::{Either, select};
use tokio::{
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_postgres::error::SqlState;

use super::{
    alarm::Alarm,
    ending::{Fault, Stage},
};
use crate::pg::{
    connection::{Connection, Peer},
    endless::{MOST_ANSWERS, not_endless},
    error::{Error, code},
    settings::Settings,
    statement::Access,
};

/// Calls that are sent together are parted when their statement takes longer than this: a lock or a function that one of
/// them meets does not hold up the others.
const HELD_UP: Duration = Duration::from_secs(1);
/// As `HELD_UP`, for preparing a statement, which a lock on the table holds up too, and which may take many round trips.
const PREPARING: Duration = Duration::from_secs(5);
/// As `MOST_ANSWERS`, through a pooler, whose servers may have statements of the driver's names: every name tried takes eight.
const MOST_ANSWERS_POOLED: usize = 4_000;
/// How long a server that was told to cancel a change has to say how that ended.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// The connections that have nothing to do; where there is none, and `max` allows it, one that is opened for the question.
pub(in crate::pg) trait Spares: Sync {
    /// Asks whether what the server's process has in flight is committed and waits for a standby; `None` where nobody can tell.
    fn see_committed(&self, process_id: i32) -> impl Future<Output = Option<bool>> + Send;
}

pub(super) struct Limits<'a, S> {
    connection: &'a Connection,
    query_timeout: Option<Duration>,
    spares: &'a S,
    access: Access,
    together: bool,
    alarm: &'a mut Alarm,
    cancelling: Option<JoinHandle<()>>,
    /// The connection may be in the midst of a transaction.
    pub(super) is_abandoned: bool,
}

impl<'a, S: Spares> Limits<'a, S> {
    pub(super) fn new(
        connection: &'a Connection,
        settings: &Settings,
        spares: &'a S,
        access: Access,
        together: bool,
        alarm: &'a mut Alarm,
    ) -> Self {
        let query_timeout = if access.is_write() { settings.write_timeout } else { settings.lookup_timeout };
        Self { connection, query_timeout, spares, access, together, alarm, cancelling: None, is_abandoned: false }
    }

    /// Ends when every request to cancel has been received; `None` when none was sent.
    pub(super) fn spent(self) -> Option<JoinHandle<()>> {
        self.cancelling
    }

    /// Bounds preparing the statement.
    pub(super) async fn preparing<T>(&mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        if self.cancelling.is_some() {
            // The request to cancel may be late, and meet what would be sent next for calls of which nothing is done.
            let error = self.silence(None);
            return Err(if self.together { Fault::HeldUp } else { Fault::Ended { error, stage: Stage::Cancelled } });
        }
        let bound = self.held_up_after(PREPARING);
        let most = if self.connection.peer == Peer::Pooler { MOST_ANSWERS_POOLED } else { MOST_ANSWERS };
        let work = pin!(not_endless(most, work));
        if let Some(result) = self.within(bound, work).await {
            return result.map_err(|error| Fault::Ended { error, stage: Stage::Unsent });
        }
        self.cancel();
        Err(self.late(bound, Stage::Unsent))
    }

    /// Bounds the answer to what is sent when `work` is first polled.
    pub(super) async fn answering<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = Result<T, Fault>>>,
    ) -> Result<T, Fault> {
        let bound = self.held_up_after(HELD_UP);
        let sent = Instant::now();
        if let Some(result) = self.within(bound, work.as_mut()).await {
            return result;
        }
        if !self.access.is_write() {
            self.cancel();
            return Err(self.late(bound, Stage::Sent));
        }
        // Boxed, as few changes come this far: every call would carry the room for it.
        Box::pin(self.outlasting(work, sent)).await
    }

    /// `None` when `work` takes longer than `bound` or `query_timeout`.
    async fn within<T>(&mut self, bound: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
        let result = self.alarm.within(earlier(bound, self.query_timeout), work).await;
        if bound.is_some() {
            // Left set, it would soon wake a thread that may have nothing else to do.
            self.alarm.clear();
        }
        result
    }

    /// Whether a change is made only the server can tell: it has `query_timeout` to do so, and is asked every second to give up
    /// changes that were sent together.
    async fn outlasting<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = Result<T, Fault>>>,
        sent: Instant,
    ) -> Result<T, Fault> {
        let query_timeout = self.query_timeout;
        let mut silence = pin!(async move {
            match query_timeout {
                Some(limit) => time::sleep_until(sent + limit).await,
                None => pending().await,
            }
        });
        loop {
            let interrupted = pin!(self.interrupt());
            match select(work.as_mut(), select(silence.as_mut(), interrupted)).await {
                Either::Left((result, _)) => return result,
                Either::Right((Either::Left(_), _)) => break,
                Either::Right((Either::Right(_), _)) => {}
            }
        }
        self.cancel();
        match time::timeout(CANCEL_GRACE, work).await {
            // A deferred constraint is checked, and can be cancelled, after the command is complete.
            Ok(Err(Fault::Ended { error, stage: Stage::Sent | Stage::Complete }))
                if error.sqlstate() == Some(&SqlState::QUERY_CANCELED) =>
            {
                Err(Fault::Ended { error: self.silence(Some(error)), stage: Stage::Cancelled })
            }
            Ok(result) => result,
            Err(_) => Err(Fault::Ended { error: self.silence(None), stage: Stage::Sent }),
        }
    }

    /// Calls that are sent together are not to wait for one of them for longer than this.
    fn held_up_after(&self, limit: Duration) -> Option<Duration> {
        self.together.then_some(limit)
    }

    /// Has the server cancel changes that were sent together, unless they are committed and wait for a standby: the wait would
    /// end, and the changes be reported as made.
    async fn interrupt(&mut self) {
        let is_committed = async { self.spares.see_committed(self.connection.process_id().await?).await };
        if matches!(time::timeout(HELD_UP, is_committed).await, Ok(Some(false))) {
            self.cancel();
        }
        time::sleep(HELD_UP).await;
    }

    fn cancel(&mut self) {
        let (before, cancel) = (self.cancelling.take(), self.connection.cancel());
        self.cancelling = Some(tokio::spawn(async move {
            cancel.await;
            if let Some(before) = before {
                // The task is only waited for: a failed request to cancel changes nothing.
                let _ = before.await;
            }
        }));
    }

    /// Why a statement was given up that calls have waited for until `held_up`, or until `query_timeout`.
    fn late(&self, held_up: Option<Duration>, stage: Stage) -> Fault {
        match (held_up, self.query_timeout) {
            (Some(held_up), query_timeout) if query_timeout.is_none_or(|limit| held_up < limit) => Fault::HeldUp,
            _ => Fault::Ended { error: self.silence(None), stage },
        }
    }

    fn silence(&self, cause: Option<Error>) -> Error {
        let seconds = self.query_timeout.unwrap_or_default().as_secs_f64();
        let message = format!("the server did not answer within query_timeout ({seconds} s)");
        match cause {
            Some(cause) => Error::caused_by(code::QUERY_TIMEOUT, message, cause),
            None => Error::failure(code::QUERY_TIMEOUT, message),
        }
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    [one, other].into_iter().flatten().min()
}
