//! One round trip for calls of one kind: they are sent together, and each gets its own answer or its own error. Calls
//! that got neither and may be done again are given back.

use std::{pin::pin, time::Duration};

use deadpool::managed::Manager;
use futures_util::future::{Either, select};
use tokio::time;

use super::{
    call::{Call, Reply, Waiting},
    execute::{Answer, Fault, Request, execute},
};
use crate::pg::{
    connection::{Lease, Opener},
    error::{Error, code, sqlstate},
    settings::Settings,
    statement::Statement,
};

/// How often a statement is done again that the server rolled back for another one's sake.
const CONTENTION_ATTEMPTS: u32 = 20;
/// How long a server that was told to cancel a statement has to say how it ended.
const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// Lookups that travel together are parted when their statement takes longer than this: a lock, a function or a crash
/// that one of them meets is not to be the others' lot.
const SLOW: Duration = Duration::from_secs(1);

/// What remains to be done when the server has answered, or will not.
pub(in crate::pg) struct Outcome {
    pub answered: Vec<(Reply, Answer)>,
    pub(in crate::pg) again: Vec<Waiting>,
    /// The connection is of further use.
    pub(in crate::pg) is_open: bool,
}

/// Carries out one call, or several of one statement.
pub(in crate::pg) async fn carry_out(
    lease: &Lease,
    opener: &Opener,
    settings: &Settings,
    calls: Vec<Waiting>,
) -> Outcome {
    RoundTrip { lease, opener, settings }.carry_out(calls).await
}

/// What became of several calls that were sent together.
enum Together {
    Answered(Result<Vec<Answer>, Fault>),
    /// After the server was told to cancel them: that may reach it only when it is at the connection's next statement.
    Late(Result<Vec<Answer>, Fault>),
    /// They took too long, and have not been done.
    Held,
}

struct RoundTrip<'a> {
    lease: &'a Lease,
    opener: &'a Opener,
    settings: &'a Settings,
}

