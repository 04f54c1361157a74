//! What went wrong, as the description that `error.js` makes an error of.

use napi::{
    Env, Result,
    bindgen_prelude::{Object, ToNapiValue},
    sys,
};

use crate::pg::Error;

/// `{ message, code, fields?, address?, port?, cause? }`
pub fn description(env: &Env, error: &Error) -> Result<sys::napi_value> {
    // SAFETY: the value is one that this environment has just made.
    unsafe { ToNapiValue::to_napi_value(env.raw(), object(env, error)?) }
}

fn object<'env>(env: &'env Env, error: &Error) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set("message", error.message())?;
    object.set("code", error.code())?;
    if let Some(host) = error.host() {
        object.set("address", host.address.as_str())?;
        object.set("port", host.port.map(u32::from))?;
    }
    match error {
        Error::Database(_) => {
            let mut fields = Object::new(env)?;
            for (name, text) in error.fields() {
                fields.set(name, text)?;
            }
            object.set("fields", fields)?;
        }
        Error::Failure(failure) => {
            if let Some(cause) = &failure.cause {
                object.set("cause", self::object(env, cause)?)?;
            }
        }
    }
    Ok(object)
}
