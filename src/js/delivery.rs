//! The JavaScript thread's side: the thread-safe function by which completions reach `settle`, and what is under way.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    ffi::c_void,
    ptr,
    rc::Rc,
    sync::{Arc, Weak},
};

use napi::{
    Env, Result,
    bindgen_prelude::{JsValue, Object, check_status},
    sys,
};

use super::{
    completions::{Completion, Completions, PasswordReply},
    errors::Refusal,
    messages::Messages,
    object::contained,
    rows,
    settle::Settle,
};
use crate::pg::{Columns, Error, Shared, Thrown, code, runtime};

/// Lives from the first adapter on until the last one has ended and its calls are settled.
pub(super) struct Delivery {
    pub(super) completions: Arc<Completions>,
    settle: Rc<Settle>,
    /// Null before it is made, and once it is released.
    function: Cell<sys::napi_threadsafe_function>,
    underway: Cell<usize>,
    /// The connections of the adapters that have not ended.
    leased: RefCell<HashMap<u32, Arc<Shared>>>,
    next_lease: Cell<u32>,
    /// The shapes that `lib/completions.js` knows.
    introduced: RefCell<HashMap<u64, Weak<Columns>>>,
    passwords: RefCell<HashMap<u32, PasswordReply>>,
    next_password: Cell<u32>,
    /// Empty between two deliveries: what was allocated for one serves the next.
    memory: RefCell<(Vec<Completion>, Vec<sys::napi_value>)>,
}

/// What an adapter holds until it has ended, or JavaScript has let go of it.
pub(super) struct Lease {
    delivery: Rc<Delivery>,
    number: u32,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let shared = self.delivery.leased.borrow_mut().remove(&self.number);
        drop(shared);
        self.delivery.release_if_done();
    }
}

impl Delivery {
    pub(super) fn open(env: &Env, settle: &Rc<Settle>) -> std::result::Result<Rc<Self>, Refusal> {
        let runtime = runtime()?;
        let delivery = Rc::new(Self {
            completions: Arc::default(),
            settle: settle.clone(),
            function: Cell::new(ptr::null_mut()),
            underway: Cell::new(0),
            leased: RefCell::default(),
            next_lease: Cell::new(0),
            introduced: RefCell::default(),
            passwords: RefCell::default(),
            next_password: Cell::new(0),
            memory: RefCell::default(),
        });
        let opened = delivery.clone();
        let create = env.create_function_from_closure::<(), (), _>("open", move |call| opened.create(call.env))?;
        let (receiver, mut result) = (Object::new(env)?, ptr::null_mut());
        // SAFETY: all values are of this environment. Without an asynchronous context the function is called in none, and
        // what it makes keeps no `AsyncLocalStorage` store of whoever happens to be the first to call `postgres`.
        check_status!(unsafe {
            sys::napi_make_callback(
                env.raw(),
                ptr::null_mut(),
                receiver.raw(),
                create.raw(),
                0,
                ptr::null(),
                &raw mut result,
            )
        })?;
        delivery.completions.clone().attend(&runtime);
        Ok(delivery)
    }

    fn create(self: &Rc<Self>, env: &Env) -> Result<()> {
        let name = rows::string(env, "lucia-postgres-native")?;
        let mut function = ptr::null_mut();
        let context = Rc::into_raw(self.clone()).cast_mut().cast::<c_void>();
        // SAFETY: all values are of this environment; `context` is a count of `self`, which `finalize` gives back.
        check_status!(unsafe {
            sys::napi_create_threadsafe_function(
                env.raw(),
                ptr::null_mut(),
                ptr::null_mut(),
                name,
                0,
                1,
                context,
                Some(finalize),
                context,
                Some(deliver),
                &raw mut function,
            )
        })?;
        // SAFETY: the function has just been made. It is held only while a call is under way, so that a program which
        // has nothing else to do can end.
        check_status!(unsafe { sys::napi_unref_threadsafe_function(env.raw(), function) })?;
        self.function.set(function);
        self.completions.open(function);
        Ok(())
    }

    pub(super) fn is_open(&self) -> bool {
        !self.function.get().is_null()
    }

    /// Keeps the connections until the lease is dropped, or the environment ends.
    pub(super) fn lease(self: &Rc<Self>, shared: Arc<Shared>) -> Lease {
        let number = self.next_lease.replace(self.next_lease.get().wrapping_add(1));
        self.leased.borrow_mut().insert(number, shared);
        Lease { delivery: self.clone(), number }
    }

    /// So many calls are made. The program stays alive until they are settled.
    pub(super) fn begin(&self, env: &Env, calls: usize) {
        if self.underway.replace(self.underway.get() + calls) == 0 && self.is_open() {
            self.settle.hold(env);
            // SAFETY: called on the thread of the environment, by a program that runs: the function has not ended.
            unsafe { sys::napi_ref_threadsafe_function(env.raw(), self.function.get()) };
        }
    }

