//! A call on its way: what it asks for, and who is told how it ended.

use std::{borrow::Cow, ops::Deref, slice, sync::Arc};

use super::verdict::Answer;
use crate::pg::{
    error::{Error, code},
    statement::Statement,
    value::Form,
};

/// How a call travelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Journey {
    /// How often it set out.
    pub sent: u32,
    /// How many calls the last statement that it set out with was for.
    pub batch: u32,
}

/// Where a call comes from, and its answer goes to.
pub trait Caller: Send + Sync {
    /// Settles the call that the caller knows by `slot`.
    fn settle(&self, slot: u32, result: Result<Answer, Error>, journey: Journey);
}

/// Settles a call, once; when it is dropped unsettled, as destroyed.
pub struct Reply {
    to: Option<To>,
    journey: Journey,
}

enum To {
    Caller(Arc<dyn Caller>, u32),
    Function(Box<dyn FnOnce(Result<Answer, Error>, Journey) + Send + Sync>),
}

impl Reply {
    /// Takes nothing from the heap, as there are many of them.
    pub fn new(caller: Arc<dyn Caller>, slot: u32) -> Self {
        Self { to: Some(To::Caller(caller, slot)), journey: Journey::default() }
    }

    pub fn with(settle: impl FnOnce(Result<Answer, Error>, Journey) + Send + Sync + 'static) -> Self {
        Self { to: Some(To::Function(Box::new(settle))), journey: Journey::default() }
    }

    /// Its call sets out, with so many in one statement.
    pub(in crate::pg) fn set_out(&mut self, batch: u32) {
        self.journey.sent += 1;
        self.journey.batch = batch;
    }

    pub fn settle(mut self, result: Result<Answer, Error>) {
        self.take(|| result);
    }

    fn take(&mut self, result: impl FnOnce() -> Result<Answer, Error>) {
        match self.to.take() {
            Some(To::Caller(caller, slot)) => caller.settle(slot, result(), self.journey),
            Some(To::Function(settle)) => settle(result(), self.journey),
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
    /// What the parameters' texts were made for.
    pub forms: Cow<'static, [Form]>,
    pub reply: Reply,
}
