//! JavaScript -> Rust: the arguments of `postgres`.

use std::{
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use napi::{
    Error, Result, Status, ValueType,
    bindgen_prelude::{
        Array, Buffer, FromNapiValue, JsObjectValue, JsValue, KeyCollectionMode, KeyConversion, KeyFilter, Object,
        Uint8Array, Unknown, check_status,
    },
    sys,
};

use super::errors::Refusal;
use crate::{
    lucia::{name::Name, store::Tables, version::Version},
    pg::{OptionValue, Options, is_option},
};

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::Argument(message.into())
}

/// `process.env`, of which each worker may have its own. What a program has put on `Object.prototype` is no variable.
pub(super) fn variables(process_env: Object<'_>) -> impl Fn(&str) -> Option<String> + use<'_> {
    move |name: &str| match process_env.has_own_property(name) {
        Ok(true) => process_env.get::<String>(name).ok().flatten(),
        Ok(false) | Err(_) => None,
    }
}

/// An element of `ssl.ca` and a member of `transform.column`, the deepest that are read, are one deeper.
const DEEPEST: u32 = 1;

/// A function among the options, and the handle by which the settings know it.
pub(super) type Function<'env> = (u32, Unknown<'env>);

/// Reads the options of one call of `postgres`.
pub(super) struct OptionReader<'env> {
    next_handle: &'static AtomicU32,
    pub(super) functions: Vec<Function<'env>>,
}

impl<'env> OptionReader<'env> {
    pub(super) fn new(next_handle: &'static AtomicU32) -> Self {
        Self { next_handle, functions: Vec::new() }
    }

    pub(super) fn options(&mut self, object: &Object<'env>) -> std::result::Result<Options, Refusal> {
        self.members(object, 0)
    }

    /// Own properties only: what a program has put on `Object.prototype` is no option.
    fn members(&mut self, object: &Object<'env>, depth: u32) -> std::result::Result<Options, Refusal> {
        let mut options = Options::new();
        for name in own_names(object)? {
            let value: Unknown<'env> = object.get_named_property(&name)?;
            // An unknown option is refused by its name, and need not be read.
            let value = match value.get_type()? {
                ValueType::Object if depth == 0 && !is_option(&name) => OptionValue::Null,
                _ => self.value(value, depth)?,
            };
            options.push((name, value));
        }
        Ok(options)
    }

    fn value(&mut self, value: Unknown<'env>, depth: u32) -> std::result::Result<OptionValue, Refusal> {
        Ok(match value.get_type()? {
            ValueType::Undefined => OptionValue::Undefined,
            ValueType::Null => OptionValue::Null,
            ValueType::Boolean => OptionValue::Boolean(read(value)?),
            ValueType::Number => OptionValue::Number(read(value)?),
            ValueType::String => OptionValue::Text(read(value)?),
            ValueType::Function => {
                let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
                self.functions.push((handle, value));
                OptionValue::Function(handle)
            }
            ValueType::Object if value.is_buffer()? => OptionValue::Bytes(read::<Buffer>(value)?.to_vec()),
            ValueType::Object if value.is_typedarray()? => OptionValue::Bytes(read::<Uint8Array>(value)?.to_vec()),
            // No option is as deep as this.
            ValueType::Object if depth > DEEPEST => OptionValue::Null,
            ValueType::Object if value.is_array()? => {
                let array: Array<'env> = read(value)?;
                let mut list = Vec::new();
                for index in 0..array.len() {
                    let element: Option<Unknown<'env>> = array.get(index)?;
                    list.push(element.map_or(Ok(OptionValue::Undefined), |element| self.value(element, depth + 1))?);
                }
                OptionValue::List(list)
            }
            ValueType::Object => OptionValue::Map(self.members(&read(value)?, depth + 1)?),
            kind => return Err(bad(format!("options: {} is not an option's value", describe(kind)))),
        })
    }
}

/// The names of the properties that `Object.keys` gives.
fn own_names(object: &Object<'_>) -> Result<Vec<String>> {
    let names = object.get_all_property_names(
        KeyCollectionMode::OwnOnly,
        KeyFilter::Enumerable,
        KeyConversion::NumbersToStrings,
    )?;
    let names: Vec<Unknown<'_>> = read(names.to_unknown())?;
    names
        .into_iter()
        // The others are symbols.
        .filter(|name| matches!(name.get_type(), Ok(ValueType::String)))
        .map(read)
        .collect()
}

