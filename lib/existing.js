// The argument `connection`: a connection string, options, or what an existing `postgres` instance or `pg.Pool` was made with.
"use strict";

const { describe } = require("./errors.js");

const defined = (options) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** Own properties alone: what a program has put on `Object.prototype` is no option. Those of a pool are not all enumerable. */
const own = (options) => Object.create(null, Object.getOwnPropertyDescriptors(options));

const ofPostgres = ({ options: given, PostgresError }) => {
  const options = own(given);
  if (options.socket) {
    throw new TypeError("connection: a `postgres` instance with the option `socket` cannot be used here; give a connection string");
  }
  const { host, port, path, database, user, pass, ssl, max, idle_timeout, connect_timeout, keep_alive } = options;
  const { max_lifetime, max_pipeline, prepare, sslnegotiation, target_session_attrs, onnotice } = options;
  return {
    PostgresError,
    options: defined({
      ...(path ? { path } : { host, port }),
      database,
      username: user,
      password: pass,
      ssl,
      max,
      idle_timeout,
      connect_timeout,
      keep_alive,
      // The default of `postgres` is a function, which gives a time of the range that is the default here.
      max_lifetime: typeof max_lifetime === "function" ? undefined : max_lifetime,
      max_pipeline,
      // `true` is the default of `postgres`: it does not say that there is no pooler.
      prepare: prepare === false ? false : undefined,
      sslnegotiation: sslnegotiation || undefined,
      target_session_attrs: target_session_attrs || undefined,
      onnotice,
      connection: options.connection,
    }),
  };
};

const seconds = (milliseconds) => (milliseconds === undefined ? undefined : milliseconds / 1000);

const ofPool = ({ options: given }) => {
  const options = own(given);
  if (options.stream || options.Client?.prototype?.constructor?.name === "NativeClient") {
    throw new TypeError("connection: a `pg.Pool` with the option `stream` cannot be used here; give a connection string");
  }
  const { connectionString, host, port, database, user, password, ssl, max, keepAlive, maxLifetimeSeconds } = options;
  return {
    url: connectionString,
    options: defined({
      host,
      port,
      database,
      username: user,
      password,
      ssl,
      max,
      idle_timeout: seconds(options.idleTimeoutMillis),
      connect_timeout: seconds(options.connectionTimeoutMillis || undefined),
      keep_alive: keepAlive === false ? 0 : undefined,
      max_lifetime: maxLifetimeSeconds || undefined,
      query_timeout: seconds(options.query_timeout || undefined),
      connection: defined({
        application_name: options.application_name ?? options.fallback_application_name,
        statement_timeout: options.statement_timeout || undefined,
        lock_timeout: options.lock_timeout || undefined,
        idle_in_transaction_session_timeout: options.idle_in_transaction_session_timeout || undefined,
        options: options.options,
      }),
    }),
  };
};

const EXPECTED = "connection: must be a connection string such as postgres://user:password@host:5432/database, an options object, a " +
  "`postgres` instance or a `pg.Pool`";

/**
 * @param {unknown} connection
 * @returns {{ url?: string, options?: object, PostgresError?: new (fields: object) => Error }}
 */
const readConnection = (connection) => {
  const { options, connect, query } = Object(connection);
  if (typeof connection === "string") return { url: connection };
  if (typeof connection === "function") {
    if (options?.shared) return ofPostgres(/** @type {any} */ (connection));
    throw new TypeError("connection: the function is not a `postgres` instance; give a connection string");
  }
  if (typeof connection !== "object" || connection === null) throw new TypeError(`${EXPECTED}, not ${describe(connection)}`);
  const isPool = typeof connect === "function" && typeof query === "function" && options;
  if (isPool && "totalCount" in connection) return ofPool(/** @type {any} */ (connection));
  const prototype = Object.getPrototypeOf(connection);
  // A plain object, of this realm or another one, or one without a prototype.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return { options: connection };
  const what = Array.isArray(connection) ? "an array" : `an instance of ${prototype.constructor?.name ?? "a class"}`;
  throw new TypeError(`${EXPECTED}, not ${what}`);
};

module.exports = { readConnection };
