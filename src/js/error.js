// The errors that methods reject with, as users of `postgres` and of `pg` know them.
"use strict";

(() => {
  /** Gives own properties, whatever the prototype has in their place: a setter, or one that is frozen. */
  const define = (object, properties) => {
    for (const [name, value] of Object.entries(properties)) {
      Object.defineProperty(object, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
    }
    return object;
  };

  class PostgresError extends Error {
    constructor(fields) {
      super(fields.message);
      define(this, { name: "PostgresError", ...fields });
    }
  }

  /** `pg` leaves `_name` away. */
  const ALIASES = {
    schema_name: "schema",
    table_name: "table",
    column_name: "column",
    constraint_name: "constraint",
    "data type_name": "dataType",
    internal_position: "internalPosition",
    internal_query: "internalQuery",
  };

  /** `fields` are there when it is the server that refused. */
  const createError = ({ message, code, fields, address, port, cause }, Class = PostgresError) => {
    const error = fields
      ? new Class({ message, ...fields })
      : define(new Error(message, cause ? { cause: createError(cause, Class) } : undefined), { code });
    for (const [name, alias] of Object.entries(ALIASES)) {
      if (fields && Object.hasOwn(fields, name)) define(error, { [alias]: fields[name] });
    }
    if (address !== undefined) define(error, { address });
    if (typeof port === "number") define(error, { port });
    return error;
  };

  /** `cause` is what is wrong with an answer of the server's. */
  const invalidAnswer = (cause) =>
    define(createError({ message: `the server's answer cannot be used: ${cause?.message ?? cause}`, code: "INVALID_ANSWER" }), { cause });

  return { define, invalidAnswer, createError, postgresError: PostgresError };
})()
