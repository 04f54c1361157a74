//! The one thread on which all connections of the process are served. It lives as long as the process, whichever of
//! Node's threads asked for it first.

use std::{
    future, io, mem,
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::pg::{error::Error, io_code::io_code};

static THREAD: Thread = Thread { runtime: Mutex::new(None) };

/// Address space, of which what is used takes memory. Types that lead to others take a level of the stack each, as many as
/// a statement may take answers (`not_endless`): 4 KiB unoptimised. `RUST_MIN_STACK` is not asked: a stack that is too small ends
/// the process.
const STACK: usize = 32 << 20;
/// Until another runtime is made for one that has failed, which the next may do as well.
const PAUSE: Duration = Duration::from_millis(50);

/// The runtime of the one thread, which the first call starts. Rejects with the system's code, `EAGAIN` say, when no
/// thread can be started; the next call tries again. A runtime that has failed is replaced by another.
pub fn handle() -> Result<Handle, Error> {
    THREAD.handle(|| THREAD.start(future::pending::<()>))
}

struct Thread {
    /// Once the thread has started.
    runtime: Mutex<Option<Handle>>,
}

impl Thread {
    fn handle(&self, start: impl FnOnce() -> io::Result<Handle>) -> Result<Handle, Error> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*runtime {
            return Ok(handle.clone());
        }
        let started = start();
        let handle =
            started.map_err(|error| Error::failure(io_code(&error), format!("cannot start a thread: {error}")))?;
        Ok(runtime.insert(handle).clone())
    }

    /// What `wait` gives is waited for on the thread, and never ends but by a panic.
    fn start<W: Future>(&'static self, wait: impl Fn() -> W + Send + 'static) -> io::Result<Handle> {
        let runtime = new_runtime()?;
        let handle = runtime.handle().clone();
        let name = "lucia-postgres".to_owned();
        thread::Builder::new().name(name).stack_size(STACK).spawn(move || self.serve(runtime, wait))?;
        Ok(handle)
    }

    /// A panic in a task ends that task alone. What panics beside the tasks is tokio, when the system no longer tells it of
    /// sockets: where the program has closed all descriptors, say. The tasks are dropped then, which rejects what is in
    /// flight, and what waits goes on in another runtime.
    fn serve<W: Future>(&self, mut runtime: Runtime, wait: impl Fn() -> W) {
        loop {
            let _panic = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(wait())));
            let next = loop {
                thread::sleep(PAUSE);
                if let Ok(next) = new_runtime() {
                    break next;
                }
            };
            *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.handle().clone());
            let failed = mem::replace(&mut runtime, next);
            let _panic = panic::catch_unwind(AssertUnwindSafe(|| drop(failed)));
        }
    }
}

fn new_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn a_thread_that_cannot_be_started_is_started_by_a_later_call() {
        let thread = Thread { runtime: Mutex::new(None) };
        let refused = thread.handle(|| Err(io::ErrorKind::WouldBlock.into())).unwrap_err();
        assert!(refused.message().starts_with("cannot start a thread"), "{}", refused.message());
        let runtime = new_runtime().unwrap();
        let started = thread.handle(|| Ok(runtime.handle().clone())).unwrap();
        let known = thread.handle(|| panic!("it has started")).unwrap();
        assert_eq!(known.id(), started.id());
    }

    /// Tells when it is dropped.
    struct Dropped(Sender<()>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }

    #[test]
    fn a_runtime_that_fails_drops_its_tasks_and_is_followed_by_another() {
        static FAILS: Notify = Notify::const_new();
        static THREAD: Thread = Thread { runtime: Mutex::new(None) };
        let start = || {
            THREAD.start(|| async {
                FAILS.notified().await;
                panic!("the runtime fails");
            })
        };
        let first = THREAD.handle(start).unwrap();
        let (to, dropped) = channel();
        let held = Dropped(to);
        first.spawn(async move {
            let _held = held;
            future::pending::<()>().await;
        });
        FAILS.notify_one();
        dropped.recv().unwrap();
        let second = THREAD.handle(start).unwrap();
        assert_ne!(second.id(), first.id());
        let (to, ran) = channel();
        second.spawn(async move { to.send(()).unwrap() });
        ran.recv().unwrap();
    }
}
