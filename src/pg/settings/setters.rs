//! What the setters of several options have in common.

use super::{
    password::{Password, Secret},
    stated::Stated,
    value::{OptionValue, Problem},
};

pub(super) fn set<T>(place: &mut Option<T>, value: Result<T, Problem>) -> Result<(), Problem> {
    *place = Some(value?);
    Ok(())
}

/// No server can have more (`MAX_BACKENDS`), and the pool makes room for all of them at once.
const MOST_CONNECTIONS: usize = 262_143;

pub(super) fn connections(value: &OptionValue) -> Result<usize, Problem> {
    let max = value.positive()?;
    if max > MOST_CONNECTIONS {
        return Err(Problem::expected("must be a positive integer up to 262143, which no server exceeds"));
    }
    Ok(max)
}

/// How a peer that says nothing is asked whether it is there. As in libpq, 0 leaves it as it is by itself.
pub(super) fn set_probing<T>(place: &mut Option<T>, value: &OptionValue, of: fn(u64) -> T) -> Result<(), Problem> {
    match value.text()?.parse() {
        Ok(0) => Ok(()),
        Ok(number) => set(place, Ok(of(number))),
        Err(_) => Err(Problem::expected("must be an integer, 0 or more")),
    }
}

pub(super) fn password(stated: &mut Stated, value: &OptionValue) -> Result<(), Problem> {
    let password = match value {
        OptionValue::Text(_) => Password::Text(Secret(value.text()?)),
        OptionValue::Function(handle) => Password::Asked(*handle),
        _ => {
            return Err(Problem::refused("must be a string, or a function that returns it or a promise of it"));
        }
    };
    set(&mut stated.password, Ok(password))
}

pub(super) fn set_session(stated: &mut Stated, name: &str, value: &OptionValue) -> Result<(), Problem> {
    stated.set_session(name, value.text()?);
    Ok(())
}

/// Some member is neither `undefined` nor an object without any such member.
pub(super) fn sets_something(value: &OptionValue) -> bool {
    match value {
        OptionValue::Undefined | OptionValue::Boolean(false) => false,
        OptionValue::Map(members) => members.iter().any(|(_, value)| sets_something(value)),
        _ => true,
    }
}
