//! Objects and functions that are made for JavaScript.

use std::{
    panic::{self, AssertUnwindSafe},
    ptr,
};

use napi::{
    Env, Result,
    bindgen_prelude::{Function, FunctionCallContext, JsValue, Object, ToNapiValue, check_status},
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
    define(env, object, name, closure(env, this, name, act)?)
}

/// A function by itself.
pub(super) fn closure<'env, T: Clone + 'static, R: ToNapiValue + 'static>(
    env: &'env Env,
    this: &T,
    name: &str,
    act: fn(&T, &FunctionCallContext<'_>) -> Result<R>,
) -> Result<Function<'env, (), R>> {
    let this = this.clone();
    env.create_function_from_closure(name, move |call: FunctionCallContext<'_>| contained(|| act(&this, &call)))
}

/// A panic ends neither the process nor another call: Node's C++ frames cannot be unwound.
pub(super) fn contained<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(napi::Error::from_reason("lucia-postgres-native has a defect: it panicked")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::contained;

    #[test]
    fn what_panics_becomes_an_error() {
        let error = contained::<()>(|| panic!("a defect")).unwrap_err();
        assert_eq!(error.reason, "lucia-postgres-native has a defect: it panicked");
        assert_eq!(contained(|| Ok(1)).unwrap(), 1);
    }

    /// napi-rs contains what panics in functions made by `create_function_from_closure`, and in the finalizers of these.
    #[test]
    fn nothing_that_node_calls_unwinds_into_it() {
        let mut found = 0;
        for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/js")).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let entries = [
                ("\n#[napi", "catch_unwind"),
                ("extern \"C\" fn ", "contained("),
                ("add_env_cleanup_hook(", "contained("),
            ];
            for (entry, container) in entries {
                for (at, _) in text.match_indices(entry) {
                    let after = &text[at..];
                    let end = after.find("\n}\n").unwrap();
                    assert!(after[..end].contains(container), "{}: {}", path.display(), &after[..end]);
                    found += 1;
                }
            }
        }
        assert_eq!(found, 5, "two exports, two callbacks, one hook");
    }
}
