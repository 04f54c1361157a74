// The errors that methods reject with, as users of `postgres` and of `pg` know them.
"use strict";

(() => {
  class PostgresError extends Error {
    constructor(fields) {
      super(fields.message);
      this.name = "PostgresError";
      Object.assign(this, fields);
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
      : Object.assign(new Error(message, cause ? { cause: createError(cause, Class) } : undefined), { code });
    for (const [name, alias] of Object.entries(ALIASES)) if (fields && name in fields) error[alias] = fields[name];
    if (address !== undefined) error.address = address;
    if (typeof port === "number") error.port = port;
    return error;
  };

  return { createError, postgresError: PostgresError };
})()
