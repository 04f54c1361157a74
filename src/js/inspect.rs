//! `inspect`: what the command line asks of a database. Users of the package do not see it.

use std::cell::Cell;

use napi::{
    Env, Result, Status,
    bindgen_prelude::{FunctionCallContext, JsValue, Unknown},
};
use napi_derive::napi;

use super::{
    args::{self, bad},
    environment::Environment,
    errors,
};
use crate::{
    lucia::store::Rejection,
    pg::{self, Answer, Inspection, Protection, Reply, Settings, runtime},
};

/// Asks the statement `sql`, which takes one text and gives one that is JSON. Resolves to JSON,
/// `{ answer, isPooled, isLocal, tls }`.
#[napi(skip_typescript)]
pub fn inspect(env: &Env, url: String, sql: String, parameter: String) -> Result<Unknown<'_>> {
    let environment = Environment::of(env, None)?;
    let lookup = args::environment_variables(env)?;
    let url = Some(url);
    let settings =
        Settings::read(url.as_deref(), &Vec::new(), &Vec::new(), &lookup).map_err(|invalid| bad(invalid.message))?;
    let runtime = runtime().map_err(|error| errors::throw(env, &error))?;
    let landing = environment.landing.clone();
    let given = Cell::new(Some((settings, sql, parameter)));
    let start = env.create_function_from_closure::<(), (), _>("start", move |call: FunctionCallContext<'_>| {
        let slot = call.get(0)?;
        let Some((settings, sql, parameter)) = given.take() else {
            return Err(napi::Error::new(Status::GenericFailure, "it has been started"));
        };
        let (settle, program) = (landing.settle(call.env, slot, false), landing.crossing.clone());
        let reply = Reply::with(move |result, journey| settle(result.map_err(Rejection::Database), journey));
        runtime.spawn(async move {
            let inspection = Box::pin(pg::inspect(settings, program, &sql, &parameter)).await;
            reply.settle(inspection.map(|inspection| Answer::Text(json(&inspection))));
        });
        Ok(())
    })?;
    environment.text.borrow_back(env)?.call(start.to_unknown())
}

fn json(Inspection { text, is_pooled, is_local, protection }: &Inspection) -> String {
    let tls = match protection {
        Protection::Plain => "none",
        Protection::Optional => "optional",
        Protection::Encrypted => "encrypted",
        Protection::Verified => "verified",
    };
    format!(r#"{{"answer":{text},"isPooled":{is_pooled},"isLocal":{is_local},"tls":"{tls}"}}"#)
}
