//! The one crossing between the JavaScript thread and the runtime thread. What has happened there is put in a list, and
//! one wake-up of the JavaScript thread hands over all that is in it.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    ffi::c_void,
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use napi::{Env, Result, bindgen_prelude::check_status, sys};
use tokio::sync::{Notify, oneshot};

use super::{
    errors::{self, contained},
    rows::{self, conversion_number},
};
use crate::{
    lucia::store::{Rejection, Settle},
    pg::{Answer, Caller, Columns, Error, Journey, Program, Rows, code, runtime},
};

/// What `adapter.js` is told, by the numbers that it knows.
#[derive(Clone, Copy)]
enum Kind {
    /// slot, rows that were changed
    Done = 0,
    /// slot, shape, rows, the values of each
    Rows = 1,
    /// as `Rows`, with more to follow
    Part = 2,
    /// slot, count, forms
    Forms = 3,
    /// slot, message
    Lucia = 4,
    /// slot, description
    Database = 5,
    /// number, columns of the first table, columns, names, conversions
    Shape = 6,
    /// reply, function
    Password = 7,
    /// function, description
    Notice = 8,
    /// slot, text
    Text = 9,
    /// slot, rows, retries, batch; the answer follows
    Observed = 10,
    /// values that those of the next list follow
    Piece = 11,
}

const KINDS: usize = Kind::Piece as usize + 1;

/// With so much in the list the JavaScript thread starts at once, while the runtime thread goes on.
const AT_ONCE: usize = 16;

/// Added to a conversion's number: then `Number(value)`.
const THEN_NUMBER: u32 = 8;

/// A function call takes its arguments on the stack: a list is handed over before it is longer than this.
const LIST: usize = 4096;

enum Message {
    Observed { slot: u32, rows: u64, journey: Journey },
    Settled { slot: u32, outcome: std::result::Result<Answer, Rejection> },
    Password { function: u32, reply: oneshot::Sender<std::result::Result<String, String>> },
    Notice { function: u32, notice: Error },
}

/// The side that any thread may use.
pub struct Crossing {
    list: Mutex<Vec<Message>>,
    /// Gone when the environment is.
    wake: Mutex<Option<Wake>>,
    /// Something is in the list.
    filled: Notify,
}

struct Wake(sys::napi_threadsafe_function);

// SAFETY: a thread-safe function may be called from any thread; that it is not used after its end is what the `Option`
// around it is for.
unsafe impl Send for Wake {}

impl Crossing {
    fn list(&self) -> MutexGuard<'_, Vec<Message>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) -> MutexGuard<'_, Option<Wake>> {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, message: Message) {
        let mut list = self.list();
        list.push(message);
        let length = list.len();
        drop(list);
        if length == 1 {
            self.filled.notify_one();
        } else if length == AT_ONCE {
            self.wake_up();
        }
    }

    /// Settles the call of `slot`, and first tells what it came to when it is observed.
    fn settle_with(
        &self,
        slot: u32,
        is_observed: bool,
        outcome: std::result::Result<Answer, Rejection>,
        journey: Journey,
    ) {
        if is_observed {
            self.send(observed(slot, &outcome, journey));
        }
        self.send(Message::Settled { slot, outcome });
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
    /// the answers to one statement are handed over together.
    async fn wake_when_filled(self: Arc<Self>) {
        loop {
            self.filled.notified().await;
            if !self.wake_up() {
                return;
            }
        }
    }

    /// The environment is going down: nothing is told any more.
    pub fn close(&self) {
        *self.wake() = None;
        self.list().clear();
        self.filled.notify_one();
    }
}

impl Caller for Crossing {
    fn settle(&self, slot: u32, result: std::result::Result<Answer, Error>, journey: Journey) {
        self.settle_with(slot, false, result.map_err(Rejection::Database), journey);
    }
}

/// The same, of calls that are observed.
struct Observed(Arc<Crossing>);

impl Caller for Observed {
    fn settle(&self, slot: u32, result: std::result::Result<Answer, Error>, journey: Journey) {
        self.0.settle_with(slot, true, result.map_err(Rejection::Database), journey);
    }
}

impl Program for Crossing {
    fn password(&self, function: u32) -> BoxFuture<'static, std::result::Result<String, String>> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Password { function, reply });
        Box::pin(async { answer.await.unwrap_or_else(|_| Err("the program has ended".to_owned())) })
    }

    fn notice(&self, function: u32, notice: Error) {
        self.send(Message::Notice { function, notice });
    }
}

