//! The driver looks up the types that a server names, and the types that these lead to, as deep as the server likes.

use std::{future::poll_fn, pin::pin, task::Poll};

use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::pg::error::{Error, code};

/// How many answers a statement may take whose types are not known. Each may be another level of types that lead to others:
/// the stack of the runtime's thread has room for so many.
pub(in crate::pg) const MOST_ANSWERS: usize = 500;

/// What `work` comes to. Rejects with `INVALID_ANSWER` when the server has answered `most` times without an end to it.
pub(in crate::pg) async fn not_endless<T, E: Into<Error>>(
    most: usize,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    let mut work = pin!(work);
    let mut answers = 0;
    let endless = || Error::failure(code::INVALID_ANSWER, "the types of the statement lead to other types without end");
    let counted = poll_fn(|context| {
        answers += 1;
        if answers > most { Poll::Ready(Err(endless())) } else { work.as_mut().poll(context).map_err(Into::into) }
    });
    // Polled once for every answer of the server, and for nothing else that the caller waits for.
    let mut alone = FuturesUnordered::from_iter([counted]);
    alone.next().await.unwrap_or_else(|| Err(endless()))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{
        runtime::Builder,
        task::yield_now,
        time::{Duration, timeout},
    };

    use super::*;

    async fn answered(times: usize) -> Result<usize, Error> {
        for _ in 0..times {
            yield_now().await;
        }
        Ok(times)
    }

    #[test]
    fn what_does_not_end_is_refused_and_what_the_caller_waits_for_besides_does_not_count() {
        Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
            assert_eq!(not_endless(10, answered(9)).await.unwrap(), 9);
            assert_eq!(not_endless(10, answered(10)).await.unwrap_err().code(), code::INVALID_ANSWER);
            let mut silent = pin!(not_endless(1, pending::<Result<(), Error>>()));
            for _ in 0..10 {
                assert!(timeout(Duration::from_secs(1), silent.as_mut()).await.is_err(), "polled, and not answered");
            }
        });
    }
}
