// Changes by rows. The server tells the types of their parameters once; then texts are made for these, and sent.
"use strict";

const { release, take } = require("./calls.js");
const { unknownForm } = require("./constants.js");
const { createError, invalidAnswer, ofThisRealm } = require("./errors.js");
const { inferType, serialize, undefinedValue } = require("./parameter.js");

/** The protocol counts a statement's parameters in 16 bits; one is left for the id. */
const MOST_PARAMETERS = 65_534;
/** For how many combinations of columns an adapter keeps the statement and the types of its parameters. */
const KEPT = 500;
/** How often the types of parameters may change before a call has been sent. */
const MOST_ATTEMPTS = 5;

/** The names and values of a row's columns, read once. */
const readRow = (row) => {
  const columns = Object.keys(row);
  const values = columns.map((column) => row[column]);
  const missing = values.indexOf(undefined);
  if (missing >= 0) throw undefinedValue(columns[missing]);
  return { columns, values };
};

const firstForm = (value, declared) => {
  if (value === null || ["string", "number", "bigint"].includes(typeof value)) return 0;
  return declared || unknownForm;
};

/** The writing half of one adapter. */
const createWriter = (connection, LuciaError) => {
  const kept = new Map();

  const sender = (index, columns, declared) => {
    try {
      return connection.write(index, columns, declared);
    } catch (error) {
      // A column without a name.
      throw ofThisRealm(error);
    }
  };

  /** What sends these columns, and the forms that the server has told. */
  const statementOf = (index, columns, declared) => {
    const key = JSON.stringify([index, columns, declared]);
    const known = kept.get(key);
    if (known) return known;
    const made = { send: sender(index, columns, declared), forms: undefined };
    if (kept.size >= KEPT) kept.clear();
    kept.set(key, made);
    return made;
  };

  return async ({ index, name, gives }, trace, rows, id) => {
    const columns = rows.map((row) => row.columns);
    const values = rows.flatMap((row) => row.values);
    if (columns.some((ofRow) => ofRow.length === 0)) throw new TypeError(`${name}: a row must have a column at least`);
    if (values.length > MOST_PARAMETERS) {
      throw createError({
        message: `MAX_PARAMETERS_EXCEEDED: ${name}: a statement takes ${MOST_PARAMETERS} values at most`,
        code: "MAX_PARAMETERS_EXCEEDED",
      });
    }
    const declared = values.map(inferType);
    if (id !== undefined) values.push(id);
    const statement = statementOf(index, columns, declared);
    let forms = statement.forms ?? values.map((value, at) => firstForm(value, declared[at]));
    let isFresh = false;
    connection.started();
    try {
      for (let attempt = 1; ; attempt++) {
        let sent = forms;
        let texts;
        try {
          texts = values.map((value, at) =>
            (value === null || sent[at] === unknownForm ? null : serialize(value, sent[at])));
        } catch (error) {
          if (isFresh) throw error;
          // The column may be of another type by now, for which the value is a good one.
          sent = values.map(() => unknownForm);
          texts = values.map(() => null);
        }
        forms = await new Promise((resolve) => {
          const slot = take(resolve, connection, LuciaError, gives, trace);
          try {
            statement.send(slot, trace !== undefined, texts, sent);
          } catch (error) {
            release(slot);
            throw ofThisRealm(error);
          }
        });
        // Nothing: the change is made. Else the server has told the forms that the parameters are to have.
        if (forms === undefined) {
          // The statement counts the rows of the last table alone.
          if (trace) trace.rows *= rows.length;
          return;
        }
        if (forms.length !== values.length) {
          throw invalidAnswer(`a statement of ${values.length} parameters has ${forms.length}`);
        }
        if (attempt === MOST_ATTEMPTS) throw invalidAnswer("the types of columns change faster than they are written");
        statement.forms = forms;
        isFresh = true;
      }
    } finally {
      connection.settled();
    }
  };
};

module.exports = { createWriter, readRow };