/// The side of the JavaScript thread.
pub struct Landing {
    pub crossing: Arc<Crossing>,
    function: Cell<sys::napi_threadsafe_function>,
    underway: Cell<usize>,
    /// The shapes that `adapter.js` knows.
    introduced: RefCell<HashSet<u64>>,
    passwords: RefCell<HashMap<u32, oneshot::Sender<std::result::Result<String, String>>>>,
    next_password: Cell<u32>,
    /// Empty between two landings: what was allocated for one serves the next.
    messages: RefCell<Vec<Message>>,
    values: RefCell<Vec<sys::napi_value>>,
}

impl Landing {
    /// `settle` is called with lists of what has happened.
    pub fn new(env: &Env, settle: sys::napi_value) -> Result<Arc<Self>> {
        let runtime = runtime().map_err(|error| errors::throw(env, &error))?;
        #[expect(clippy::arc_with_non_send_sync, reason = "Node holds one count as a pointer, on this same thread")]
        let landing = Arc::new(Self {
            crossing: Arc::new(Crossing { list: Mutex::default(), wake: Mutex::new(None), filled: Notify::new() }),
            function: Cell::new(ptr::null_mut()),
            underway: Cell::new(0),
            introduced: RefCell::default(),
            passwords: RefCell::default(),
            next_password: Cell::new(0),
            messages: RefCell::default(),
            values: RefCell::default(),
        });
        let name = rows::string(env, "lucia-postgres-native")?;
        let mut function = ptr::null_mut();
        let context = Arc::into_raw(landing.clone()).cast_mut().cast::<c_void>();
        // SAFETY: all values are of this environment; `context` is a count of `landing`, which `finalize` gives back.
        check_status!(unsafe {
            sys::napi_create_threadsafe_function(
                env.raw(),
                settle,
                ptr::null_mut(),
                name,
                0,
                1,
                context,
                Some(finalize),
                context,
                Some(land),
                &raw mut function,
            )
        })?;
        // SAFETY: the function has just been made. It is held only while a call is under way, so that a program which
        // has nothing else to do can end.
        check_status!(unsafe { sys::napi_unref_threadsafe_function(env.raw(), function) })?;
        landing.function.set(function);
        *landing.crossing.wake() = Some(Wake(function));
        runtime.spawn(landing.crossing.clone().wake_when_filled());
        Ok(landing)
    }

    /// So many calls are made. The program stays alive until they are settled.
    pub fn begin(&self, env: &Env, calls: usize) {
        if self.underway.replace(self.underway.get() + calls) == 0 {
            // SAFETY: called on the thread of the environment, by a program that runs: the function has not ended.
            unsafe { sys::napi_ref_threadsafe_function(env.raw(), self.function.get()) };
        }
    }

    /// What settles the call of `slot`, which begins.
    pub fn settle(&self, env: &Env, slot: u32, is_observed: bool) -> impl Settle + use<> {
        self.begin(env, 1);
        let crossing = self.crossing.clone();
        move |outcome, journey| crossing.settle_with(slot, is_observed, outcome, journey)
    }

    /// What settles many calls, which have begun.
    pub fn caller(&self, are_observed: bool) -> Arc<dyn Caller> {
        if are_observed { Arc::new(Observed(self.crossing.clone())) } else { self.crossing.clone() }
    }

    /// The answer of the program's function to `Kind::Password`.
    pub fn answer_password(&self, reply: u32, password: std::result::Result<String, String>) {
        if let Some(waiting) = self.passwords.borrow_mut().remove(&reply) {
            // The connection may have been given up meanwhile.
            let _ = waiting.send(password);
        }
    }

    /// Hands over all that has happened, whatever one message of it comes to.
    fn land(&self, env: &Env, settle: sys::napi_value) {
        let mut messages = self.messages.take();
        std::mem::swap(&mut messages, &mut *self.crossing.list());
        let mut settled = 0;
        let mut list = List { env, settle, values: self.values.take(), first: 0, shape: None, kinds: [None; KINDS] };
        for message in messages.drain(..) {
            list.first = list.values.len();
            let slot = match message {
                Message::Settled { slot, .. } => Some(slot),
                _ => None,
            };
            settled += usize::from(slot.is_some());
            if let Err(error) = contained(|| self.push(&mut list, message)) {
                list.withdraw();
                if let Some(slot) = slot {
                    let text = format!("the server's answer cannot be used: {}", error.reason);
                    // Fails only with the environment.
                    let _ = list.reject(slot, &Error::failure(code::INVALID_ANSWER, text));
                }
            }
            list.hand_over_if_long();
        }
        list.hand_over();
        self.values.replace(list.values);
        self.messages.replace(messages);
        if settled > 0 && self.underway.replace(self.underway.get() - settled) == settled {
            // SAFETY: as in `begin`.
            unsafe { sys::napi_unref_threadsafe_function(env.raw(), self.function.get()) };
        }
    }

