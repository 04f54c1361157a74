//! A defect of this package: a task of the runtime panics.

use std::{
    future::ready,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time,
};

use super::{
    plan::plain,
    run::{Silent, settings, tables},
    world::World,
};
use crate::{
    lucia::{method::Method, store::Store, version::Version},
    pg::{self, Answer, Chance, Endpoint, Error, Network, Queue, Reply, SocketSettings, code},
};

/// Whoever connects panics.
#[derive(Default)]
struct Panicking(AtomicUsize);

impl Network for Panicking {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(ready(Ok(vec![SocketAddr::from(([192, 0, 2, 0], port))])))
    }

    fn dial<'a>(&'a self, _: &'a Endpoint, _: &'a SocketSettings) -> BoxFuture<'a, io::Result<pg::Stream>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a connection is dialed");
    }
}

fn simulated<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

fn queue(network: Arc<dyn Network>) -> (Arc<Queue>, Arc<Store>) {
    let queue = Queue::new(settings(&plain()), Arc::new(Silent), network, Handle::current(), Chance::seeded(0), false);
    let store = Arc::new(Store::new(Version::Two, tables(), queue.clone(), Arc::new(Silent)));
    (queue, store)
}

/// A lookup; the task that answers it panics where `is_fatal`.
fn call(store: &Store, method: Method, is_fatal: bool) -> oneshot::Receiver<Result<Answer, Error>> {
    let (to, answer) = oneshot::channel();
    let settle = move |result: Result<Answer, Error>, _| {
        assert!(!is_fatal || result.is_err(), "an answer comes");
        // A test that is over hears nothing.
        let _ = to.send(result);
    };
    store.by_id(method, 0, [("u1".to_owned(), Reply::with(Arc::new(Silent), settle))], false);
    answer
}

#[test]
fn a_task_that_panics_rejects_its_own_calls_and_closes_its_connection_and_others_go_on() {
    simulated(async {
        let world = World::new(plain(), false);
        let (queue, store) = queue(Arc::new(world.clone()));
        let open = || world.state().sessions.iter().filter(|session| session.is_open).count();
        let ask = |method, is_fatal| {
            let answer = call(&store, method, is_fatal);
            store.start();
            answer
        };
        for _ in 0..2 {
            assert!(ask(Method::GetUser, false).await.unwrap().is_ok());
        }
        let concerned = [call(&store, Method::GetUser, true), call(&store, Method::GetUser, false)];
        let other = ask(Method::GetKey, false);
        let [fatal, beside] = concerned;
        assert!(fatal.await.is_err(), "its own function has panicked");
        assert_eq!(beside.await.unwrap().unwrap_err().code(), code::CONNECTION_DESTROYED);
        assert!(other.await.unwrap().is_ok());
        assert_eq!(open(), 1, "that of the others");
        assert_eq!(queue.load().connections, 1);
        assert!(ask(Method::GetUser, false).await.unwrap().is_ok());

        queue.end();
        time::sleep(Duration::from_secs(1)).await;
        assert_eq!(open(), 0);
    });
}

#[test]
fn a_task_that_panics_while_it_connects_rejects_what_waits_and_does_not_try_without_a_pause() {
    simulated(async {
        let network = Arc::new(Panicking::default());
        let (queue, store) = queue(network.clone());
        let answers = [Method::GetUser, Method::GetKey].map(|method| call(&store, method, false));
        store.start();
        for answer in answers {
            assert_eq!(answer.await.unwrap().unwrap_err().code(), code::CONNECTION_CLOSED);
        }
        assert!(network.0.load(Ordering::Relaxed) <= 2, "one for each batch");
        queue.destroy();
    });
}