/// A text that is short as a rule: an id.
pub(super) struct Short(pub(super) String);

impl FromNapiValue for Short {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        const ROOM: usize = 256;
        /// A character of UTF-8, which is not cut, and the zero at the end.
        const LAST: usize = 4;
        let mut bytes = [0_u8; ROOM];
        let mut length = 0;
        // SAFETY: the caller vouches for both; no more than `ROOM` bytes are written.
        check_status!(unsafe {
            sys::napi_get_value_string_utf8(env, value, bytes.as_mut_ptr().cast(), ROOM, &raw mut length)
        })?;
        if length < ROOM - LAST {
            return Ok(Self(text(bytes[..length].to_vec())));
        }
        // SAFETY: as above; without room for it only the length is told.
        check_status!(unsafe { sys::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &raw mut length) })?;
        let mut bytes = vec![0_u8; length + 1];
        // SAFETY: as above; no more bytes are written than there are.
        check_status!(unsafe {
            sys::napi_get_value_string_utf8(env, value, bytes.as_mut_ptr().cast(), bytes.len(), &raw mut length)
        })?;
        bytes.truncate(length);
        Ok(Self(text(bytes)))
    }
}

/// Half of a surrogate pair is no UTF-8, and not every engine replaces it.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

pub(super) fn read<T: FromNapiValue>(value: Unknown<'_>) -> Result<T> {
    let raw = value.value();
    // SAFETY: the value is of the environment and of the handle scope that `value` is bound to.
    unsafe { T::from_napi_value(raw.env, raw.value) }
}

/// `{ user, key, session }`, of Lucia 3 `{ user, session }`
pub(super) fn tables(version: Version, argument: Unknown<'_>) -> std::result::Result<Tables, Refusal> {
    if argument.get_type()? != ValueType::Object {
        let names = if version.has_keys() { "user, key, session" } else { "user, session" };
        return Err(bad(format!(
            "tableNames: must be an object {{ {names} }} of table names; tableNames.user is missing"
        )));
    }
    let object: Object<'_> = read(argument)?;
    let table = |name: &str, or_null: &str| -> std::result::Result<Option<Name>, Refusal> {
        let value: Unknown<'_> = object.get_named_property(name)?;
        let expected = format!("tableNames.{name}: must be the name of a table{or_null}");
        match value.get_type()? {
            ValueType::Null if !or_null.is_empty() => Ok(None),
            ValueType::String => {
                let text: String = read(value)?;
                if text.contains('\0') {
                    return Err(bad(format!("tableNames.{name}: a name cannot hold U+0000")));
                }
                let name = Name::new(&text);
                name.map(Some).ok_or_else(|| bad(format!("{expected}, and no part of it may be empty")))
            }
            kind => Err(bad(format!("{expected}, not {}", describe(kind)))),
        }
    };
    let user = table("user", "")?.ok_or_else(|| bad("tableNames.user: is missing"))?;
    if version.has_keys() {
        return Ok(Tables { user, key: table("key", "")?, session: table("session", ", or null")? });
    }
    Ok(Tables { user, key: None, session: table("session", "")? })
}

pub(super) fn describe(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Undefined => "undefined",
        ValueType::Null => "null",
        ValueType::Boolean => "a boolean",
        ValueType::Number => "a number",
        ValueType::String => "a string",
        ValueType::Symbol => "a symbol",
        ValueType::Object => "an object",
        ValueType::Function => "a function",
        ValueType::BigInt => "a bigint",
        _ => "a value of an unknown kind",
    }
}

/// The columns of one row of a write.
pub(super) fn columns(names: &[String]) -> Result<Vec<Name>> {
    names
        .iter()
        .map(|name| {
            let refused = |why| Error::new(Status::InvalidArg, format!("{name:?} is not the name of a column: {why}"));
            if name.contains('\0') {
                return Err(refused("it holds U+0000"));
            }
            Name::new(name).ok_or_else(|| refused("a part of it is empty"))
        })
        .collect()
}
