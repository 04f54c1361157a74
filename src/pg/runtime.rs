//! The one thread on which all connections of the process are served. It lives as long as the process, whichever of
//! Node's threads asked for it first.

use std::{
    future, io,
    sync::{Mutex, PoisonError},
    thread,
};

use tokio::runtime::{Builder, Handle};

use crate::pg::{error::Error, io_code::io_code};

/// The handle of the thread, once one has started; a thread that could not be started is tried again by the next `handle`.
static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);

/// Address space, of which what is used takes memory. Types that lead to others take a level of the stack each, as many as
/// a statement may take answers (`not_endless`): 4 KiB unoptimised. `RUST_MIN_STACK` is not asked: a stack that is too small ends
/// the process.
const STACK: usize = 32 << 20;

/// The handle of the one thread, which the first call starts. Rejects with the system's code, `EAGAIN` say, when no
/// thread can be started; the next call tries again.
pub fn handle() -> Result<Handle, Error> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*runtime {
        return Ok(handle.clone());
    }
    let handle = start().map_err(|error| Error::failure(io_code(&error), format!("cannot start a thread: {error}")))?;
    Ok(runtime.insert(handle).clone())
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("lucia-postgres".to_owned()).stack_size(STACK).spawn(move || {
        runtime.block_on(future::pending::<()>());
    })?;
    Ok(handle)
}
