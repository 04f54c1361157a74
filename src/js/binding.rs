//! What the binary exports, for `lib/` alone.

use napi::{
    Env, Result,
    bindgen_prelude::{Function, JsValue, Object},
};
use napi_derive::napi;

use super::{
    adapter::Adapter,
    inspect::inspect,
    instance::Instance,
    messages::KINDS,
    object::{define, function},
    rows::CONVERSIONS,
};
use crate::{
    lucia::{
        method::{Gives, METHODS, MethodEntry, Table, Takes},
        version::Version,
    },
    pg::{BUCKETS_MS, SMALLEST_BATCH, UNKNOWN},
};

/// What `lib/` gets of the addon; `settle` is called with lists of what has happened (`Kind`).
#[napi(catch_unwind, ts_args_type = "settle: (...values: unknown[]) => void", ts_return_type = "Instance")]
pub fn instance<'env>(env: &'env Env, settle: Function<'env, (), ()>) -> Result<Object<'env>> {
    let instance = Instance::new(env, settle.raw())?;
    let object = Object::new(env)?;
    function(env, &object, &instance, "adapter", Adapter::create)?;
    function(env, &object, &instance, "inspect", inspect)?;
    function(env, &object, &instance, "giveUp", |instance, call| {
        instance.give_up(call.get(0)?);
        Ok(())
    })?;
    Ok(object)
}

/// The numbers that both languages use, and the table of methods for each version of Lucia.
#[napi(catch_unwind, ts_return_type = "Constants")]
pub fn constants(env: &Env) -> Result<Object<'_>> {
    let object = Object::new(env)?;
    let kinds = Object::new(env)?;
    for (kind, name) in KINDS {
        define(env, &kinds, name, kind as u32)?;
    }
    define(env, &object, "kinds", kinds)?;
    let conversions = Object::new(env)?;
    for (number, name) in CONVERSIONS {
        define(env, &conversions, name, number)?;
    }
    define(env, &object, "conversions", conversions)?;
    define(env, &object, "smallestBatch", SMALLEST_BATCH)?;
    define(env, &object, "bucketsMs", BUCKETS_MS.to_vec())?;
    define(env, &object, "unknownForm", UNKNOWN)?;
    let versions = Object::new(env)?;
    for version in Version::ALL {
        define(env, &versions, &version.number().to_string(), methods(env, version)?)?;
    }
    define(env, &object, "methods", versions)?;
    Ok(object)
}

fn methods(env: &Env, version: Version) -> Result<Vec<Object<'_>>> {
    let entry = |(index, entry, name): (u32, &MethodEntry, &str)| {
        let object = Object::new(env)?;
        define(env, &object, "index", index)?;
        define(env, &object, "name", name)?;
        let takes = match entry.takes {
            Takes::Id => "Id",
            Takes::Change => "Change",
            Takes::Row => "Row",
            Takes::UserAndKey => "UserAndKey",
        };
        let gives = match entry.gives {
            Gives::Nothing => "Nothing",
            Gives::Row => "Row",
            Gives::Rows => "Rows",
            Gives::Pair => "Pair",
        };
        let table = match entry.table {
            Table::User => "user",
            Table::Key => "key",
            Table::Session => "session",
        };
        define(env, &object, "table", table)?;
        define(env, &object, "takes", takes)?;
        define(env, &object, "gives", gives)?;
        Ok(object)
    };
    let named = |(index, entry): (u32, &'static MethodEntry)| Some((index, entry, entry.name_in(version)?));
    (0..).zip(&METHODS).filter_map(named).map(entry).collect()
}
