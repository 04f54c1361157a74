// The errors that methods reject with, as users of `postgres` and of `pg` know them.
"use strict";

/** Gives own properties, whatever the prototype has in their place: a setter, or one that is frozen. */
const define = (object, properties) => {
  for (const [name, value] of Object.entries(properties)) {
    /** @type {object} */
    const descriptor = { __proto__: null, value, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(object, name, descriptor);
  }
  return object;
};

class PostgresError extends Error {
  constructor(fields) {
    super(fields.message);
    define(this, { name: "PostgresError", ...fields });
  }
}

/** The names that `pg` has for fields, beside those of `postgres`. */
const ALIASES = {
  schema_name: "schema",
  table_name: "table",
  column_name: "column",
  constraint_name: "constraint",
  "data type_name": "dataType",
  internal_position: "internalPosition",
  internal_query: "internalQuery",
};

/**
 * Makes an error of what the native side says of it.
 *
 * @typedef {{ message: string, code: string, fields?: object, address?: string, port?: number, cause?: Description, thrown?: number }} Description
 *   `fields` are there when it is the server that refused, `thrown` when a function of the program's did
 * @param {Description} description
 * @param {{ PostgresError: new (fields: object) => Error, thrown?: Map<number, unknown> }} [owner] whose class the server's errors
 *   have, and what its functions have thrown
 */
const createError = ({ message, code, fields, address, port, cause, thrown }, owner = { PostgresError }) => {
  const error = fields ? new owner.PostgresError({ message, ...fields }) : define(new Error(message, causeOf(cause, thrown, owner)), { code });
  for (const [name, alias] of Object.entries(ALIASES)) {
    if (fields && Object.hasOwn(fields, name)) define(error, { [alias]: fields[name] });
  }
  if (address !== undefined) define(error, { address });
  if (typeof port === "number") define(error, { port });
  return error;
};

/** The options of an error: its cause, where it has one. */
const causeOf = (cause, thrown, owner) => {
  if (cause) return { cause: createError(cause, owner) };
  return owner.thrown?.has(thrown) ? { cause: owner.thrown.get(thrown) } : undefined;
};

/** `INVALID_ANSWER`, whose `cause` is what is wrong with the server's answer. */
const invalidAnswer = (cause) =>
  define(createError({ message: `the server's answer cannot be used: ${cause?.message ?? cause}`, code: "INVALID_ANSWER" }), { cause });

/**
 * What a native function gave, unless it is the description of an error, which is thrown.
 *
 * @template T
 * @param {T & { refused?: any }} given
 * @returns {T}
 */
const unlessRefused = (given) => {
  const refused = given.refused;
  if (refused === undefined) return given;
  throw refused.code === undefined ? new TypeError(refused.message) : createError(refused);
};

/** What a native function has thrown, as an error of this realm. */
const ofThisRealm = ({ message, code }) => (code === "InvalidArg" ? new TypeError(message) : new Error(message));

/** What is not what it should be, in an error's words. */
const describe = (value) => {
  if (value === null) return "null";
  if (value === undefined) return "undefined";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
};

module.exports = { PostgresError, createError, define, describe, invalidAnswer, ofThisRealm, unlessRefused };
