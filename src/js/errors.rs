//! What went wrong, as the description that `error.js` makes an error of.

use std::panic::{self, AssertUnwindSafe};

use napi::{
    Env, Result, Status,
    bindgen_prelude::{Object, ToNapiValue},
    sys,
};

use super::rows::define;
use crate::pg::Error;

/// `{ message, code, fields?, address?, port?, cause? }`
pub fn description(env: &Env, error: &Error) -> Result<sys::napi_value> {
    // SAFETY: the value is one that this environment has just made.
    unsafe { ToNapiValue::to_napi_value(env.raw(), object(env, error)?) }
}

fn object<'env>(env: &'env Env, error: &Error) -> Result<Object<'env>> {
    let object = Object::new(env)?;
    define(env, &object, "message", error.message())?;
    define(env, &object, "code", error.code())?;
    if let Some(host) = error.host() {
        define(env, &object, "address", host.address.as_str())?;
        define(env, &object, "port", host.port.map(u32::from))?;
    }
    match error {
        Error::Database(_) => {
            let fields = Object::new(env)?;
            for (name, text) in error.fields() {
                define(env, &fields, name, text)?;
            }
            define(env, &object, "fields", fields)?;
        }
        Error::Failure(failure) => {
            if let Some(cause) = &failure.cause {
                define(env, &object, "cause", self::object(env, cause)?)?;
            }
        }
    }
    Ok(object)
}

/// Throws what kept `postgres` from making an adapter.
pub fn throw(env: &Env, error: &Error) -> napi::Error {
    match env.throw_error(error.message(), Some(error.code())) {
        Ok(()) => napi::Error::new(Status::PendingException, ""),
        Err(error) => error,
    }
}

/// A panic ends neither the process nor another call: Node's C++ frames cannot be unwound.
pub fn contained<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(napi::Error::from_reason("lucia-postgres-native has a defect: it panicked")))
}
