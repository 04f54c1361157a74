//! The one thread on which all connections of the process are served. It lives as long as the process, whichever of
//! Node's threads asked for it first.

use std::{future, sync::OnceLock, thread};

use tokio::runtime::{Builder, Handle};

use crate::pg::error::{Error, code};

static RUNTIME: OnceLock<Result<Handle, String>> = OnceLock::new();

pub fn handle() -> Result<Handle, Error> {
    let started = RUNTIME.get_or_init(|| start().map_err(|error| error.to_string()));
    started.clone().map_err(|text| Error::failure(code::INVALID_OPTIONS, format!("cannot start a thread: {text}")))
}

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("lucia-postgres".to_owned()).spawn(move || {
        runtime.block_on(future::pending::<()>());
    })?;
    Ok(handle)
}
