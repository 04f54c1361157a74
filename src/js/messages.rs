//! The messages by which `settle` of `lib/completions.js` is told what has happened, as one flat list of values.

use std::{
    collections::HashMap,
    ptr,
    sync::{Arc, Weak},
};

use napi::{Env, Result, sys};

use super::{
    errors,
    rows::{self, conversion_number},
};
use crate::pg::{Answer, Columns, Error, Login, Rows, Trace};

/// The kinds of messages, each with what follows its number in the list.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// slot, rows that were changed
    Done,
    /// slot, shape, rows, the values of each
    Rows,
    /// as `Rows`, with more to follow
    Part,
    /// slot, count, forms
    Forms,
    /// slot, message, SQLSTATE
    Lucia,
    /// slot, description
    Database,
    /// number, columns of the first table, columns, names, conversions
    Shape,
    /// reply, function, host, port, user, database, milliseconds until it is too late or `Infinity`
    Password,
    /// function, description
    Notice,
    /// slot, text
    Text,
    /// retries, batch: of the observed calls that follow
    Observed,
    /// values that those of the next list follow
    Piece,
}

/// By which names `lib/completions.js` knows them.
pub(super) const KINDS: [(Kind, &str); 12] = [
    (Kind::Done, "Done"),
    (Kind::Rows, "Rows"),
    (Kind::Part, "Part"),
    (Kind::Forms, "Forms"),
    (Kind::Lucia, "Lucia"),
    (Kind::Database, "Database"),
    (Kind::Shape, "Shape"),
    (Kind::Password, "Password"),
    (Kind::Notice, "Notice"),
    (Kind::Text, "Text"),
    (Kind::Observed, "Observed"),
    (Kind::Piece, "Piece"),
];

/// A function call takes its arguments on the stack: a list is handed over before it is longer than this.
const LIST: usize = 4096;

/// The list that `settle` is called with next.
pub(super) struct Messages<'a> {
    env: &'a Env,
    settle: sys::napi_value,
    /// The shapes that `lib/completions.js` knows.
    introduced: &'a mut HashMap<u64, Weak<Columns>>,
    values: Vec<sys::napi_value>,
    /// Where the message that is being written began.
    first: usize,
    /// The last shape of rows, and its number's value.
    shape: Option<(u64, sys::napi_value)>,
    /// What has been told last of how calls were sent.
    trace: Option<Trace>,
    /// The value of each kind that has been told of.
    kinds: [Option<sys::napi_value>; KINDS.len()],
}

impl<'a> Messages<'a> {
    /// `values` is empty: its memory is used.
    pub(super) fn new(
        env: &'a Env,
        settle: sys::napi_value,
        introduced: &'a mut HashMap<u64, Weak<Columns>>,
        values: Vec<sys::napi_value>,
    ) -> Self {
        Self { env, settle, introduced, values, first: 0, shape: None, trace: None, kinds: [None; KINDS.len()] }
    }

    /// Calls `settle` with what is left, and gives the memory back.
    pub(super) fn finish(mut self) -> Vec<sys::napi_value> {
        self.hand_over();
        self.values
    }

    /// A message is written next: what is written of it can be withdrawn.
    pub(super) fn begin(&mut self) {
        self.hand_over_if_long();
        self.first = self.values.len();
    }

    /// Takes back what has been written of a message.
    pub(super) fn withdraw(&mut self) {
        self.values.truncate(self.first);
        self.clear_exception();
    }

    /// How the observed calls were sent that the next messages are about. Those of one statement were sent alike.
    pub(super) fn observed(&mut self, trace: Trace) -> Result<()> {
        if self.trace == Some(trace) {
            return Ok(());
        }
        self.start(Kind::Observed)?;
        self.number(trace.sent.saturating_sub(1))?;
        self.number(trace.batch)?;
        // What follows may be withdrawn without it.
        self.first = self.values.len();
        self.trace = Some(trace);
        Ok(())
    }

    pub(super) fn password(&mut self, reply: u32, function: u32, login: &Login) -> Result<()> {
        self.start(Kind::Password)?;
        self.number(reply)?;
        self.number(function)?;
        self.string(&login.host)?;
        self.number(login.port)?;
        self.string(&login.user)?;
        self.string(&login.database)?;
        self.number(login.limit.map_or(f64::INFINITY, |limit| limit.as_secs_f64() * 1000.0))
    }

    pub(super) fn notice(&mut self, function: u32, notice: &Error) -> Result<()> {
        self.start(Kind::Notice)?;
        self.number(function)?;
        self.values.push(errors::description(self.env, notice)?);
        Ok(())
    }

    pub(super) fn settled(&mut self, slot: u32, outcome: std::result::Result<Answer, Error>) -> Result<()> {
        match outcome {
            Ok(Answer::Done(changed)) => {
                self.start(Kind::Done)?;
                self.number(slot)?;
                self.count_u64(changed)
            }
            Ok(Answer::Rows(rows)) => self.rows(slot, &rows),
            Ok(Answer::Text(text)) => {
                self.start(Kind::Text)?;
                self.number(slot)?;
                self.string(&text)
            }
            Ok(Answer::Forms(forms)) => {
                self.start(Kind::Forms)?;
                self.number(slot)?;
                self.count(forms.len())?;
                #[expect(clippy::cast_precision_loss, reason = "an OID has 32 bits")]
                forms.into_iter().try_for_each(|form| self.number(form as f64))
            }
            Err(error) => self.rejected(slot, &error),
        }
    }