    fn push(&self, list: &mut List<'_>, message: Message) -> Result<()> {
        match message {
            Message::Settled { slot, outcome } => self.push_outcome(list, slot, outcome),
            Message::Observed { slot, rows, journey } => {
                list.start(Kind::Observed)?;
                list.number(slot)?;
                list.count_u64(rows)?;
                list.number(journey.sent.saturating_sub(1))?;
                list.number(journey.batch)
            }
            Message::Password { function, reply } => {
                let number = self.next_password.replace(self.next_password.get().wrapping_add(1));
                self.passwords.borrow_mut().insert(number, reply);
                list.start(Kind::Password)?;
                list.number(number)?;
                list.number(function)
            }
            Message::Notice { function, notice } => {
                list.start(Kind::Notice)?;
                list.number(function)?;
                list.values.push(errors::description(list.env, &notice)?);
                Ok(())
            }
        }
    }

    fn push_outcome(
        &self,
        list: &mut List<'_>,
        slot: u32,
        outcome: std::result::Result<Answer, Rejection>,
    ) -> Result<()> {
        match outcome {
            Ok(Answer::Done(changed)) => {
                list.start(Kind::Done)?;
                list.number(slot)?;
                list.count_u64(changed)
            }
            Ok(Answer::Rows(rows)) => self.push_rows(list, slot, &rows),
            Ok(Answer::Text(text)) => {
                list.start(Kind::Text)?;
                list.number(slot)?;
                list.string(&text)
            }
            Ok(Answer::Forms(forms)) => {
                list.start(Kind::Forms)?;
                list.number(slot)?;
                list.count(forms.len())?;
                #[expect(clippy::cast_precision_loss, reason = "an OID has 32 bits")]
                forms.into_iter().try_for_each(|form| list.number(form as f64))
            }
            Err(Rejection::Lucia(message)) => {
                list.start(Kind::Lucia)?;
                list.number(slot)?;
                list.string(message)
            }
            Err(Rejection::Database(error)) => list.reject(slot, &error),
        }
    }

    /// Tells of a shape, unless `adapter.js` knows it, and gives the value that it is known by.
    fn introduce(&self, list: &mut List<'_>, columns: &Columns) -> Result<sys::napi_value> {
        if !self.introduced.borrow().contains(&columns.number) {
            list.start(Kind::Shape)?;
            list.count_u64(columns.number)?;
            list.count(columns.first_table())?;
            list.count(columns.fields.len())?;
            for field in &columns.fields {
                list.string(&field.name)?;
            }
            for field in &columns.fields {
                list.number(conversion_number(field.conversion) | if field.is_number { THEN_NUMBER } else { 0 })?;
            }
            // What follows may be withdrawn without the shape.
            list.first = list.values.len();
            self.introduced.borrow_mut().insert(columns.number);
        }
        #[expect(clippy::cast_precision_loss, reason = "there are no 2^53 statements")]
        let shape = rows::number(list.env, columns.number as f64)?;
        list.shape = Some((columns.number, shape));
        Ok(shape)
    }

    fn push_rows(&self, list: &mut List<'_>, slot: u32, rows: &Rows) -> Result<()> {
        let columns = rows.columns();
        if columns.fields.is_empty() {
            return Err(napi::Error::from_reason("its rows have no columns"));
        }
        let shape = match list.shape {
            Some((number, shape)) if number == columns.number => shape,
            _ => self.introduce(list, columns)?,
        };
        let in_one_part = (LIST / columns.fields.len()).max(1);
        let parts = rows.len().div_ceil(in_one_part).max(1);
        for part in 0..parts {
            let indexes = part * in_one_part..((part + 1) * in_one_part).min(rows.len());
            list.start(if part + 1 < parts { Kind::Part } else { Kind::Rows })?;
            list.number(slot)?;
            list.values.push(shape);
            list.count(indexes.len())?;
            for index in indexes {
                rows::push_row(list.env, rows, index, &mut list.values)?;
            }
            list.hand_over_if_long();
        }
        Ok(())
    }
}

