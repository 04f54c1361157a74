//! Runs a plan: from `lucia::store::Store` down, everything is what ships.

use std::{
    cell::Cell,
    mem, panic,
    sync::{Arc, Once},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::{Builder, Handle},
    time,
};

use super::{
    database::{INT8, TABLES, TEXT, Table, columns, updated},
    plan::{Call, Plan},
    recognise::{name, names},
    record::{CallRecord, Ending, Record},
    scram,
    statement::Action,
    watch::watch,
    world::World,
};
use crate::{
    lucia::{
        store::{Row as StoreRow, Store, Tables},
        version::Version,
    },
    pg::{Answer, Caller, Chance, Error, Login, Piece, Program, Queue, Reply, Rows, Settings, Thrown, Trace},
};

/// Longer than anything that a plan may hold up.
const AT_MOST: Duration = Duration::from_secs(1_500);
/// Statements that are known at a time.
const MOST_KNOWN: usize = 1_000;
/// Everything is closed so long after the end.
const CLOSED_AFTER: Duration = Duration::from_secs(5);

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// How much has panicked on this thread since this was called first: tokio catches what panics in a task.
pub(super) fn count_panics() -> usize {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    PANICS.get()
}

/// A program that gave no functions, hears nothing, and does not end.
pub(super) struct Silent;

impl Program for Silent {
    fn password(&self, _: u32, _: Login) -> BoxFuture<'static, Result<String, Thrown>> {
        Box::pin(async { Err(Thrown { number: None, name: "there is no such function".to_owned() }) })
    }

    fn notice(&self, _: u32, _: Error) {}
}

impl Caller for Silent {
    fn settle(&self, _: u32, _: Result<Answer, Error>, _: Trace) {}

    fn has_ended(&self) -> bool {
        false
    }
}

/// What happened, with a trace where somebody is to read it.
pub(super) fn run(plan: &Plan, trace: bool) -> Record {
    let panics = count_panics();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let world = runtime.block_on(async {
        let world = World::new(plan.clone(), trace);
        drive(&world).await;
        world
    });
    if count_panics() > panics {
        world.violated("something panicked".to_owned());
    }
    mem::take(&mut world.state().record)
}

pub(super) fn settings(plan: &Plan) -> Settings {
    let hosts: Vec<String> = (0..plan.hosts).map(|host| format!("host{host}")).collect();
    let password = if plan.has_password { format!(":{}", scram::PASSWORD) } else { String::new() };
    // Without a limit, 0.
    let seconds = |limit: Option<Duration>| limit.unwrap_or_default().as_secs_f64();
    let url = format!(
        "postgres://user{password}@{}/database?max={}&connect_timeout={}&query_timeout={}&idle_timeout={}&max_lifetime={}{}",
        hosts.join(","),
        plan.max,
        plan.connect_timeout.as_secs_f64(),
        seconds(plan.query_timeout),
        seconds(plan.idle_timeout),
        seconds(plan.max_lifetime),
        plan.target.map_or_else(String::new, |target| format!("&target_session_attrs={target}")),
    );
    Settings::read(Some(&url), &Vec::new(), &Vec::new(), &|_| None).unwrap()
}

pub(super) fn adapter(world: &Arc<World>, runtime: Handle, may_spin: bool) -> (Arc<Queue>, Arc<Store>) {
    let (settings, network) = (settings(&world.plan), Arc::new(world.clone()));
    let runtime = move || runtime.clone();
    let queue = Queue::new(settings, Arc::new(Silent), network, runtime, Chance::seeded(0), may_spin);
    (queue.clone(), Arc::new(Store::new(Version::Two, tables(), queue, Arc::new(Silent))))
}

pub(super) fn tables() -> Tables {
    let [user, key, session] = TABLES.map(|table| name(table.name()));
    Tables { user, key: Some(key), session: Some(session) }
}