impl RoundTrip<'_> {
    async fn carry_out(&self, mut calls: Vec<Waiting>) -> Outcome {
        let batch = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        for waiting in &mut calls {
            waiting.call.reply.set_out(batch);
        }
        let together = match &calls[..] {
            [only] => Together::Answered(self.ask(&only.call).await),
            several => self.ask_together(several).await,
        };
        let (result, is_open) = match together {
            Together::Answered(result) => (result, true),
            Together::Late(result) => (result, false),
            Together::Held => return self.part(calls, false),
        };
        match result {
            Ok(answers) => {
                let replies = calls.into_iter().map(|waiting| waiting.call.reply);
                Outcome { answered: replies.zip(answers).collect(), again: Vec::new(), is_open }
            }
            Err(fault) if calls.len() > 1 && is_about_one(&fault, &calls) => self.part(calls, is_open),
            Err(fault) => {
                let outcome = self.after(calls, fault);
                Outcome { is_open: is_open && outcome.is_open, ..outcome }
            }
        }
    }

    async fn ask(&self, call: &Call) -> Result<Vec<Answer>, Fault> {
        let Call { statement, parameters, forms, .. } = call;
        self.in_time(statement, Request::One { parameters, forms }).await
    }

    async fn ask_together(&self, calls: &[Waiting]) -> Together {
        let Some(first) = calls.first() else { return Together::Answered(Ok(Vec::new())) };
        let Call { statement, forms, .. } = &first.call;
        let parameters: Vec<&[Option<String>]> = calls.iter().map(|waiting| &waiting.call.parameters[..]).collect();
        let mut answers = pin!(self.in_time(statement, Request::Many { calls: &parameters, forms }));
        if let Ok(answers) = time::timeout(SLOW, answers.as_mut()).await {
            return Together::Answered(answers);
        }
        if !statement.access.is_write() {
            tokio::spawn(self.lease.cancel());
            return Together::Held;
        }
        // Whether they are done only the server can tell; and the request to cancel may not arrive.
        let result = loop {
            if let Either::Left((result, _)) = select(answers.as_mut(), pin!(self.interrupt())).await {
                break result;
            }
            if let Ok(result) = time::timeout(SLOW, answers.as_mut()).await {
                break result;
            }
        };
        if result.as_ref().is_err_and(is_canceled) { Together::Held } else { Together::Late(result) }
    }

    /// Has the server cancel a change, unless that is committed and waits for a standby: the wait would end, and the change
    /// be told for done.
    async fn interrupt(&self) {
        let Ok(other) = self.opener.create().await else { return };
        if matches!(other.sees_committed(self.lease).await, Ok(false)) {
            self.lease.cancel().await;
        }
    }

    /// Each is done again alone: one of them is refused, or holds up those that it travels with. On several connections,
    /// as those that are left may hold each other up as well.
    fn part(&self, mut calls: Vec<Waiting>, is_open: bool) -> Outcome {
        let deadline = self.settings.deadline();
        for waiting in &mut calls {
            waiting.goes_alone = true;
            waiting.deadline = deadline;
        }
        Outcome { answered: Vec::new(), again: calls, is_open }
    }

    /// Settles the calls of a statement that got no answer, or gives them back to be done again.
    fn after(&self, calls: Vec<Waiting>, fault: Fault) -> Outcome {
        let Fault { error, may_be_done } = fault;
        let error = self.lease.locate(error);
        let is_open = !error.is_loss() && error.code() != code::QUERY_TIMEOUT && !self.lease.client.is_closed();
        let deadline = self.settings.deadline();
        let mut again = Vec::new();
        for mut waiting in calls {
            let is_write = waiting.call.statement.access.is_write();
            if error.is_loss() && !(is_write && may_be_done) && waiting.may_wait_again(deadline) {
                again.push(waiting);
            } else if error.is_contention() && waiting.contentions < CONTENTION_ATTEMPTS {
                waiting.contentions += 1;
                again.push(waiting);
            } else if is_write && may_be_done {
                let message =
                    "the connection was lost before the server's answer came: the change may have been made or not";
                waiting.call.reply.settle(Err(Error::caused_by(code::OUTCOME_UNKNOWN, message, error.clone())));
            } else {
                waiting.call.reply.settle(Err(error.clone()));
            }
        }
        Outcome { answered: Vec::new(), again, is_open }
    }

    /// `query_timeout` bounds it; a statement that takes longer is cancelled on the server.
    async fn in_time(&self, statement: &Statement, request: Request<'_>) -> Result<Vec<Answer>, Fault> {
        let Some(limit) = self.settings.query_timeout else {
            return execute(self.lease, self.opener, statement, request).await;
        };
        let cancel = self.lease.cancel();
        let mut answer = pin!(execute(self.lease, self.opener, statement, request));
        if let Ok(result) = time::timeout(limit, answer.as_mut()).await {
            return result;
        }
        let message = format!("the server did not answer within query_timeout ({} s)", limit.as_secs_f64());
        let ending = async {
            cancel.await;
            answer.await
        };
        match time::timeout(CANCEL_GRACE, ending).await {
            Ok(Err(fault)) if is_canceled(&fault) => {
                Err(Error::caused_by(code::QUERY_TIMEOUT, message, fault.error).into())
            }
            Ok(result) => result,
            Err(_) => Err(Fault { error: Error::failure(code::QUERY_TIMEOUT, message), may_be_done: true }),
        }
    }
}

/// Of many calls that share an error, it may be one call's alone. The server has rolled back the others with it.
fn is_about_one(fault: &Fault, calls: &[Waiting]) -> bool {
    let Fault { error, may_be_done } = fault;
    if error.is_contention() && calls.iter().all(|waiting| waiting.contentions < CONTENTION_ATTEMPTS / 2) {
        // Alone they would be so many more to contend with each other.
        return false;
    }
    let is_refused = error.is_database() && !error.is_loss();
    !may_be_done && (is_refused || [code::QUERY_TIMEOUT, code::INVALID_ANSWER].contains(&error.code()))
}

fn is_canceled(fault: &Fault) -> bool {
    fault.error.code() == sqlstate::QUERY_CANCELED && !fault.may_be_done
}