fn observed(slot: u32, outcome: &std::result::Result<Answer, Rejection>, journey: Journey) -> Message {
    let rows = match outcome {
        Ok(Answer::Done(changed)) => *changed,
        Ok(Answer::Rows(rows)) => rows.len() as u64,
        Ok(Answer::Text(_) | Answer::Forms(_)) | Err(_) => 0,
    };
    Message::Observed { slot, rows, journey }
}

/// The list that is handed to `adapter.js` next.
struct List<'env> {
    env: &'env Env,
    settle: sys::napi_value,
    values: Vec<sys::napi_value>,
    /// Where the message that is being written began.
    first: usize,
    /// The last shape of rows, and its number's value.
    shape: Option<(u64, sys::napi_value)>,
    /// The value of each kind that has been told of.
    kinds: [Option<sys::napi_value>; KINDS],
}

impl List<'_> {
    fn start(&mut self, kind: Kind) -> Result<()> {
        let kind = kind as u32;
        let known = self.kinds[kind as usize];
        let value = known.map_or_else(|| rows::number(self.env, kind), Ok)?;
        self.kinds[kind as usize] = Some(value);
        self.values.push(value);
        Ok(())
    }

    fn number(&mut self, number: impl Into<f64>) -> Result<()> {
        self.values.push(rows::number(self.env, number)?);
        Ok(())
    }

    fn count(&mut self, count: usize) -> Result<()> {
        self.count_u64(count as u64)
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing is counted here that has 2^53 of it")]
    fn count_u64(&mut self, count: u64) -> Result<()> {
        self.number(count as f64)
    }

    fn string(&mut self, text: &str) -> Result<()> {
        self.values.push(rows::string(self.env, text)?);
        Ok(())
    }

    fn reject(&mut self, slot: u32, error: &Error) -> Result<()> {
        self.start(Kind::Database)?;
        self.number(slot)?;
        self.values.push(errors::description(self.env, error)?);
        Ok(())
    }

    /// Takes back what has been written of a message.
    fn withdraw(&mut self) {
        self.values.truncate(self.first);
        self.clear_exception();
    }

    fn hand_over_if_long(&mut self) {
        if self.values.len() >= LIST {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let values = std::mem::take(&mut self.values);
        let mut rest = &values[..];
        // One row may be longer than the arguments of a call.
        while let Some((piece, behind)) = rest.split_at_checked(LIST).filter(|_| rest.len() > 2 * LIST) {
            if let Ok(kind) = rows::number(self.env, Kind::Piece as u32) {
                self.call(&[&[kind], piece].concat());
            }
            rest = behind;
        }
        if !rest.is_empty() {
            self.call(rest);
        }
        self.values = values;
        self.values.clear();
        self.first = 0;
    }

    fn call(&self, values: &[sys::napi_value]) {
        let (env, mut receiver) = (self.env.raw(), ptr::null_mut());
        // SAFETY: all values are of this environment and of the handle scope that Node opened for this callback. What
        // `settle` returns is of no interest.
        unsafe {
            sys::napi_get_undefined(env, &raw mut receiver);
            sys::napi_call_function(env, receiver, self.settle, values.len(), values.as_ptr(), ptr::null_mut());
        }
        self.clear_exception();
    }

    /// While an exception is pending nothing can be called. `settle` throws none of its own.
    fn clear_exception(&self) {
        let (env, mut exception) = (self.env.raw(), ptr::null_mut());
        // SAFETY: called on the thread of this environment.
        unsafe { sys::napi_get_and_clear_last_exception(env, &raw mut exception) };
    }
}

/// Called by Node on the JavaScript thread, with `env` null when the environment is going down.
unsafe extern "C" fn land(env: sys::napi_env, settle: sys::napi_value, context: *mut c_void, _: *mut c_void) {
    if env.is_null() {
        return;
    }
    // SAFETY: `context` is the count that `Landing::new` made; `finalize`, which gives it back, is the last call.
    let landing = unsafe { &*context.cast::<Landing>() };
    let env = Env::from_raw(env);
    let _ = contained(|| {
        landing.land(&env, settle);
        Ok(())
    });
}

unsafe extern "C" fn finalize(_: sys::napi_env, context: *mut c_void, _: *mut c_void) {
    // SAFETY: the pointer is that of `Arc::into_raw` in `Landing::new`, and this is called once.
    let landing = unsafe { Arc::from_raw(context.cast::<Landing>()) };
    landing.crossing.close();
}
