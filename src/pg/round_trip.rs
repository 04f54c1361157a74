//! One round trip for calls of one kind: they are sent together, and each gets its own answer or its own error. Calls
//! that got neither and may be done again are given back.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use tokio::time;

use super::{
    config::Settings,
    error::{Error, code, sqlstate},
    execute::{Answer, Fault, Request, execute},
    pool::{Lease, Opener},
    statement::Statement,
    waiting::{Call, Reply, Waiting},
};

/// How often a statement is done again that the server rolled back for another one's sake.
const CONTENTION_ATTEMPTS: u32 = 20;
/// How long a server that was told to cancel a statement has to say how it ended.
const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// Lookups that travel together are parted when their statement takes longer than this: a lock, a function or a crash
/// that one of them meets is not to be the others' lot.
const SLOW: Duration = Duration::from_secs(1);

/// What remains to be done when the server has answered, or will not.
pub struct Outcome {
    pub answered: Vec<(Reply, Answer)>,
    pub again: Vec<Waiting>,
    /// The connection is of further use.
    pub is_open: bool,
}

/// Carries out one call, or several lookups of one statement.
pub async fn carry_out(lease: &Lease, opener: &Opener, settings: &Settings, calls: Vec<Waiting>) -> Outcome {
    RoundTrip { lease, opener, settings }.carry_out(calls).await
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
        let answers = match &calls[..] {
            [only] => Some(self.ask(&only.call).await),
            several => self.ask_together(several).await,
        };
        match answers {
            Some(Ok(answers)) => {
                let replies = calls.into_iter().map(|waiting| waiting.call.reply);
                Outcome { answered: replies.zip(answers).collect(), again: Vec::new(), is_open: true }
            }
            None => self.part(calls),
            // One among them that the server cannot carry out: each gets an answer of its own.
            Some(Err(fault)) if calls.len() > 1 && is_about_one(&fault) => self.one_by_one(calls).await,
            Some(Err(fault)) => self.after(calls, fault),
        }
    }

    async fn ask(&self, call: &Call) -> Result<Vec<Answer>, Fault> {
        let Call { statement, parameters, forms, .. } = call;
        self.in_time(statement, Request::One { parameters, forms }).await
    }

    /// `None` when they take too long, and have not been done.
    async fn ask_together(&self, calls: &[Waiting]) -> Option<Result<Vec<Answer>, Fault>> {
        let Call { statement, forms, .. } = &calls.first()?.call;
        let parameters: Vec<&[Option<String>]> = calls.iter().map(|waiting| &waiting.call.parameters[..]).collect();
        let mut answers = pin!(self.in_time(statement, Request::Many { calls: &parameters, forms }));
        if let Ok(answers) = time::timeout(SLOW, answers.as_mut()).await {
            return Some(answers);
        }
        if !statement.access.is_write() {
            tokio::spawn(self.lease.cancel());
            return None;
        }
        self.lease.cancel().await;
        // Whether they are done only the server can tell.
        Some(answers.await).filter(|answers| !answers.as_ref().is_err_and(is_canceled))
    }

    async fn one_by_one(&self, calls: Vec<Waiting>) -> Outcome {
        let mut outcome = Outcome { answered: Vec::new(), again: Vec::new(), is_open: true };
        for mut waiting in calls {
            if !outcome.is_open {
                // It was not sent.
                outcome.again.push(waiting);
                continue;
            }
            waiting.call.reply.set_out(1);
            match self.ask(&waiting.call).await {
                Ok(mut answers) => {
                    if let Some(answer) = answers.pop() {
                        waiting.call.reply.settle(Ok(answer));
                    }
                }
                Err(fault) => {
                    let Outcome { again, is_open, .. } = self.after(vec![waiting], fault);
                    outcome.again.extend(again);
                    outcome.is_open = is_open;
                }
            }
        }
        outcome
    }

    /// One of them holds up those that it travels with: each is done again alone, on other connections.
    fn part(&self, mut calls: Vec<Waiting>) -> Outcome {
        let deadline = self.deadline();
        for waiting in &mut calls {
            waiting.goes_alone = true;
            waiting.deadline = deadline;
        }
        Outcome { answered: Vec::new(), again: calls, is_open: false }
    }

    /// Settles the calls of a statement that got no answer, or gives them back to be done again.
    fn after(&self, calls: Vec<Waiting>, fault: Fault) -> Outcome {
        let Fault { error, may_be_done } = fault;
        let error = self.lease.locate(error);
        let is_open = !error.is_loss() && error.code() != code::QUERY_TIMEOUT && !self.lease.client.is_closed();
        let deadline = self.deadline();
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

    fn deadline(&self) -> Option<Instant> {
        self.settings.connect_timeout.map(|limit| Instant::now() + limit)
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
fn is_about_one(fault: &Fault) -> bool {
    let Fault { error, may_be_done } = fault;
    error.is_database() && !error.is_loss() && !may_be_done
}

fn is_canceled(fault: &Fault) -> bool {
    fault.error.code() == sqlstate::QUERY_CANCELED && !fault.may_be_done
}
