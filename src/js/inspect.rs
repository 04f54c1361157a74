//! `inspect`: what the command line asks of a database. Users of the package do not see it.

use std::rc::Rc;

use napi::{
    Result,
    bindgen_prelude::{FunctionCallContext, Object},
    sys,
};

use super::{
    args,
    errors::{Refusal, or_refused},
    instance::Instance,
};
use crate::pg::{self, Answer, Inspection, Protection, Reply, Settings, runtime};

/// `(slot, url, sql, parameter, process.env)`: asks the statement `sql`, which takes one text and gives one that is JSON.
/// Settles `slot` with JSON, `{ answer, isPooled, isLocal, tls }`.
pub(super) fn inspect(instance: &Rc<Instance>, call: &FunctionCallContext<'_>) -> Result<sys::napi_value> {
    or_refused(call.env, start(instance, call))
}

fn start<'env>(instance: &Instance, call: &FunctionCallContext<'env>) -> std::result::Result<Object<'env>, Refusal> {
    let (slot, url, sql, parameter): (u32, String, String, String) =
        (call.get(0)?, call.get(1)?, call.get(2)?, call.get(3)?);
    let settings = Settings::read(Some(&url), &Vec::new(), &Vec::new(), &args::variables(call.get(4)?))
        .map_err(|error| Refusal::Argument(error.message().to_owned()))?;
    let runtime = runtime()?;
    let delivery = instance.delivery(call.env)?;
    delivery.begin(call.env, 1);
    let completions = delivery.completions.clone();
    let reply = Reply::new(completions.clone(), slot);
    runtime.spawn(async move {
        let inspection = Box::pin(pg::inspect(settings, completions, &sql, &parameter)).await;
        reply.settle(inspection.map(|inspection| Answer::Text(json(&inspection))));
    });
    Ok(Object::new(call.env)?)
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
