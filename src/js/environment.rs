//! What the addon keeps for each environment: every worker thread loads it again.

use std::sync::Arc;

use napi::{
    Env, Result,
    bindgen_prelude::{Function, FunctionRef, JsObjectValue, JsValue, Object, Unknown},
};

use super::{promise::Landing, rows::define};
use crate::lucia::method::{Gives, METHODS, MethodEntry, Takes};

const ADAPTER: &str = include_str!("adapter.js");
const ERROR: &str = include_str!("error.js");
const EXISTING: &str = include_str!("existing.js");
const PARAMETER: &str = include_str!("parameter.js");

pub struct Environment {
    pub landing: Arc<Landing>,
    /// `({ native, handles, PostgresError? }) => initializer`
    pub initializer: FunctionRef<Unknown<'static>, Unknown<'static>>,
    /// `(start) => Promise<string>`; `start` is called with the slot
    pub text: FunctionRef<Unknown<'static>, Unknown<'static>>,
    /// `(connection) => { options, PostgresError? } | undefined`
    pub existing: FunctionRef<Unknown<'static>, Unknown<'static>>,
}

impl Environment {
    /// `channel` is the one that calls are published on, when the entry of the package has given it.
    pub fn of(env: &Env, channel: Option<Unknown<'_>>) -> Result<&'static Self> {
        if let Some(environment) = env.get_instance_data::<Self>()? {
            return Ok(environment);
        }
        env.set_instance_data(Self::new(env, channel)?, (), |_| {})?;
        env.get_instance_data::<Self>()?
            .map(|environment| &*environment)
            .ok_or_else(|| napi::Error::from_reason("the environment keeps no data"))
    }

    fn new(env: &Env, channel: Option<Unknown<'_>>) -> Result<Self> {
        let parts: Object<'_> = env.run_script(PARAMETER)?;
        let errors: Object<'_> = env.run_script(ERROR)?;
        for name in Object::keys(&errors)? {
            define(env, &parts, &name, errors.get_named_property::<Unknown<'_>>(&name)?)?;
        }
        define(env, &parts, "methods", methods(env)?)?;
        define(env, &parts, "channel", channel)?;
        let create: Function<'_, Object<'_>, Object<'_>> = env.run_script(ADAPTER)?;
        let adapter = create.call(parts)?;
        let settle: Unknown<'_> = adapter.get_named_property("settle")?;
        let landing = Landing::new(env, settle.raw())?;
        // Added after the thread-safe function's own hook, and so called before it.
        let crossing = landing.crossing.clone();
        env.add_env_cleanup_hook(crossing, |crossing| crossing.close())?;
        Ok(Self {
            landing,
            initializer: adapter.get_named_property::<Function<'_, _, _>>("initializer")?.create_ref()?,
            text: adapter.get_named_property::<Function<'_, _, _>>("text")?.create_ref()?,
            existing: env.run_script::<_, Function<'_, _, _>>(EXISTING)?.create_ref()?,
        })
    }
}

/// The table of methods, for `adapter.js`.
fn methods(env: &Env) -> Result<Vec<Object<'_>>> {
    let entry = |(index, entry): (u32, &MethodEntry)| {
        let object = Object::new(env)?;
        define(env, &object, "index", index)?;
        define(env, &object, "name", entry.name)?;
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
        define(env, &object, "isOfSessions", entry.is_of_sessions())?;
        define(env, &object, "takes", takes)?;
        define(env, &object, "gives", gives)?;
        Ok(object)
    };
    (0..).zip(&METHODS).map(entry).collect()
}
