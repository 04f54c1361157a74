//! The native half of an adapter: reads the arguments of `postgres`, and gives the functions that the methods call.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, atomic::AtomicU32},
};

use napi::{
    Env, Error, Result, Status, ValueType,
    bindgen_prelude::{FunctionCallContext, JsValue, Object, Unknown},
    sys,
};

use super::{
    args::{self, OptionReader, Short, read},
    delivery::{Delivery, Lease},
    errors::{Refusal, or_refused},
    instance::Instance,
    object::{closure, define, function},
};
use crate::{
    lucia::{
        method::Method,
        store::{Row, Store, Write},
        version::Version,
    },
    pg::{self, Figures, Load, Reply, Settings, Thrown, Times},
};

/// Handles of the functions among the options are unique in the process, as settings are compared across its threads.
static NEXT_FUNCTION: AtomicU32 = AtomicU32::new(1);

pub(super) struct Adapter {
    store: Arc<Store>,
    delivery: Rc<Delivery>,
    lease: RefCell<Option<Lease>>,
}

impl Adapter {
    /// `(url?, options?, tableNames, moreOptions?, process.env, version)` -> `{ server, functions, byId, ... } | { refused }`
    pub(super) fn create(instance: &Rc<Instance>, call: &FunctionCallContext<'_>) -> Result<sys::napi_value> {
        let env = &*call.env;
        or_refused(env, Self::open(env, instance, call))
    }

