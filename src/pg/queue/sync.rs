//! What two threads share: std's mutex and flag. In tests another thread may go on before and after each use of them, where an
//! exploration of interleavings has it so.

#[cfg(test)]
pub use explored::explore;
#[cfg(test)]
pub(super) use explored::{AtomicBool, Mutex, MutexGuard};
#[cfg(not(test))]
pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

#[cfg(test)]
mod explored {
    use std::{
        cell::Cell,
        ops::{Deref, DerefMut},
        sync::{self, LockResult, PoisonError, TryLockError, atomic},
        thread,
    };

    thread_local! {
        static IS_EXPLORED: Cell<bool> = const { Cell::new(false) };
    }

    /// While this is run, by shuttle, each use of a mutex or a flag may let another of shuttle's threads go on.
    pub fn explore(run: impl FnOnce()) {
        IS_EXPLORED.set(true);
        run();
        IS_EXPLORED.set(false);
    }

    fn switch() {
        if IS_EXPLORED.get() && !thread::panicking() {
            shuttle::thread::yield_now();
        }
    }

    pub struct Mutex<T>(sync::Mutex<T>);

    /// The mutex is unlocked before the other thread goes on: fields are dropped in this order.
    pub struct MutexGuard<'a, T> {
        locked: sync::MutexGuard<'a, T>,
        _after: Switch,
    }

    struct Switch;

    impl Drop for Switch {
        fn drop(&mut self) {
            switch();
        }
    }

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            let locked = |locked| MutexGuard { locked, _after: Switch };
            if !IS_EXPLORED.get() {
                return self.0.lock().map(locked).map_err(|error| PoisonError::new(locked(error.into_inner())));
            }
            loop {
                switch();
                match self.0.try_lock() {
                    Ok(found) => return Ok(locked(found)),
                    Err(TryLockError::Poisoned(error)) => return Err(PoisonError::new(locked(error.into_inner()))),
                    // Another of shuttle's threads has it, all of which are this one.
                    Err(TryLockError::WouldBlock) => {}
                }
            }
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.locked
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.locked
        }
    }

    pub struct AtomicBool(atomic::AtomicBool);

    impl AtomicBool {
        pub fn new(value: bool) -> Self {
            Self(atomic::AtomicBool::new(value))
        }

        pub fn load(&self, order: atomic::Ordering) -> bool {
            switch();
            self.0.load(order)
        }

        pub fn store(&self, value: bool, order: atomic::Ordering) {
            switch();
            self.0.store(value, order);
        }
    }
}
