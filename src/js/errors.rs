//! What went wrong, as the description that `lib/errors.js` makes an error of.

use napi::{
    Env, Result,
    bindgen_prelude::{JsValue, Object, ToNapiValue},
    sys,
};

use super::object::define;
use crate::pg::Error;

/// `{ message, code, fields?, address?, port?, cause?, thrown? }`
pub(super) fn description(env: &Env, error: &Error) -> Result<sys::napi_value> {
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
    if error.is_database() {
        let fields = Object::new(env)?;
        for (name, text) in error.fields() {
            define(env, &fields, name, text)?;
        }
        define(env, &object, "fields", fields)?;
    }
    define(env, &object, "thrown", error.thrown())?;
    if let Some(cause) = error.cause() {
        define(env, &object, "cause", self::object(env, cause)?)?;
    }
    Ok(object)
}

/// Why a native function did not do what it was asked for.
pub(super) enum Refusal {
    /// A bad argument: becomes a `TypeError`.
    Argument(String),
    Failed(Error),
    /// An exception is thrown: that of a getter among the arguments, say.
    Thrown(napi::Error),
}

impl From<napi::Error> for Refusal {
    fn from(error: napi::Error) -> Self {
        Self::Thrown(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The value, or `{ refused }`, of which `lib/errors.js` makes an error of the realm that asked.
pub(super) fn or_refused(env: &Env, outcome: std::result::Result<Object<'_>, Refusal>) -> Result<sys::napi_value> {
    let given = match outcome {
        Ok(value) => value,
        Err(Refusal::Thrown(error)) => return Err(error),
        Err(Refusal::Failed(error)) => refused(env, object(env, &error)?)?,
        Err(Refusal::Argument(message)) => {
            let description = Object::new(env)?;
            define(env, &description, "message", message)?;
            refused(env, description)?
        }
    };
    Ok(given.raw())
}

fn refused<'env>(env: &'env Env, description: Object<'_>) -> Result<Object<'env>> {
    let object = Object::new(env)?;
    define(env, &object, "refused", description)?;
    Ok(object)
}