    fn open<'env>(
        env: &'env Env,
        instance: &Instance,
        call: &FunctionCallContext<'env>,
    ) -> std::result::Result<Object<'env>, Refusal> {
        let mut reader = OptionReader::new(&NEXT_FUNCTION);
        let mut options = |index: usize| {
            let given: Unknown<'env> = call.get(index)?;
            match given.get_type()? {
                ValueType::Undefined => Ok(Vec::new()),
                ValueType::Object => reader.options(&read(given)?),
                kind => Err(Refusal::Argument(format!("options: must be an object, not {}", args::describe(kind)))),
            }
        };
        let (known, given) = (options(1)?, options(3)?);
        let url: Option<String> = call.get(0)?;
        let version = version(call.get(5)?)?;
        let tables = args::tables(version, call.get(2)?)?;
        let settings = Settings::read(url.as_deref(), &known, &given, &args::variables(call.get(4)?))
            .map_err(|error| Refusal::Argument(error.message().to_owned()))?;
        let server = Object::new(env)?;
        define(env, &server, "database", settings.database())?;
        define(env, &server, "address", settings.addresses())?;
        define(env, &server, "port", settings.port().map(u32::from))?;
        let delivery = instance.delivery(env)?;
        let shared = match pg::share(settings, delivery.completions.clone()) {
            Ok(shared) => shared,
            Err(error) => {
                delivery.release_if_done();
                return Err(error.into());
            }
        };
        let store = Arc::new(Store::new(version, tables, shared.queue().clone(), delivery.completions.clone()));
        let lease = RefCell::new(Some(delivery.lease(shared)));
        let adapter = Rc::new(Self { store, delivery, lease });

        let object = Object::new(env)?;
        define(env, &object, "server", server)?;
        let mut functions = env.create_array(0)?;
        for (handle, function) in reader.functions {
            let mut pair = env.create_array(0)?;
            pair.insert(handle)?;
            pair.insert(function)?;
            functions.insert(pair)?;
        }
        define(env, &object, "functions", functions)?;
        Self::define_functions(env, &object, &adapter)?;
        Ok(object)
    }

    /// What `lib/connection.js` calls.
    fn define_functions(env: &Env, object: &Object<'_>, adapter: &Rc<Self>) -> Result<()> {
        function(env, object, adapter, "byId", |adapter, call| adapter.by_id(call))?;
        function(env, object, adapter, "write", Self::write)?;
        function(env, object, adapter, "deleteExpired", |adapter, call| adapter.delete_expired(call))?;
        function(env, object, adapter, "start", |adapter, _| {
            adapter.store.start();
            Ok(())
        })?;
        function(env, object, adapter, "load", |adapter, _| Ok(figures(&adapter.store.load())))?;
        function(env, object, adapter, "password", |adapter, call| {
            let (reply, text): (u32, Option<String>) = (call.get(0)?, call.get(1)?);
            let name: Option<String> = call.get(2)?;
            let thrown = || Thrown { number: Some(reply), name: name.unwrap_or_default() };
            adapter.delivery.answer_password(reply, text.ok_or_else(thrown));
            Ok(())
        })?;
        function(env, object, adapter, "end", |adapter, _| {
            let lease = adapter.lease.take();
            drop(lease);
            Ok(())
        })
    }

    /// Are these the last?; method, form, are they observed?; then for each call its slot and its id.
    fn by_id(&self, call: &FunctionCallContext<'_>) -> Result<()> {
        const FIRST: usize = 4;
        let (are_last, method, form, are_observed) = (call.get(0)?, method(call.get(1)?)?, call.get(2)?, call.get(3)?);
        let mut calls = Vec::with_capacity(call.length() / 2);
        for at in (FIRST..call.length()).step_by(2) {
            let (slot, Short(id)) = (call.get(at)?, call.get(at + 1)?);
            calls.push((slot, id));
        }
        // From here on nothing may fail: the calls are counted as under way.
        self.delivery.begin(call.env, calls.len());
        let caller = self.delivery.completions.caller(are_observed);
        let calls = calls.into_iter().map(|(slot, id)| (id, Reply::new(caller.clone(), slot)));
        self.store.by_id(method, form, calls, are_last);
        Ok(())
    }

    /// Method, columns of each row, declared types -> a function that sends one call: slot, is it observed?, texts, forms.
    fn write(self: &Rc<Self>, call: &FunctionCallContext<'_>) -> Result<sys::napi_value> {
        let columns: Vec<Vec<String>> = call.get(1)?;
        let mut declared: Vec<u32> = call.get(2)?;
        let [row, key] = {
            let second = declared.split_off(columns.first().map_or(0, Vec::len));
            [(columns.first(), declared), (columns.get(1), second)]
        }
        .map(|(names, declared)| names.map(|names| args::columns(names).map(|columns| Row { columns, declared })));
        let row = row.unwrap_or_else(|| Err(invalid("a row is missing")))?;
        let write = self.store.write(method(call.get(0)?)?, &row, key.transpose()?.as_ref());
        let write = Rc::new((self.clone(), write.map_err(|error| invalid(error.message()))?));
        let send = closure(&*call.env, &write, "send", |write, call| write.0.send(&write.1, call))?;
        Ok(send.raw())
    }

    fn send(&self, write: &Write, call: &FunctionCallContext<'_>) -> Result<()> {
        let (slot, is_observed, forms) = (call.get(0)?, call.get(1)?, call.get(3)?);
        let texts: Vec<Option<Short>> = call.get(2)?;
        let texts = texts.into_iter().map(|text| text.map(|Short(text)| text)).collect();
        // From here on nothing may fail: the call is counted as under way.
        self.delivery.begin(call.env, 1);
        let completions = self.delivery.completions.clone();
        self.store.send(write, texts, forms, move |outcome, trace| {
            completions.settle_with(slot, is_observed, outcome, trace);
        });
        Ok(())
    }

    /// Slot, time, is it observed?
    fn delete_expired(&self, call: &FunctionCallContext<'_>) -> Result<()> {
        let (slot, time, is_observed) = (call.get(0)?, call.get(1)?, call.get(2)?);
        self.delivery.begin(call.env, 1);
        let completions = self.delivery.completions.clone();
        self.store.delete_expired(time, move |outcome, trace| {
            completions.settle_with(slot, is_observed, outcome, trace);
        });
        Ok(())
    }
}

/// In the order of `load` in `types.d.ts`.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn figures(load: &Load) -> Vec<f64> {
    let Load { max, connections, idle, waiting, figures } = load;
    let Figures { opened, lost, retried, cancelled, unknown, query_timeouts, connect_timeouts, waits, uses } = figures;
    let now = [max, connections, idle, waiting].map(|count| *count as f64);
    let so_far =
        [opened, lost, retried, cancelled, unknown, query_timeouts, connect_timeouts].map(|count| *count as f64);
    let times = |Times { sum, buckets }: &Times| {
        [sum.as_secs_f64()].into_iter().chain(buckets.map(|count| count as f64)).collect::<Vec<_>>()
    };
    [&now[..], &so_far, &times(waits), &times(uses)].concat()
}

fn method(index: u32) -> Result<Method> {
    Method::from_index(index).ok_or_else(|| invalid("there is no such method"))
}

fn version(number: u32) -> Result<Version> {
    let version = Version::ALL.into_iter().find(|version| version.number() == number);
    version.ok_or_else(|| invalid("there is no such version of Lucia"))
}

fn invalid(message: &str) -> Error {
    Error::new(Status::InvalidArg, message.to_owned())
}
