import type { Adapter, InitializeAdapter } from "lucia" with { "resolution-mode": "import" };

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
   *
   * @param options.timeout seconds to wait; what is then still under way rejects with `CONNECTION_DESTROYED`. Without it
   *   there is no limit.
   */
  end(options?: { timeout?: number }): Promise<void>;
  /**
   * Deletes the sessions that Lucia takes for dead, those whose `idle_expires` has passed, in one statement.
   *
   * @returns how many there were
   */
  deleteExpiredSessions(): Promise<number>;
  /** What the connections are doing, all adapters together that share them. */
  stats(): PoolStats;
};

/** Figures of one moment. */
export interface PoolStats {
  /** Connections at most. */
  max: number;
  /** Connections that are open or being opened. */
  connections: number;
  /** Connections that nobody uses. */
  idle: number;
  /** Calls that no connection has taken yet. */
  waiting: number;
}

/** How to reach the server. Names, units and defaults are those of the `postgres` package; times are in seconds. */
export interface PostgresOptions {
  /** One host or several, tried in turn; a directory is that of a unix socket. Default `localhost`. */
  host?: string | string[];
  /** One for all hosts or one for each. Default 5432. */
  port?: number | number[];
  /** The path of a unix socket. */
  path?: string;
  /** Default: the user's name. */
  database?: string;
  /** Default: the name of the operating system's user. */
  username?: string;
  user?: string;
  /** A function is asked for every new connection. */
  password?: string | (() => string | Promise<string>);
  pass?: string | (() => string | Promise<string>);
  /** Connections at most. Default 10. */
  max?: number;
  /** A connection that is idle for longer is closed. Default: never. */
  idle_timeout?: number | null;
  /** How long a connection may take to open, and a call to wait for one. Default 30. */
  connect_timeout?: number | null;
  /** How old a connection becomes. Default: 30 to 60 minutes, each another. */
  max_lifetime?: number | null;
  /** Accepted, and of no effect: what waits for a connection travels together instead. */
  max_pipeline?: number;
  /** TCP keep-alive after this many seconds without traffic; 0 turns it off. Default 60. */
  keep_alive?: number | null;
  /** `false` where a pooler does not know prepared statements. */
  prepare?: boolean;
  /** The call rejects with `QUERY_TIMEOUT` after so many seconds, and the server is told to cancel. Default: no limit. */
  query_timeout?: number | null;
  /** `true` and an object verify the certificate; `"require"`, `"allow"` and `"prefer"` do not. Default `false`. */
  ssl?: boolean | "require" | "allow" | "prefer" | "verify-full" | Record<string, unknown>;
  sslnegotiation?: "postgres" | "direct" | null;
  target_session_attrs?: "any" | "read-write" | "read-only" | "primary" | "standby" | "prefer-standby" | null;
  /** Settings of the session, sent when it starts. */
  connection?: Record<string, string | number | boolean>;
  /**
   * Adapters of one process that are made with the same settings share their connections, so that a development server
   * which evaluates a module again opens no more. `false` gives this one its own. Default `true`.
   */
  share?: boolean;
  /** Called with every notice of the server. Default: notices are dropped. */
  onnotice?: (notice: Record<string, string>) => void;
}

/** An instance of the `postgres` package, whose options are read and whose `PostgresError` is used. */
export interface PostgresInstance {
  // oxlint-disable-next-line typescript/no-explicit-any
  (...arguments_: any[]): unknown;
  options: object;
  PostgresError: unknown;
}

/** A `pg.Pool`, whose options are read. */
export interface PoolInstance {
  connect(): unknown;
  query: unknown;
  options: object;
}

