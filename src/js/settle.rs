//! The function of `lib/completions.js` that is told what has happened.

use std::ptr;

use napi::{Env, Result, bindgen_prelude::check_status, sys};

/// Held only while a call is under way: a test runner makes a realm for each file, and `settle` would keep all of it.
/// Whatever else needs it (`lib/instance.js`) holds it from JavaScript.
pub(super) struct Settle {
    env: sys::napi_env,
    reference: sys::napi_ref,
}

impl Settle {
    pub(super) fn new(env: &Env, function: sys::napi_value) -> Result<Self> {
        let mut reference = ptr::null_mut();
        // SAFETY: `function` is a value of this environment.
        check_status!(unsafe { sys::napi_create_reference(env.raw(), function, 0, &raw mut reference) })?;
        Ok(Self { env: env.raw(), reference })
    }

    pub(super) fn hold(&self, env: &Env) {
        // SAFETY: the reference lives as long as `self`, on the thread of its environment.
        unsafe { sys::napi_reference_ref(env.raw(), self.reference, ptr::null_mut()) };
    }

    pub(super) fn let_go(&self, env: &Env) {
        // SAFETY: as in `hold`, which was called before.
        unsafe { sys::napi_reference_unref(env.raw(), self.reference, ptr::null_mut()) };
    }

    /// `None` when it has been collected.
    pub(super) fn get(&self, env: &Env) -> Option<sys::napi_value> {
        let mut function = ptr::null_mut();
        // SAFETY: as in `hold`.
        unsafe { sys::napi_get_reference_value(env.raw(), self.reference, &raw mut function) };
        (!function.is_null()).then_some(function)
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        // SAFETY: it is dropped on the thread of its environment, at the latest when that is torn down.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
