//! The same settings have the same connections, within a process: a development server that evaluates a module again and
//! again must not open ten more each time.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::pg::{
    chance::Chance,
    connection::{Program, System},
    error::Error,
    queue::{Queue, may_spin},
    runtime,
    settings::Settings,
};

/// A queue, for as long as someone holds it. The last one who lets go ends it.
pub struct Shared {
    queue: Arc<Queue>,
}

impl Shared {
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.destroy();
    }
}

static ALL: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// The queue of these settings, which a new `Shared` begins where nobody holds one. Rejects as [`runtime::handle`]
/// does.
pub fn share(settings: Settings, program: Arc<dyn Program>) -> Result<Arc<Shared>, Error> {
    let started = runtime::handle()?;
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|shared| shared.strong_count() > 0);
    let known = all.iter().filter_map(Weak::upgrade).find(|shared| *shared.queue.settings() == settings);
    Ok(known.unwrap_or_else(|| {
        // A thread that has been started goes on for ever.
        let current = move || runtime::handle().unwrap_or_else(|_| started.clone());
        let queue = Queue::new(settings, program, Arc::new(System), current, Chance::of_the_system(), may_spin());
        let shared = Arc::new(Shared { queue });
        all.push(Arc::downgrade(&shared));
        shared
    }))
}