    pub(super) fn rejected(&mut self, slot: u32, error: &Error) -> Result<()> {
        if let Some(message) = error.told() {
            self.start(Kind::Lucia)?;
            self.number(slot)?;
            self.string(message)?;
            return self.string(error.code());
        }
        self.start(Kind::Database)?;
        self.number(slot)?;
        self.values.push(errors::description(self.env, error)?);
        Ok(())
    }

    fn rows(&mut self, slot: u32, rows: &Rows) -> Result<()> {
        let columns = rows.columns();
        if columns.fields.is_empty() {
            columns.give_up();
            return Err(napi::Error::from_reason("its rows have no columns"));
        }
        let shape = match self.shape {
            Some((number, shape)) if number == columns.number => shape,
            _ => self.introduce(columns)?,
        };
        let in_one_part = (LIST / columns.fields.len()).max(1);
        let parts = rows.len().div_ceil(in_one_part).max(1);
        for part in 0..parts {
            let indexes = part * in_one_part..((part + 1) * in_one_part).min(rows.len());
            self.start(if part + 1 < parts { Kind::Part } else { Kind::Rows })?;
            self.number(slot)?;
            self.values.push(shape);
            self.count(indexes.len())?;
            for index in indexes {
                rows::push_row(self.env, rows, index, &mut self.values)?;
            }
            self.hand_over_if_long();
        }
        Ok(())
    }

    /// Tells of a shape, unless it is known, and gives the value that it is known by.
    fn introduce(&mut self, columns: &Arc<Columns>) -> Result<sys::napi_value> {
        if !self.introduced.contains_key(&columns.number) {
            self.start(Kind::Shape)?;
            self.count_u64(columns.number)?;
            self.count(columns.first_table())?;
            self.count(columns.fields.len())?;
            for field in &columns.fields {
                self.string(&field.name)?;
            }
            for field in &columns.fields {
                self.number(conversion_number(field))?;
            }
            // What follows may be withdrawn without the shape.
            self.first = self.values.len();
            self.introduced.insert(columns.number, Arc::downgrade(columns));
        }
        #[expect(clippy::cast_precision_loss, reason = "there are no 2^53 statements")]
        let shape = rows::number(self.env, columns.number as f64)?;
        self.shape = Some((columns.number, shape));
        Ok(shape)
    }

    fn start(&mut self, kind: Kind) -> Result<()> {
        let known = self.kinds[kind as usize];
        let value = known.map_or_else(|| rows::number(self.env, kind as u32), Ok)?;
        self.kinds[kind as usize] = Some(value);
        self.values.push(value);
        Ok(())
    }

    fn number(&mut self, number: impl Into<f64>) -> Result<()> {
        self.values.push(rows::number(self.env, number)?);
        Ok(())
    }

    fn count(&mut self, count: usize) -> Result<()> {
        self.count_u64(count as u64)
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing is counted here that has 2^53 of it")]
    fn count_u64(&mut self, count: u64) -> Result<()> {
        self.number(count as f64)
    }

    fn string(&mut self, text: &str) -> Result<()> {
        self.values.push(rows::string(self.env, text)?);
        Ok(())
    }

    fn hand_over_if_long(&mut self) {
        if self.values.len() >= LIST {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let mut rest = &self.values[..];
        // One row may be longer than the arguments of a call.
        while let Some((piece, behind)) = rest.split_at_checked(LIST).filter(|_| rest.len() > 2 * LIST) {
            if let Ok(kind) = rows::number(self.env, Kind::Piece as u32) {
                self.call(&[&[kind], piece].concat());
            }
            rest = behind;
        }
        if !rest.is_empty() {
            self.call(rest);
        }
        self.values.clear();
        self.first = 0;
    }

    fn call(&self, values: &[sys::napi_value]) {
        let (env, mut receiver) = (self.env.raw(), ptr::null_mut());
        // SAFETY: all values are of this environment and of the handle scope that Node opened for this callback. What
        // `settle` returns is of no interest.
        unsafe {
            sys::napi_get_undefined(env, &raw mut receiver);
            sys::napi_call_function(env, receiver, self.settle, values.len(), values.as_ptr(), ptr::null_mut());
        }
        self.clear_exception();
    }

    /// While an exception is pending nothing can be called. `settle` throws none of its own.
    fn clear_exception(&self) {
        let (env, mut exception) = (self.env.raw(), ptr::null_mut());
        // SAFETY: called on the thread of this environment.
        unsafe { sys::napi_get_and_clear_last_exception(env, &raw mut exception) };
    }
}

#[cfg(test)]
mod tests {
    use super::KINDS;

    #[test]
    fn the_table_of_kinds_is_in_the_order_of_their_declaration() {
        for (index, (kind, name)) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{name}");
        }
    }
}
