//! What one evaluation of `lib/` has of the addon. A test runner evaluates `lib/` in a realm for each file, though the
//! binary is loaded once for all of them.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
};

use napi::{Env, Result, sys};

use super::{delivery::Delivery, errors::Refusal, object::contained, settle::Settle};

pub(super) struct Instance {
    settle: Rc<Settle>,
    delivery: RefCell<Weak<Delivery>>,
}

impl Instance {
    /// `settle` is called with lists of what has happened (`Kind`).
    pub(super) fn new(env: &Env, settle: sys::napi_value) -> Result<Rc<Self>> {
        let settle = Rc::new(Settle::new(env, settle)?);
        let instance = Rc::new(Self { settle, delivery: RefCell::default() });
        env.add_env_cleanup_hook(Rc::downgrade(&instance), |ending: Weak<Self>| {
            // There is nobody left to tell of a panic.
            let _ = contained(|| {
                if let Some(delivery) = ending.upgrade().and_then(|instance| instance.delivery.borrow().upgrade()) {
                    delivery.abandon();
                }
                Ok(())
            });
        })?;
        Ok(instance)
    }

    /// A value of rows of this shape had no meaning: their statement is to be described again.
    pub(super) fn give_up(&self, shape: u32) {
        if let Some(delivery) = self.delivery.borrow().upgrade() {
            delivery.give_up(u64::from(shape));
        }
    }

    /// The open delivery; the first adapter opens one, as the next does when all have ended.
    pub(super) fn delivery(&self, env: &Env) -> std::result::Result<Rc<Delivery>, Refusal> {
        let open = self.delivery.borrow().upgrade().filter(|delivery| delivery.is_open());
        if let Some(delivery) = open {
            return Ok(delivery);
        }
        let delivery = Delivery::open(env, &self.settle)?;
        self.delivery.replace(Rc::downgrade(&delivery));
        Ok(delivery)
    }
}