    fn ended(&self, env: &Env, calls: usize) {
        if calls > 0 && self.underway.replace(self.underway.get() - calls) == calls && self.is_open() {
            // SAFETY: as in `begin`.
            unsafe { sys::napi_unref_threadsafe_function(env.raw(), self.function.get()) };
            self.settle.let_go(env);
        }
    }

    pub(super) fn release_if_done(&self) {
        if self.underway.get() > 0 || !self.leased.borrow().is_empty() || !self.is_open() {
            return;
        }
        self.completions.close();
        // SAFETY: nobody else calls the function: `completions` has let go of it.
        unsafe {
            sys::napi_release_threadsafe_function(
                self.function.replace(ptr::null_mut()),
                sys::ThreadsafeFunctionReleaseMode::release,
            )
        };
    }

    /// The environment ends. Not every runtime collects what is left in it.
    pub(super) fn abandon(&self) {
        self.completions.close();
        self.function.set(ptr::null_mut());
        for shared in self.leased.take().into_values() {
            shared.queue().caller_ended();
        }
    }

    /// A value of rows of this shape had no meaning. Not to be called while messages are delivered.
    pub(super) fn give_up(&self, shape: u64) {
        if let Some(columns) = self.introduced.borrow().get(&shape).and_then(Weak::upgrade) {
            columns.give_up();
        }
    }

    /// The answer of the program's function to `Completion::Password`.
    pub(super) fn answer_password(&self, reply: u32, password: std::result::Result<String, Thrown>) {
        let waiting = self.passwords.borrow_mut().remove(&reply);
        if let Some(waiting) = waiting {
            // The connection may have been given up meanwhile.
            let _ = waiting.send(password);
        }
    }

    /// Tells all that has happened, whatever one completion comes to.
    fn deliver(&self, env: &Env) {
        let (mut completions, values) = self.memory.take();
        self.completions.swap(&mut completions);
        // While a call is under way it is held. Without one, a notice has come for a function that is gone.
        let Some(settle) = self.settle.get(env) else { return };
        let mut settled = 0;
        let mut introduced = self.introduced.take();
        let mut messages = Messages::new(env, settle, &mut introduced, values);
        for completion in completions.drain(..) {
            messages.begin();
            let slot = match completion {
                Completion::Settled { slot, .. } => Some(slot),
                _ => None,
            };
            settled += usize::from(slot.is_some());
            if let Err(error) = contained(|| self.write(&mut messages, completion)) {
                messages.withdraw();
                if let Some(slot) = slot {
                    let text = format!("the server's answer cannot be used: {}", error.reason);
                    // Fails only with the environment.
                    let _ = messages.rejected(slot, &Error::failure(code::INVALID_ANSWER, text));
                }
            }
        }
        let values = messages.finish();
        self.introduced.replace(introduced);
        self.memory.replace((completions, values));
        self.ended(env, settled);
        self.release_if_done();
    }

    fn write(&self, messages: &mut Messages<'_>, completion: Completion) -> Result<()> {
        match completion {
            Completion::Settled { slot, outcome, trace } => {
                if let Some(trace) = trace {
                    messages.observed(trace)?;
                }
                messages.settled(slot, outcome)
            }
            Completion::Password { function, login, reply } => {
                let number = self.next_password.replace(self.next_password.get().wrapping_add(1));
                self.passwords.borrow_mut().insert(number, reply);
                messages.password(number, function, &login)
            }
            Completion::Notice { function, notice } => messages.notice(function, &notice),
        }
    }
}

/// Called by Node on the JavaScript thread, with `env` null when the environment is going down.
unsafe extern "C" fn deliver(env: sys::napi_env, _: sys::napi_value, context: *mut c_void, _: *mut c_void) {
    if env.is_null() {
        return;
    }
    // SAFETY: `context` is the count that `create` made; `finalize`, which gives it back, is the last call.
    let delivery = unsafe { &*context.cast::<Delivery>() };
    let env = Env::from_raw(env);
    let _ = contained(|| {
        delivery.deliver(&env);
        Ok(())
    });
}

unsafe extern "C" fn finalize(_: sys::napi_env, context: *mut c_void, _: *mut c_void) {
    // SAFETY: the pointer is that of `Rc::into_raw` in `create`, on this same thread, and this is called once.
    let delivery = unsafe { Rc::from_raw(context.cast::<Delivery>()) };
    let _ = contained(|| {
        delivery.completions.close();
        delivery.function.set(ptr::null_mut());
        drop(delivery);
        Ok(())
    });
}
