//! How an exchange ends for a call.

use crate::pg::{
    error::Error,
    value::{Form, Rows},
};

#[derive(Debug)]
pub enum Answer {
    /// A change was made, to so many rows.
    Done(u64),
    Rows(Rows),
    Text(String),
    /// Nothing was sent: the parameters' texts have to be written in these forms, since the server's types are others.
    Forms(Vec<Form>),
}

#[derive(Debug)]
pub(in crate::pg) enum Verdict {
    Answered(Answer),
    /// Its connection was lost, or had no server, and nothing has been done: another connection may serve it. The error is
    /// for when no more time is left for that.
    Again(Error),
    /// A call of the same batch was refused, or has held up the batch, and nothing has been done.
    AgainAlone,
    /// The server has rolled the change back in favour of another transaction: `40001` or `40P01`.
    Contended(Error),
    Failed(Error),
    /// The change may have been made or not. The error says so, and has what happened as its cause.
    Unknown(Error),
}
