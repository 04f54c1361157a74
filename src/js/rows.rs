//! Values of rows -> JavaScript values, in one flat list: what makes objects of them is `adapter.js`.

use std::ptr;

use napi::{Env, Result, bindgen_prelude::check_status, sys};

use crate::pg::{
    execute::Rows,
    row::{self, Conversion},
    statement::Columns,
    value::{Malformed, Value},
};

/// The number by which `adapter.js` knows a conversion.
pub fn conversion_number(conversion: Conversion) -> u32 {
    match conversion {
        Conversion::None => 0,
        Conversion::Json => 1,
        Conversion::Date => 2,
        Conversion::LocalDate => 3,
        Conversion::Float => 4,
    }
}

/// The name of the first column whose bytes are not what its type allows.
pub fn find_malformed(rows: &Rows) -> Option<&str> {
    let Columns { fields, .. } = &*rows.columns;
    rows.rows.iter().find_map(|row| {
        fields.iter().enumerate().find_map(|(index, field)| {
            let bytes = row::bytes(row, rows.columns.server_index(index))?;
            field.reading.read(bytes).is_err().then_some(field.name.as_str())
        })
    })
}

/// Appends the values of the row at `index`, column by column.
pub fn push_row(env: &Env, rows: &Rows, index: usize, list: &mut Vec<sys::napi_value>) -> Result<()> {
    let row = &rows.rows[index];
    for (at, field) in rows.columns.fields.iter().enumerate() {
        let value = match row::bytes(row, rows.columns.server_index(at)) {
            None => Ok(field.reading.null()),
            Some(bytes) => field.reading.read(bytes),
        };
        list.push(value_of(env, &value.unwrap_or(Value::Null))?);
    }
    Ok(())
}

fn value_of(env: &Env, value: &Value<'_>) -> Result<sys::napi_value> {
    match value {
        Value::Null => null(env),
        Value::Boolean(boolean) => {
            let mut result = ptr::null_mut();
            // SAFETY: `env` is the environment of this thread, and `result` outlives the call.
            check_status!(unsafe { sys::napi_get_boolean(env.raw(), *boolean, &raw mut result) })?;
            Ok(result)
        }
        Value::Number(number) => self::number(env, *number),
        Value::Text(text) => string(env, text),
        Value::Made(text) => string(env, text),
        Value::Bytes(bytes) => {
            let mut result = ptr::null_mut();
            // SAFETY: the bytes are copied before the call returns; where they are put is of no interest here.
            check_status!(unsafe {
                sys::napi_create_buffer_copy(
                    env.raw(),
                    bytes.len(),
                    bytes.as_ptr().cast(),
                    ptr::null_mut(),
                    &raw mut result,
                )
            })?;
            Ok(result)
        }
        Value::Array(values) => {
            let mut array = ptr::null_mut();
            // SAFETY: as above.
            check_status!(unsafe { sys::napi_create_array_with_length(env.raw(), values.len(), &raw mut array) })?;
            for (index, value) in (0u32..).zip(values) {
                let value = value_of(env, value)?;
                // SAFETY: both values are of this environment and of the handle scope that is open.
                check_status!(unsafe { sys::napi_set_element(env.raw(), array, index, value) })?;
            }
            Ok(array)
        }
    }
}

pub fn null(env: &Env) -> Result<sys::napi_value> {
    let mut result = ptr::null_mut();
    // SAFETY: `env` is the environment of this thread, and `result` outlives the call.
    check_status!(unsafe { sys::napi_get_null(env.raw(), &raw mut result) })?;
    Ok(result)
}

pub fn number(env: &Env, number: impl Into<f64>) -> Result<sys::napi_value> {
    let mut result = ptr::null_mut();
    // SAFETY: `env` is the environment of this thread, and `result` outlives the call.
    check_status!(unsafe { sys::napi_create_double(env.raw(), number.into(), &raw mut result) })?;
    Ok(result)
}

pub fn string(env: &Env, text: &str) -> Result<sys::napi_value> {
    let mut result = ptr::null_mut();
    let length = text.len().cast_signed();
    // SAFETY: the text is copied before the call returns. ASCII is Latin-1, which takes no decoding.
    check_status!(unsafe {
        if text.is_ascii() {
            sys::napi_create_string_latin1(env.raw(), text.as_ptr().cast(), length, &raw mut result)
        } else {
            sys::napi_create_string_utf8(env.raw(), text.as_ptr().cast(), length, &raw mut result)
        }
    })?;
    Ok(result)
}

impl From<Malformed> for napi::Error {
    fn from(Malformed: Malformed) -> Self {
        Self::from_reason("the server's bytes are not what their type allows")
    }
}
