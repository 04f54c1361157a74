//! Lookups that are sent ahead: beside the first question of a connection that is opened for them, while nobody knows yet
//! whether anything may be prepared there. Each has the text of its statement with it.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use futures_util::{
    StreamExt, TryStreamExt,
    future::{BoxFuture, maybe_done},
    stream::FuturesOrdered,
};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Row, types::Type};

use super::client;
use crate::pg::{
    endless::{MOST_ANSWERS, not_endless},
    error::{Error, code},
    statement::{Shape, Statement, ask_types, has_own_types},
    value::{Form, Text},
};

/// Lookups of one statement that wait for a connection.
pub(in crate::pg) struct Lookups {
    pub(in crate::pg) statement: Arc<Statement>,
    /// The forms that the parameters' texts were made for.
    pub(in crate::pg) forms: Vec<Form>,
    /// The calls, by the numbers that the queue has given them.
    pub(in crate::pg) calls: Vec<u64>,
    /// The parameters of each call, in the calls' order.
    pub(in crate::pg) parameters: Vec<Vec<Option<String>>>,
}

/// The lookups that wait for a connection, as they are when one has been opened.
pub(in crate::pg) type Source = Box<dyn Fn() -> Option<Lookups> + Send + Sync>;

/// The rows of each call.
type Answers = Vec<Result<Vec<Row>, Error>>;

/// Lookups that have been sent once `answers` is polled. There are none where the driver would have to ask for types.
pub(super) struct Sending {
    lookups: Arc<Lookups>,
    shape: Option<Arc<Shape>>,
    answers: BoxFuture<'static, Option<Answers>>,
}

/// Lookups that have been sent, and their answers, which are given up when this is dropped.
pub(in crate::pg) struct Ahead {
    pub(in crate::pg) lookups: Arc<Lookups>,
    /// The statement's shape, as far as it was known when the lookups were sent.
    pub(in crate::pg) shape: Option<Arc<Shape>>,
    /// Where in `lookups` the calls are that are to be answered.
    pub(in crate::pg) places: Vec<usize>,
    answers: JoinSet<Option<Answers>>,
}

impl Lookups {
    pub(super) fn send(self, client: Arc<client::Client>) -> Option<Sending> {
        let shape = self.statement.known_shape();
        if shape.as_ref().is_some_and(|shape| shape.has_own_types) {
            return None;
        }
        let lookups = Arc::new(self);
        let answers = Box::pin(answers(client, lookups.clone(), shape.clone()));
        Some(Sending { lookups, shape, answers })
    }
}

async fn answers(client: Arc<client::Client>, lookups: Arc<Lookups>, shape: Option<Arc<Shape>>) -> Option<Answers> {
    let Lookups { statement, parameters, .. } = &*lookups;
    // Also of a table that is known: a column may have got a type since of which the driver has to learn.
    let asked = ask_types(&client, statement).await.ok()?;
    let sql = statement.text_for(shape.as_deref());
    let answers = parameters.iter().map(|parameters| answer(&client, &sql, parameters)).collect::<FuturesOrdered<_>>();
    let mut answers = pin!(maybe_done(answers.collect()));
    // The first poll sends the lookups behind the question.
    poll_fn(|context| Poll::Ready(answers.as_mut().poll(context))).await.is_ready();
    if has_own_types(statement, asked).await.ok()? {
        return None;
    }
    answers.as_mut().await;
    answers.take_output()
}

async fn answer(client: &Client, sql: &str, parameters: &[Option<String>]) -> Result<Vec<Row>, Error> {
    let texts = parameters.iter().map(|text| (Text(text.as_deref()), Type::UNKNOWN));
    let mut stream = Box::pin(not_endless(MOST_ANSWERS, client.query_typed_raw(sql, texts)).await?);
    let rows = stream.as_mut().try_collect().await?;
    stream.rows_affected().map(|_| rows).ok_or_else(incomplete)
}

/// The answer has come to its end without `CommandComplete`: with `PortalSuspended` or `EmptyQueryResponse` in its place.
pub(in crate::pg) fn incomplete() -> Error {
    Error::failure(code::INVALID_ANSWER, "the server does not say that the command is complete")
}

/// Asks the question, and sends the lookups behind it, in the same flight.
pub(super) async fn beside<T>(question: impl Future<Output = T>, mut sending: Option<&mut Sending>) -> T {
    let mut question = pin!(question);
    poll_fn(|context| {
        let answer = question.as_mut().poll(context);
        if let Some(sending) = sending.take() {
            // The first poll sends; no answer can have come before it.
            let _ = sending.answers.as_mut().poll(context);
        }
        answer
    })
    .await
}

impl Sending {
    /// Reads the answers as they come, in a task of their own: the driver stops reading from the socket while nobody takes
    /// an answer.
    pub(super) fn begin(self) -> Ahead {
        let mut answers = JoinSet::new();
        answers.spawn(self.answers);
        let places = (0..self.lookups.calls.len()).collect();
        Ahead { lookups: self.lookups, shape: self.shape, places, answers }
    }
}

impl Ahead {
    /// The same for these calls alone, by the queue's numbers, in their order; `None` where it was not sent for one of them. The
    /// rows answer no call that was made later, though it may ask for the same: they may have been read before a change that it
    /// has to see.
    pub(in crate::pg) fn of(self, calls: impl IntoIterator<Item = u64>) -> Option<Self> {
        let place = |call| self.lookups.calls.iter().position(|&sent| sent == call);
        let places = calls.into_iter().map(place).collect::<Option<_>>()?;
        Some(Self { places, ..self })
    }

    /// The rows of each call, in the calls' order, once; `None` when they have been taken, or could not be read.
    pub(in crate::pg) async fn answers(&mut self) -> Option<Answers> {
        self.answers.join_next().await?.ok()?
    }
}
