//! Carries out one call, or several of one statement: they are sent together, and each gets its own verdict.

use std::pin::pin;

use tokio::task::JoinHandle;

use super::{
    alarm::Alarm,
    call::Call,
    ending::{Ending, Fault, Stage},
    execute::{Request, execute},
    limits::{Limits, Spares},
    sent_ahead::sent_ahead,
    verdict::Verdict,
};
use crate::pg::{
    connection::{Ahead, Connection},
    error::{Error, code},
    settings::Settings,
};

/// How an exchange ended.
pub(in crate::pg) struct Outcome {
    /// One for each call, in their order.
    pub(in crate::pg) verdicts: Vec<Verdict>,
    /// The connection may serve other calls.
    pub(in crate::pg) is_open: bool,
    /// Ends when the server has received every request to cancel that was sent for the connection. Until then the
    /// connection must not be closed: a pooler would forget the request, and might hand its server to another client.
    pub(in crate::pg) spent: Option<JoinHandle<()>>,
}

/// Carries out one call, or several of one statement. `ahead` is what was sent ahead for these calls, `spares` the connections that
/// have nothing to do.
pub(in crate::pg) async fn carry_out(
    connection: &Connection,
    settings: &Settings,
    calls: &[&Call],
    ahead: Option<Ahead>,
    spares: &impl Spares,
    alarm: &mut Alarm,
) -> Outcome {
    let Some(first) = calls.first() else {
        return Outcome { verdicts: Vec::new(), is_open: true, spent: None };
    };
    let access = first.statement.access;
    let together = calls.len() > 1;
    let parameters: Vec<&[Option<String>]> = calls.iter().map(|call| &call.parameters[..]).collect();
    let request = Request { calls: &parameters, forms: &first.forms };
    let mut limits = Limits::new(connection, settings, spares, access, together, alarm);
    let sent_before = match ahead {
        Some(ahead) => limits.answering(pin!(sent_ahead(ahead, &first.statement, &first.forms))).await,
        None => Ok(None),
    };
    let result = match sent_before {
        Ok(Some(answers)) => Ok(answers),
        Ok(None) => execute(connection, &first.statement, request, &mut limits).await,
        Err(fault) => Err(fault),
    };
    let is_abandoned = limits.is_abandoned;
    let spent = limits.spent();
    let (verdicts, is_open) = match result {
        Ok(answers) => (answers.into_iter().map(Verdict::Answered).collect(), true),
        Err(fault) => {
            let (ending, stage, error) = match fault {
                Fault::HeldUp => (Ending::HeldUp, Stage::Unsent, Error::failure(code::QUERY_TIMEOUT, "was held up")),
                Fault::Ended { error, stage } => {
                    let error = connection.locate(error);
                    let ending = Ending::of(&error, settings.target);
                    if ending == Ending::Silence {
                        // What is known of it may be what keeps it from being answered (see `ask_types`).
                        connection.statements.forget(&first.statement);
                    }
                    (ending, stage, error)
                }
            };
            let peer = connection.peer;
            let consequence = ending.consequence(stage, peer, access, together);
            (calls.iter().map(|_| consequence.verdict(&error)).collect(), ending.leaves_open(peer))
        }
    };
    let is_usable =
        !is_abandoned && spent.is_none() && !connection.client.is_closed() && !connection.statements.are_lost();
    Outcome { verdicts, is_open: is_open && is_usable, spent }
}