async fn drive(world: &Arc<World>) {
    let plan = &world.plan;
    // The thread does not spin: time would stand still meanwhile.
    let (queue, store) = adapter(world, Handle::current(), false);
    let events: Vec<_> = plan
        .events
        .iter()
        .map(|event| {
            let (world, event) = (world.clone(), event.clone());
            tokio::spawn(async move {
                time::sleep_until(world.began + event.at).await;
                world.happen(event.what).await;
            })
        })
        .collect();
    let watching = tokio::spawn(watch(world.clone()));
    let mut end = plan.end;
    for together in plan.calls.chunk_by(|one, next| one.at == next.at) {
        let at = world.began + together[0].at;
        if let Some(end) = end.take_if(|end| world.began + end.at <= at) {
            time::sleep_until(world.began + end.at).await;
            world.note(|| "the adapter ends".to_owned());
            world.state().record.ended_at = Some(time::Instant::now());
            if end.gives_up {
                queue.destroy();
            } else {
                queue.end();
            }
        }
        time::sleep_until(at).await;
        for call in together {
            make(world, &store, call);
        }
        store.start();
        let known = queue.known();
        if known > MOST_KNOWN {
            world.violated(format!("{known} statements are known"));
        }
    }
    let settled = async {
        while world.state().record.calls.iter().flatten().any(|call| call.settled.is_none()) {
            world.settled.notified().await;
        }
    };
    if time::timeout(AT_MOST, settled).await.is_err() {
        world.note(|| "nobody waits any longer".to_owned());
    }
    queue.end();
    for event in events.into_iter().chain([watching]) {
        event.abort();
    }
    time::sleep(CLOSED_AFTER).await;
    let open = world.state().sessions.iter().filter(|session| session.is_open).count();
    if open > 0 {
        world.violated(format!("{open} connections are open after the end"));
    }
    queue.destroy();
    drop((store, queue));
    world.is_over.notify_waiters();
    time::sleep(CLOSED_AFTER).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    if tasks > 0 {
        world.violated(format!("{tasks} tasks live after the end"));
    }
}

fn make(world: &Arc<World>, store: &Arc<Store>, call: &Call) {
    let made = world.moment();
    world.note(|| format!("call {} is made: {call:?}", call.number));
    let index = world.plan.calls.iter().position(|planned| planned.number == call.number).unwrap();
    world.state().record.calls[index] = Some(CallRecord { made, settled: None });
    let (to, number) = (world.clone(), call.number);
    let settle = move |ending: Ending| {
        let moment = to.moment();
        to.note(|| format!("call {number} is settled: {ending:?}"));
        let mut state = to.state();
        let record = state.record.calls[index].as_mut().unwrap();
        let before = record.settled.replace((moment, ending));
        drop(state);
        if before.is_some() {
            to.violated(format!("call {number} is settled twice"));
        }
        to.settled.notify_one();
    };
    let row = |columns: &[&str]| StoreRow { columns: names(columns), declared: declared(call.variant, columns.len()) };
    let (row, key) = match call.action() {
        Action::SignUp => (row(columns(Table::User)), Some(row(columns(Table::Key)))),
        Action::Insert(table) => (row(columns(table)), None),
        Action::Update(table) => (row(updated(table)), None),
        _ => {
            let settle = move |result: Result<Answer, Error>| settle(result.map_or_else(Ending::Failed, ending));
            let reply = Reply::with(Arc::new(Silent), move |result, _| settle(result));
            return store.by_id(call.method, 0, [(call.id.clone(), reply)], false);
        }
    };
    let texts = call.texts();
    let forms = vec![0; texts.len()];
    let write = store.write(call.method, &row, key.as_ref()).unwrap();
    store.send(&write, texts, forms, move |result, _| {
        settle(match result {
            Ok(answer) => ending(answer),
            Err(error) => error.told().map_or(Ending::Failed(error), Ending::Lucia),
        });
    });
}

/// The types that so many parameters are declared with, which is nothing to these servers: none, or one of PostgreSQL's
/// oldest.
fn declared(variant: usize, count: usize) -> Vec<u32> {
    const KINDS: [u32; 15] = [0, 16, 17, 18, 19, INT8, 21, 22, 23, 24, TEXT, 26, 27, 28, 29];
    (0..count).scan(variant, |rest, _| Some(KINDS[mem::replace(rest, *rest / KINDS.len()) % KINDS.len()])).collect()
}

fn ending(answer: Answer) -> Ending {
    match answer {
        Answer::Done(_) => Ending::Done,
        Answer::Rows(rows) => Ending::Rows((0..rows.len()).map(|index| row(&rows, index)).collect()),
        answer => panic!("a call is answered with {answer:?}"),
    }
}

/// The values as text.
fn row(rows: &Rows, index: usize) -> Vec<Option<String>> {
    let count = rows.columns().fields.len();
    let value = |(piece, bytes): (Piece, &[u8])| match piece {
        Piece::Null => None,
        Piece::Number(number) => Some(number.to_string()),
        Piece::Ascii(_) | Piece::Text(_) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        piece => panic!("a row has a value {piece:?}"),
    };
    rows.values(index).take(count).map(value).collect()
}
