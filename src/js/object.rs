//! Objects and functions that are made for JavaScript.

use std::{
    panic::{self, AssertUnwindSafe},
    ptr,
};

use napi::{
    Env, Result,
    bindgen_prelude::{FunctionCallContext, JsValue, Object, ToNapiValue, check_status},
    sys,
};

use super::rows::string;

/// Gives an object an own property, whatever setter its prototype has.
pub(super) fn define<V: ToNapiValue>(env: &Env, object: &Object<'_>, name: &str, value: V) -> Result<()> {
    use sys::PropertyAttributes as Attributes;
    let descriptor = sys::napi_property_descriptor {
        utf8name: ptr::null(),
        name: string(env, name)?,
        method: None,
        getter: None,
        setter: None,
        // SAFETY: the value is made for this environment, on its thread.
        value: unsafe { V::to_napi_value(env.raw(), value) }?,
        attributes: Attributes::writable | Attributes::enumerable | Attributes::configurable,
        data: ptr::null_mut(),
    };
    // SAFETY: object, name and value are of this environment and of the handle scope that is open.
    check_status!(unsafe { sys::napi_define_properties(env.raw(), object.raw(), 1, &raw const descriptor) })
}

/// Gives `object` a function that acts on `this`, and keeps it; what panics in it is thrown as an `Error`.
pub(super) fn function<T: Clone + 'static, R: ToNapiValue + 'static>(
    env: &Env,
    object: &Object<'_>,
    this: &T,
    name: &str,
    act: fn(&T, &FunctionCallContext<'_>) -> Result<R>,
) -> Result<()> {
    let this = this.clone();
    let function = env.create_function_from_closure::<(), R, _>(name, move |call: FunctionCallContext<'_>| {
        contained(|| act(&this, &call))
    })?;
    define(env, object, name, function)
}

/// A panic ends neither the process nor another call: Node's C++ frames cannot be unwound.
pub(super) fn contained<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(napi::Error::from_reason("lucia-postgres-native has a defect: it panicked")))
}
