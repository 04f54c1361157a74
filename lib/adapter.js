// The methods of an adapter, made from the table of methods: a plain object of functions that use no `this`.
"use strict";

const { take } = require("./calls.js");
const { define, describe, invalidAnswer } = require("./errors.js");
const { observable } = require("./observe.js");
const { serialize } = require("./parameter.js");
const { createWriter, readRow } = require("./write.js");

/** In UTF-8 a character of JavaScript's takes three bytes at most. */
const LONGEST_ID = 2 ** 28;
/** How often the type of an id may change before a call has been sent. */
const MOST_ATTEMPTS = 5;

const checkId = (name, id) => {
  if (typeof id !== "string") throw new TypeError(`${name}: the id must be a string, not ${describe(id)}`);
  if (id.length > LONGEST_ID) throw new TypeError(`${name}: the id is too long: a value has less than 1 GB in PostgreSQL`);
};

const checkRow = (name, what, row) => {
  if (typeof row === "object" && row !== null && !Array.isArray(row)) return;
  throw new TypeError(`${name}: ${what} must be an object of column names and values, not ${describe(row)}`);
};

const missingTable = () => new Error("Session table not defined");

const textOf = (id, form) => {
  try {
    return serialize(id, form);
  } catch {
    // The id is no date, say. The server refuses the text as it is, or the column has another type by now, and takes it.
    return id;
  }
};

/** A method that takes an id. */
const byId = (connection, LuciaError, { index, name, gives }) => {
  let form = 0;
  // An id column whose texts have rules of their own (`bytea`, say) is found out by the first call.
  const again = ({ id, trace, attempt }, forms) => {
    if (attempt === MOST_ATTEMPTS) throw invalidAnswer("the type of the id changes faster than it can be written");
    if (forms.length !== 1) throw invalidAnswer(`a statement of one parameter has ${forms.length}`);
    [form] = forms;
    return send(id, trace, attempt + 1);
  };
  const send = (id, trace, attempt) =>
    new Promise((resolve) => {
      const slot = take(resolve, connection, LuciaError, gives, trace, again, id, attempt);
      connection.byId(index, form, trace !== undefined, slot, form === 0 ? id : textOf(id, form));
    });
  return (id, _, trace) => {
    try {
      connection.checkOpen();
      checkId(name, id);
    } catch (error) {
      return Promise.reject(error);
    }
    return send(id, trace, 1);
  };
};

/** Makes a method, by what it takes (`Takes` in `src/lucia/method.rs`). */
const takes = {
  Id: (connection, LuciaError, _, method) => byId(connection, LuciaError, method),
  Change: (connection, _, write, method) => async (id, change, trace) => {
    connection.checkOpen();
    checkId(method.name, id);
    checkRow(method.name, "the second argument", change);
    const row = readRow(change);
    // No column to set: there is nothing to do.
    if (row.columns.length > 0) await write(method, trace, [row], id);
  },
  Row: (connection, _, write, method) => async (row, __, trace) => {
    connection.checkOpen();
    checkRow(method.name, "the argument", row);
    await write(method, trace, [readRow(row)]);
  },
  UserAndKey: (connection, _, write, method) => async (user, key, trace) => {
    connection.checkOpen();
    checkRow(method.name, "the user", user);
    if (key) checkRow(method.name, "the key", key);
    await write(method, trace, key ? [readRow(user), readRow(key)] : [readRow(user)]);
  },
};

/**
 * @param {import("../binding.js").Method[]} methods of one version of Lucia
 * @param {Record<string, unknown>} give what a method resolves to, by its entry in the table
 */
const createMethods = (connection, LuciaError, methods, give) => {
  const write = createWriter(connection, LuciaError);
  const made = {};
  const { tables } = connection;
  const missing = () => Promise.reject(missingTable());
  for (const method of methods) {
    const what = { method: method.name, table: tables[method.table], ...connection.server };
    const call = takes[method.takes](connection, LuciaError, write, { ...method, gives: give[method.gives] });
    define(made, { [method.name]: observable(what, LuciaError, what.table === null ? missing : call) });
  }
  return made;
};

/** Deletes the sessions that Lucia takes for dead at the time that `now` tells, as the statement takes it. */
const createDeletion = (connection, gives, now) => {
  const table = connection.tables.session;
  return observable({ method: "deleteExpiredSessions", table, ...connection.server }, undefined, async (_, __, trace) => {
    connection.checkOpen();
    if (table === null) throw missingTable();
    return await new Promise((resolve) => {
      const slot = take(resolve, connection, undefined, gives, trace);
      connection.deleteExpired(slot, now(), trace !== undefined);
    });
  });
};

module.exports = { createDeletion, createMethods };
