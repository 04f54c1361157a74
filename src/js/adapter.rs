//! `postgres`: reads its arguments, and gives `adapter.js` the native functions that an adapter's methods call.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU32};

use napi::{
    Env, Result, Status, ValueType,
    bindgen_prelude::{FunctionCallContext, JsObjectValue, JsValue, Object, ToNapiValue, Unknown},
};
use napi_derive::napi;

use super::{
    args::{self, OptionReader, Short, bad, read},
    environment::Environment,
    errors::{self, contained},
    promise::Landing,
    rows::define,
};
use crate::{
    lucia::{
        method::Method,
        store::{Row, Store, Tables},
    },
    pg::{self, Reply, Settings, Shared},
};

/// Handles of the functions among the options are unique in the process, as settings are compared across its threads.
static NEXT_FUNCTION: AtomicU32 = AtomicU32::new(1);

/// Lucia v2's adapter for PostgreSQL.
///
/// Connections are opened when the first method is called, and shared by all adapters of the process that have the same
/// settings.
///
/// Methods reject with the `LuciaError`s `AUTH_DUPLICATE_KEY_ID` (`setUser` with a key, `setKey`) and
/// `AUTH_INVALID_USER_ID` (`setKey`, `setSession`); with a `PostgresError`, whose `code` is the SQLSTATE, when the server
/// refuses; and with an `Error` whose `code` says why there was no answer: `ECONNREFUSED`, `ENOTFOUND`,
/// `CONNECT_TIMEOUT`, `CONNECTION_ENDED`, `CONNECTION_DESTROYED`, `QUERY_TIMEOUT`, or `OUTCOME_UNKNOWN` when the
/// connection was lost after a change had been sent and before its answer came.
///
/// @param connection a URL, options, or an instance of `postgres` or `pg.Pool`, whose settings are read
/// @param tableNames the tables of users, keys and sessions
/// @param options more options, which count before those of `connection`
/// @throws `TypeError` that names the argument, when one cannot be used
#[napi(
    ts_args_type = "connection: string | PostgresOptions | PostgresInstance | PoolInstance, tableNames: TableNames, options?: PostgresOptions",
    ts_return_type = "PostgresInitializer"
)]
pub fn postgres<'env>(
    env: &'env Env,
    connection: Unknown<'env>,
    table_names: Unknown<'env>,
    options: Unknown<'env>,
    channel: Option<Unknown<'env>>,
) -> Result<Unknown<'env>> {
    contained(|| create(env, connection, table_names, options, channel)).or_else(|error| {
        if error.status == Status::InvalidArg {
            env.throw_type_error(&error.reason, None)?;
            return Err(napi::Error::new(Status::PendingException, ""));
        }
        // An exception of JavaScript's own goes on as it is.
        Err(error)
    })
}

fn create<'env>(
    env: &'env Env,
    connection: Unknown<'env>,
    table_names: Unknown<'env>,
    options: Unknown<'env>,
    channel: Option<Unknown<'env>>,
) -> Result<Unknown<'env>> {
    let environment = Environment::of(env, channel)?;
    let mut reader = OptionReader::new(&NEXT_FUNCTION);
    let given = match options.get_type()? {
        ValueType::Undefined => Vec::new(),
        ValueType::Object => reader.options(&read(options)?)?,
        kind => {
            return Err(bad(format!("options: must be an object, not {}", args::describe(kind))));
        }
    };
    let mut error_class = None;
    let (url, known) = match connection.get_type()? {
        ValueType::String => (Some(read::<String>(connection)?), Vec::new()),
        ValueType::Object | ValueType::Function => {
            let existing = environment.existing.borrow_back(env)?.call(connection)?;
            if existing.get_type()? == ValueType::Undefined {
                if connection.get_type()? == ValueType::Function {
                    return Err(bad("connection: the function is not a `postgres` instance; give a URL"));
                }
                (None, reader.options(&read(connection)?)?)
            } else {
                let existing: Object<'env> = read(existing)?;
                error_class = existing.get::<Unknown<'env>>("PostgresError")?;
                let options: Object<'env> = existing.get_named_property("options")?;
                (existing.get::<String>("url")?, reader.options(&options)?)
            }
        }
        kind => {
            return Err(bad(format!(
                "connection: must be a URL such as postgres://user:password@host:5432/database, an options object, a \
                 `postgres` instance or a `pg.Pool`, not {}",
                args::describe(kind)
            )));
        }
    };
    let tables = args::tables(table_names)?;
    let lookup = args::environment_variables(env)?;
    let settings = Settings::read(url.as_deref(), &known, &given, &lookup).map_err(|invalid| bad(invalid.message))?;
    let shared =
        pg::share(settings, environment.landing.crossing.clone()).map_err(|error| errors::throw(env, &error))?;

    let parts = Object::new(env)?;
    define(env, &parts, "native", native_functions(env, &environment.landing, shared, tables)?)?;
    let mut handles = env.create_array(0)?;
    for (handle, function) in reader.functions {
        let mut pair = env.create_array(0)?;
        pair.insert(handle)?;
        pair.insert(function)?;
        handles.insert(pair)?;
    }
    define(env, &parts, "handles", handles)?;
    define(env, &parts, "PostgresError", error_class)?;
    environment.initializer.borrow_back(env)?.call(parts.to_unknown())
}

