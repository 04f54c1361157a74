import type { Adapter, InitializeAdapter } from "lucia" with { "resolution-mode": "import" };
import type { EndOptions, PoolInstance, PoolStats, PostgresInstance, PostgresOptions } from "./options.js";

export type { CallContext, EndOptions, PoolInstance, PoolStats, PostgresInstance, PostgresOptions, Times, TlsOptions } from "./options.js";

/**
 * Lucia v2's adapter for PostgreSQL.
 *
 * Connections are opened when the first method is called, and shared by all adapters of the process that have the same
 * settings.
 *
 * Methods reject with the `LuciaError`s `AUTH_DUPLICATE_KEY_ID` (`setUser` with a key, `setKey`) and
 * `AUTH_INVALID_USER_ID` (`setKey`, `setSession`); with a `PostgresError`, whose `code` is the SQLSTATE, when the server
 * refuses; and with an `Error` whose `code` says why there was no answer: `ECONNREFUSED`, `ENOTFOUND`,
 * `CONNECT_TIMEOUT`, `CONNECTION_ENDED`, `CONNECTION_DESTROYED`, `QUERY_TIMEOUT`, or `OUTCOME_UNKNOWN` when the
 * connection was lost after a change had been sent and before its answer came.
 *
 * @param connection a connection string, options, or an instance of `postgres` or `pg.Pool`, whose settings are read
 * @param tableNames the tables of users, keys and sessions
 * @param options more options, which count before those of `connection`
 * @throws `TypeError` that names the argument, when one cannot be used
 */
export declare function postgres(
  connection: string | PostgresOptions | PostgresInstance | PoolInstance,
  tableNames: TableNames,
  options?: PostgresOptions,
): PostgresInitializer;

/** The names of Lucia's tables. Any name works: `schema.table`, reserved words, spaces, parts already in double quotes. */
export interface TableNames {
  user: string;
  key: string;
  /** `null` beside another adapter for sessions: the session methods then reject. */
  session: string | null;
}

/** What `postgres` returns: give it to `lucia({ adapter })`. */
export type PostgresInitializer = InitializeAdapter<Adapter> & {
  /**
   * Waits for the calls under way and closes the connections. Later calls reject with `code: "CONNECTION_ENDED"`. A
   * program that never calls it ends by itself.
   */
  end(options?: EndOptions): Promise<void>;
  /**
   * Deletes the sessions that Lucia takes for dead, those whose `idle_expires` has passed, in one statement.
   *
   * @returns how many there were
   */
  deleteExpiredSessions(): Promise<number>;
  /** What the connections are doing and have done, all adapters together that share them. */
  stats(): PoolStats;
};
