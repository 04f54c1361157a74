//! Decoded rows -> JavaScript values, in one flat list: what makes objects of them is `lib/rows.js`.

use std::ptr;

use napi::{Env, Error, Result, bindgen_prelude::check_status, sys};

use crate::pg::{Conversion, Field, Piece, Rows, Values};

/// What `lib/rows.js` does with a value, by number: one of the first, and the others as bits.
pub(super) const CONVERSIONS: [(u32, &str); 6] =
    [(JSON, "Json"), (DATE, "Date"), (LOCAL_DATE, "LocalDate"), (FLOAT, "Float"), (ARRAY, "Array"), (NUMBER, "Number")];

const JSON: u32 = 1;
const DATE: u32 = 2;
const LOCAL_DATE: u32 = 3;
const FLOAT: u32 = 4;
/// Of an array, which is made anew: this side cannot know the realm that asks.
const ARRAY: u32 = 8;
/// After all that, `Number(value)`.
const NUMBER: u32 = 16;

pub(super) fn conversion_number(field: &Field) -> u32 {
    let conversion = match field.conversion {
        Conversion::None => 0,
        Conversion::Json => JSON,
        Conversion::Date => DATE,
        Conversion::LocalDate => LOCAL_DATE,
        Conversion::Float => FLOAT,
    };
    conversion | if field.is_array() { ARRAY } else { 0 } | if field.is_number { NUMBER } else { 0 }
}

/// Appends the values of the row at `index`, column by column.
pub(super) fn push_row(env: &Env, rows: &Rows, index: usize, list: &mut Vec<sys::napi_value>) -> Result<()> {
    let mut values = rows.values(index);
    for _ in &rows.columns().fields {
        list.push(next_value(env, &mut values)?);
    }
    Ok(())
}

fn next_value(env: &Env, values: &mut Values<'_>) -> Result<sys::napi_value> {
    // There are as many pieces as fields and elements.
    let (piece, bytes) = values.next().unwrap_or((Piece::Null, &[]));
    let (raw, data, length) = (env.raw(), bytes.as_ptr().cast(), bytes.len().cast_signed());
    let mut made = ptr::null_mut();
    let result = &raw mut made;
    // SAFETY: `env` is the environment of this thread, and `made` outlives the call. Texts and bytes are copied before
    // the call returns; ASCII is Latin-1, which takes no decoding.
    let status = unsafe {
        match piece {
            Piece::Null => sys::napi_get_null(raw, result),
            Piece::Number(number) => sys::napi_create_double(raw, number, result),
            Piece::Boolean(boolean) => sys::napi_get_boolean(raw, boolean, result),
            Piece::Ascii(_) => sys::napi_create_string_latin1(raw, data, length, result),
            Piece::Text(_) => sys::napi_create_string_utf8(raw, data, length, result),
            Piece::Bytes(size) => sys::napi_create_buffer_copy(raw, size, data.cast(), ptr::null_mut(), result),
            Piece::Array(count) => sys::napi_create_array_with_length(raw, count, result),
        }
    };
    if status != sys::Status::napi_ok && matches!(piece, Piece::Ascii(_) | Piece::Text(_)) {
        return Err(Error::from_reason("a text is longer than a string of JavaScript's can be"));
    }
    check_status!(status)?;
    if let Piece::Array(count) = piece {
        for index in (0u32..).take(count) {
            let value = next_value(env, values)?;
            // SAFETY: both values are of this environment and of the handle scope that is open.
            check_status!(unsafe { sys::napi_set_element(raw, made, index, value) })?;
        }
    }
    Ok(made)
}

pub(super) fn number(env: &Env, number: impl Into<f64>) -> Result<sys::napi_value> {
    let mut result = ptr::null_mut();
    // SAFETY: `env` is the environment of this thread, and `result` outlives the call.
    check_status!(unsafe { sys::napi_create_double(env.raw(), number.into(), &raw mut result) })?;
    Ok(result)
}

pub(super) fn string(env: &Env, text: &str) -> Result<sys::napi_value> {
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
