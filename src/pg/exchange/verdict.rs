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
    /// The parameters' texts were made for other types than the server's, which are these. Nothing was sent.
    Forms(Vec<Form>),
}

#[derive(Debug)]
pub(in crate::pg) enum Verdict {
    Answered(Answer),
    /// Its connection was lost, or had no server, and nothing has been done: another connection may serve it. The error is
    /// for when no more time is left for that.
    Again(Error),
    /// One of those that it was sent with was refused, or has held up the others, and nothing has been done.
    AgainAlone,
    /// The server has rolled it back for another one's sake.
    Contended(Error),
    Failed(Error),
    /// The change may have been made or not. The error says so, and has what happened as its cause.
    Unknown(Error),
}
