//! libFuzzer gives bytes to the parser that `FUZZ_TARGET` names.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the floors above `pg` are not here")]

use std::{env, sync::LazyLock};

use libfuzzer_sys::fuzz_target;

#[path = "../../src/pg/mod.rs"]
mod pg;

static TARGET: LazyLock<pg::fuzz::Target> = LazyLock::new(|| {
    let wanted = env::var("FUZZ_TARGET").unwrap_or_default();
    let found = pg::fuzz::TARGETS.iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET names no parser: {wanted:?}")).1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
