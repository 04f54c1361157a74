//! What the runtime's thread has for JavaScript: a list, and one wake-up of the JavaScript thread for all that is in it.

use std::{
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use napi::sys;
use tokio::{
    runtime::{Handle, Id},
    sync::{Notify, oneshot},
};

use crate::pg::{Answer, Caller, Error, Login, Program, Thrown, Trace, runtime};

/// Notices that wait for JavaScript, and their bytes, at most: later ones are dropped, or they would hold up its thread.
const MOST_NOTICES: usize = 1000;
const MOST_NOTICE_BYTES: usize = 1 << 20;

/// With so much in the list the JavaScript thread starts at once, while the runtime thread goes on.
const AT_ONCE: usize = 16;

pub(super) enum Completion {
    Settled {
        slot: u32,
        outcome: Result<Answer, Error>,
        /// Of a call that somebody observes.
        trace: Option<Trace>,
    },
    Password {
        function: u32,
        login: Login,
        reply: PasswordReply,
    },
    Notice {
        function: u32,
        notice: Error,
    },
}

pub(super) type PasswordReply = oneshot::Sender<Result<String, Thrown>>;

/// Filled by any thread, emptied by the JavaScript thread.
#[derive(Default)]
pub(super) struct Completions {
    list: Mutex<List>,
    /// `None` before `open` and after `close`.
    wake: Mutex<Option<Wake>>,
    /// Something is in the list.
    filled: Notify,
}

#[derive(Default)]
struct List {
    completions: Vec<Completion>,
    notices: usize,
    notice_bytes: usize,
}

struct Wake(sys::napi_threadsafe_function);

// SAFETY: a thread-safe function may be called from any thread; that it is not used after its end is what the `Option`
// around it is for.
unsafe impl Send for Wake {}

impl Completions {
    /// `function` is called from now on; it has to live until `close`.
    pub(super) fn open(&self, function: sys::napi_threadsafe_function) {
        *self.wake() = Some(Wake(function));
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) -> MutexGuard<'_, Option<Wake>> {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, completion: Completion) {
        let mut list = self.list();
        list.completions.push(completion);
        let length = list.completions.len();
        drop(list);
        if length == 1 {
            self.filled.notify_one();
        } else if length == AT_ONCE {
            self.wake_up();
        }
    }

    /// Exchanges the list for an empty one.
    pub(super) fn swap(&self, empty: &mut Vec<Completion>) {
        let mut list = self.list();
        std::mem::swap(empty, &mut list.completions);
        (list.notices, list.notice_bytes) = (0, 0);
    }

    /// Settles the call of `slot`, and tells how it was sent when it is observed.
    pub(super) fn settle_with(&self, slot: u32, is_observed: bool, outcome: Result<Answer, Error>, trace: Trace) {
        self.send(Completion::Settled { slot, outcome, trace: is_observed.then_some(trace) });
    }

    /// What settles many calls.
    pub(super) fn caller(self: &Arc<Self>, are_observed: bool) -> Arc<dyn Caller> {
        if are_observed { Arc::new(Observed(self.clone())) } else { self.clone() }
    }

    /// Wakes the JavaScript thread; false when it is gone.
    fn wake_up(&self) -> bool {
        let wake = self.wake();
        let Some(Wake(function)) = &*wake else { return false };
        // SAFETY: the function lives as long as it stands in `wake`, whose lock is held. A closing one says no, and there
        // is nobody left to tell.
        unsafe {
            sys::napi_call_threadsafe_function(
                *function,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            );
        }
        true
    }

    /// Wakes the JavaScript thread when there is something for it. This takes its turn after whoever sent that, so that
    /// the answers to one statement are told together.
    pub(super) fn attend(self: Arc<Self>, runtime: &Handle) {
        let attending = Attending { completions: self, runtime: runtime.id() };
        runtime.spawn(async move {
            loop {
                attending.completions.filled.notified().await;
                if !attending.completions.wake_up() {
                    return;
                }
            }
        });
    }

    /// Nothing is told any more.
    pub(super) fn close(&self) {
        *self.wake() = None;
        *self.list() = List::default();
        self.filled.notify_one();
    }
}

/// Goes on in another runtime when its own has failed, which drops it.
struct Attending {
    completions: Arc<Completions>,
    runtime: Id,
}

impl Drop for Attending {
    fn drop(&mut self) {
        if let Ok(next) = runtime()
            && next.id() != self.runtime
            && self.completions.wake().is_some()
        {
            self.completions.clone().attend(&next);
            // What has been sent meanwhile.
            self.completions.filled.notify_one();
        }
    }
}

impl Caller for Completions {
    fn settle(&self, slot: u32, result: Result<Answer, Error>, trace: Trace) {
        self.settle_with(slot, false, result, trace);
    }

    fn has_ended(&self) -> bool {
        self.wake().is_none()
    }
}

/// The same, of calls that are observed.
struct Observed(Arc<Completions>);

impl Caller for Observed {
    fn settle(&self, slot: u32, result: Result<Answer, Error>, trace: Trace) {
        self.0.settle_with(slot, true, result, trace);
    }

    fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

impl Program for Completions {
    fn password(&self, function: u32, login: Login) -> BoxFuture<'static, Result<String, Thrown>> {
        let (reply, answer) = oneshot::channel();
        self.send(Completion::Password { function, login, reply });
        let ended = |_| Err(Thrown { number: None, name: "the program has ended".to_owned() });
        Box::pin(async move { answer.await.unwrap_or_else(ended) })
    }

    fn notice(&self, function: u32, notice: Error) {
        let fields: usize = notice.fields().iter().map(|(_, text)| text.len()).sum();
        let bytes = notice.message().len() + fields;
        {
            let mut list = self.list();
            if list.notices == MOST_NOTICES || list.notice_bytes + bytes > MOST_NOTICE_BYTES {
                return;
            }
            list.notices += 1;
            list.notice_bytes += bytes;
        }
        self.send(Completion::Notice { function, notice });
    }
}
