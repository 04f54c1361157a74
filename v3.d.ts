import type { Adapter, DatabaseSession, DatabaseUser, UserId } from "lucia" with { "resolution-mode": "import" };
import type { EndOptions, PoolInstance, PoolStats, PostgresInstance, PostgresOptions } from "./options.js";

export type { CallContext, EndOptions, PoolInstance, PoolStats, PostgresInstance, PostgresOptions, Times, TlsOptions } from "./options.js";

/** The names of Lucia 3's tables. Any name works: `schema.table`, reserved words, spaces, parts already in double quotes. */
export interface TableNames {
  user: string;
  session: string;
}

/**
 * Lucia 3's adapter for PostgreSQL.
 *
 * Connections are opened when the first method is called, and shared by all adapters of the process that have the same
 * settings, those of Lucia 2 among them.
 *
 * Methods reject with a `PostgresError`, whose `code` is the SQLSTATE, when the server refuses, and with an `Error` whose `code`
 * says why there was no answer: `ECONNREFUSED`, `ENOTFOUND`, `CONNECT_TIMEOUT`, `CONNECTION_ENDED`, `CONNECTION_DESTROYED`,
 * `QUERY_TIMEOUT`, or `OUTCOME_UNKNOWN` when the connection was lost after a change had been sent and before its answer came.
 */
export declare class PostgresAdapter implements Adapter {
  /**
   * @param connection a connection string, options, or an instance of `postgres` or `pg.Pool`, whose settings are read
   * @param tableNames the tables of users and sessions
   * @param options more options, which count before those of `connection`
   * @throws `TypeError` that names the argument, when one cannot be used
   */
  constructor(
    connection: string | PostgresOptions | PostgresInstance | PoolInstance,
    tableNames: TableNames,
    options?: PostgresOptions,
  );

  /** Both in one statement. */
  getSessionAndUser(sessionId: string): Promise<[session: DatabaseSession | null, user: DatabaseUser | null]>;
  getUserSessions(userId: UserId): Promise<DatabaseSession[]>;
  /** Attributes that are `undefined` are left to the columns' defaults. */
  setSession(session: DatabaseSession): Promise<void>;
  updateSessionExpiration(sessionId: string, expiresAt: Date): Promise<void>;
  deleteSession(sessionId: string): Promise<void>;
  deleteUserSessions(userId: UserId): Promise<void>;
  /** Deletes the sessions whose `expires_at` has come, in one statement. */
  deleteExpiredSessions(): Promise<void>;

  /**
   * Waits for the calls under way and closes the connections. Later calls reject with `code: "CONNECTION_ENDED"`. A
   * program that never calls it ends by itself.
   */
  end(options?: EndOptions): Promise<void>;
  /** What the connections are doing, all adapters together that share them. */
  stats(): PoolStats;
}