/// `{ hasSessions, byId, deleteExpired, load, write, start, password, end }`, which hold on to the connections for as
/// long as JavaScript holds on to them.
fn native_functions<'env>(
    env: &'env Env,
    landing: &Arc<Landing>,
    shared: Arc<Shared>,
    tables: Tables,
) -> Result<Object<'env>> {
    let native = Object::new(env)?;
    define(env, &native, "hasSessions", tables.session.is_some())?;
    let store = Arc::new(Store::new(tables, shared.queue().clone()));

    let (to, from) = (store.clone(), landing.clone());
    function(env, &native, "byId", move |call| {
        // Are these the last?; method, form, are they observed?; then for each call its slot and its id.
        const FIRST: usize = 4;
        let (are_last, method, form, are_observed) = (call.get(0)?, method(call.get(1)?)?, call.get(2)?, call.get(3)?);
        let mut calls = Vec::with_capacity(call.length() / 2);
        for at in (FIRST..call.length()).step_by(2) {
            let (slot, Short(id)) = (call.get(at)?, call.get(at + 1)?);
            calls.push((slot, id));
        }
        // From here on nothing may fail: the calls are counted as under way.
        from.begin(call.env, calls.len());
        let caller = from.caller(are_observed);
        let calls = calls.into_iter().map(|(slot, id)| (id, Reply::new(caller.clone(), slot)));
        to.by_id(method, form, calls, are_last);
        Ok(())
    })?;

    let (to, from) = (store.clone(), landing.clone());
    function(env, &native, "deleteExpired", move |call| {
        let (slot, time, is_observed) = (call.get(0)?, call.get(1)?, call.get(2)?);
        let settle = from.settle(call.env, slot, is_observed);
        to.delete_expired(time, settle);
        Ok(())
    })?;

    let to = store.clone();
    function(env, &native, "load", move |_| {
        let load = to.load();
        let counts = [load.max, load.connections, load.idle, load.waiting];
        Ok(counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX)).to_vec())
    })?;

    let started = store.clone();
    function(env, &native, "start", move |_| {
        started.start();
        Ok(())
    })?;

    let from = landing.clone();
    function(env, &native, "write", move |call| {
        let columns: Vec<Vec<String>> = call.get(2)?;
        let mut declared: Vec<u32> = call.get(3)?;
        let [row, key] = {
            let second = declared.split_off(columns.first().map_or(0, Vec::len));
            [(columns.first(), declared), (columns.get(1), second)]
        }
        .map(|(names, declared)| names.map(|names| args::columns(names).map(|columns| Row { columns, declared })));
        let row = row.unwrap_or_else(|| Err(bad("a row is missing")))?;
        let key = key.transpose()?;
        let (method, texts, forms) = (method(call.get(1)?)?, call.get(4)?, call.get(5)?);
        let (slot, is_observed) = (call.get(0)?, call.get(6)?);
        // From here on nothing may fail: the call is counted as under way.
        let settle = from.settle(call.env, slot, is_observed);
        store.write(method, &row, key.as_ref(), texts, forms, settle);
        Ok(())
    })?;

    let from = landing.clone();
    function(env, &native, "password", move |call| {
        let (text, error): (Option<String>, Option<String>) = (call.get(1)?, call.get(2)?);
        from.answer_password(call.get(0)?, text.ok_or_else(|| error.unwrap_or_default()));
        Ok(())
    })?;

    let shared = Mutex::new(Some(shared));
    function(env, &native, "end", move |_| {
        shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    })?;
    Ok(native)
}

/// Gives `native` a function; what panics in it is thrown as an `Error`.
fn function<R: ToNapiValue>(
    env: &Env,
    native: &Object<'_>,
    name: &str,
    act: impl Fn(FunctionCallContext<'_>) -> Result<R> + 'static,
) -> Result<()> {
    let function = env
        .create_function_from_closure::<(), R, _>(name, move |call: FunctionCallContext<'_>| contained(|| act(call)))?;
    define(env, native, name, function)
}

fn method(index: u32) -> Result<Method> {
    Method::from_index(index).ok_or_else(|| bad("there is no such method"))
}
