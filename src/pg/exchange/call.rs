//! A call: the statement and parameters that are sent for it, and who is told how it ended.

use std::{borrow::Cow, ops::Deref, slice, sync::Arc};

use super::verdict::Answer;
use crate::pg::{
    error::{Error, code},
    statement::Statement,
    value::Form,
};

/// How a call was sent, for those who observe calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// How often the call was sent.
    pub sent: u32,
    /// How many calls were in the last batch that the call was sent with.
    pub batch: u32,
}

/// Makes calls, and gets their answers.
pub trait Caller: Send + Sync {
    /// Settles the call that the caller knows by `slot`.
    fn settle(&self, slot: u32, result: Result<Answer, Error>, trace: Trace);

    /// Nobody waits for its calls any longer.
    fn has_ended(&self) -> bool;
}

/// Settles one call, once. A reply that is dropped unsettled settles with `CONNECTION_DESTROYED`.
pub struct Reply {
    to: Option<To>,
    trace: Trace,
}

enum To {
    Caller(Arc<dyn Caller>, u32),
    Function(Box<dyn Settle>),
}

trait Settle: Send + Sync {
    fn settle(self: Box<Self>, result: Result<Answer, Error>, trace: Trace);
    fn has_ended(&self) -> bool;
}

struct Function<F> {
    caller: Arc<dyn Caller>,
    settle: F,
}

impl<F: FnOnce(Result<Answer, Error>, Trace) + Send + Sync> Settle for Function<F> {
    fn settle(self: Box<Self>, result: Result<Answer, Error>, trace: Trace) {
        (self.settle)(result, trace);
    }

    fn has_ended(&self) -> bool {
        self.caller.has_ended()
    }
}

impl Reply {
    /// Allocates nothing: every lookup has a reply.
    pub fn new(caller: Arc<dyn Caller>, slot: u32) -> Self {
        Self { to: Some(To::Caller(caller, slot)), trace: Trace::default() }
    }

    /// Settles by a function, on behalf of `caller`.
    pub fn with(
        caller: Arc<dyn Caller>,
        settle: impl FnOnce(Result<Answer, Error>, Trace) + Send + Sync + 'static,
    ) -> Self {
        Self { to: Some(To::Function(Box::new(Function { caller, settle }))), trace: Trace::default() }
    }

    /// Somebody waits for the call.
    pub(in crate::pg) fn is_awaited(&self) -> bool {
        match &self.to {
            Some(To::Caller(caller, _)) => !caller.has_ended(),
            Some(To::Function(function)) => !function.has_ended(),
            None => false,
        }
    }

    /// The call is sent in a batch of this size.
    pub(in crate::pg) fn mark_sent(&mut self, batch: u32) {
        self.trace.sent += 1;
        self.trace.batch = batch;
    }

    pub fn settle(mut self, result: Result<Answer, Error>) {
        self.take(|| result);
    }

    fn take(&mut self, result: impl FnOnce() -> Result<Answer, Error>) {
        match self.to.take() {
            Some(To::Caller(caller, slot)) => caller.settle(slot, result(), self.trace),
            Some(To::Function(function)) => function.settle(result(), self.trace),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.take(|| {
            let message = "the connection was destroyed before the answer came";
            Err(Error::failure(code::CONNECTION_DESTROYED, message))
        });
    }
}

/// Texts, or NULL.
pub enum Parameters {
    One(Option<String>),
    Several(Vec<Option<String>>),
}

impl Deref for Parameters {
    type Target = [Option<String>];

    fn deref(&self) -> &[Option<String>] {
        match self {
            Self::One(text) => slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

pub struct Call {
    pub statement: Arc<Statement>,
    pub parameters: Parameters,
    /// The forms that the parameters' texts were written in.
    pub forms: Cow<'static, [Form]>,
    pub reply: Reply,
}
