//! A defect of this package: a task of the runtime panics.

use std::{
    future::ready,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task, time,
};

use super::{
    database::Table,
    plan::{Plan, plain},
    run::{Silent, settings, tables},
    state::Owner,
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
    let runtime = Handle::current();
    with_runtime(&plain(), network, move || runtime.clone())
}

fn with_runtime(
    plan: &Plan,
    network: Arc<dyn Network>,
    runtime: impl Fn() -> Handle + Send + Sync + 'static,
) -> (Arc<Queue>, Arc<Store>) {
    let queue = Queue::new(settings(plan), Arc::new(Silent), network, runtime, Chance::seeded(0), false);
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

#[test]
fn a_runtime_that_fails_rejects_what_is_in_flight_and_what_waits_goes_on_in_the_next_one() {
    let [first, second] = [(), ()].map(|()| Builder::new_current_thread().enable_time().build().unwrap());
    let plan = Plan { max: 1, latency: Duration::ZERO, ..plain() };
    let world = World::new(plan.clone(), false);
    // The deletion waits for a row.
    assert!(world.lock(&[(Table::User, "u1".to_owned())], Owner::Other));
    let current = Arc::new(Mutex::new(first.handle().clone()));
    let (queue, store) = with_runtime(&plan, Arc::new(world.clone()), {
        let current = current.clone();
        move || current.lock().unwrap().clone()
    });
    let ask = |method| {
        let answer = call(&store, method, false);
        store.start();
        answer
    };
    assert!(first.block_on(ask(Method::GetUser)).unwrap().is_ok());
    let (in_flight, waiting) = (ask(Method::DeleteUser), ask(Method::GetKey));
    first.block_on(async {
        while !world.state().record.received.iter().any(|received| received.action.is_write()) {
            task::yield_now().await;
        }
    });
    let caught_up = queue.load();
    assert_eq!((caught_up.connections, caught_up.waiting), (1, 1));

    *current.lock().unwrap() = second.handle().clone();
    drop(first);
    let settled = |answer| second.block_on(async { time::timeout(Duration::from_secs(20), answer).await });
    assert_eq!(settled(in_flight).unwrap().unwrap().unwrap_err().code(), code::CONNECTION_DESTROYED);
    assert!(settled(waiting).unwrap().unwrap().is_ok());
    assert!(settled(ask(Method::GetUser)).unwrap().unwrap().is_ok());
    queue.destroy();
}
