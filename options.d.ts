// What the adapters of both versions of Lucia have in common.

export interface EndOptions {
  /**
   * Seconds to wait; what is then still under way rejects with `CONNECTION_DESTROYED`. Without it there is no limit.
   */
  timeout?: number;
}

/** How often something took how long, as a histogram of OpenTelemetry has it. */
export interface Times {
  count: number;
  /** In seconds. */
  sum: number;
  buckets: {
    /** The upper bounds in seconds, of all buckets but the last. */
    boundaries: number[];
    counts: number[];
  };
}

/** Figures of the moment, and counts since the first adapter with these settings was made. */
export interface PoolStats {
  /** Connections at most. */
  max: number;
  /** Connections that are open or being opened. */
  connections: number;
  /** Connections that nobody uses. */
  idle: number;
  /** Calls that no connection has taken yet. */
  waiting: number;
  /** Connections that were opened. */
  opened: number;
  /** Connections that ended while they were still of use. */
  lost: number;
  /** Calls that were queued once more, by themselves or after a pause. */
  retried: number;
  /** Statements that the server was told to cancel. */
  cancelled: number;
  /** Calls that rejected with `OUTCOME_UNKNOWN`. */
  unknown: number;
  /** Calls that rejected with `QUERY_TIMEOUT`. */
  queryTimeouts: number;
  /** Calls that rejected with `CONNECT_TIMEOUT`. */
  connectTimeouts: number;
  /** How long statements have waited for a connection: the oldest call of each. */
  waitTime: Times;
  /** How long statements have used one, until their answer had come. */
  useTime: Times;
}

/**
 * What the subscribers of `tracingChannel("lucia-postgres-native:call")` of `node:diagnostics_channel` are told of a call.
 * Ids, values and passwords are not among it. `rows` and what follows it are `undefined` until `error` or `asyncStart`.
 */
export interface CallContext {
  /** The method that was called. */
  method:
    | "getUser" | "setUser" | "updateUser" | "deleteUser"
    | "getKey" | "getKeysByUserId" | "setKey" | "updateKey" | "deleteKey" | "deleteKeysByUserId"
    | "getSession" | "getSessionsByUserId" | "setSession" | "updateSession" | "deleteSession" | "deleteSessionsByUserId"
    | "getSessionAndUser" | "getUserSessions" | "updateSessionExpiration" | "deleteUserSessions" | "deleteExpiredSessions";
  /** The table that it is about, as `tableNames` names it: of `setUser` that of users, of `getSessionAndUser` that of sessions. */
  table: string | null;
  database: string;
  /** The host as the settings have it, or the directory of its unix socket; several are parted by commas. */
  serverAddress: string;
  /** `undefined` where several hosts have not the same. */
  serverPort: number | undefined;
  /** Rows that were read or changed; 0 when the call rejected. */
  rows: number | undefined;
  /** How often it was done again: after a lost connection, say, or apart from the calls that it was sent with. */
  retries: number | undefined;
  /** Calls in the statement that it was sent in last; 0 when nothing was sent. */
  batch: number | undefined;
  /**
   * Why it rejected: the `code` of the error, of a `LuciaError` its message, of an error without a code its name;
   * `undefined` when it resolved.
   */
  error: string | undefined;
  /** The SQLSTATE when the server refused, also for what became a `LuciaError`. */
  sqlstate: string | undefined;
}

/** Counts as not given; where a time limit is meant, `null` switches it off. */
type Unset = null | undefined;

/** A text does as well, as `process.env` holds it. */
type Numeric = number | string | Unset;

/** Certificates or keys in PEM. */
type Pem = string | Uint8Array | readonly (string | Uint8Array)[] | Unset;

/** What a function is asked a password for. */
export interface PasswordRequest {
  host: string;
  port: number;
  user: string;
  database: string;
  /** Aborted when the connection waits no longer, and when the adapter ends. */
  signal: AbortSignal;
}

type Password = string | ((request: PasswordRequest) => string | Promise<string>) | Unset;

/** How to reach the server. Names, units and defaults are those of the `postgres` package; times are in seconds. */
export interface PostgresOptions {
  /** One host or several, tried in turn; a directory is that of a unix socket. Default `localhost`. */
  host?: string | readonly string[] | Unset;
  /** The same as `host`. */
  hostname?: string | readonly string[] | Unset;
  /** One for all hosts or one for each. Default 5432. */
  port?: Numeric | readonly (number | string)[];
  /** The path of a unix socket. */
  path?: string | Unset;
  /** Default: the user's name. */
  database?: string | Unset;
  /** The same as `database`. */
  db?: string | Unset;
  /** Default: the name of the operating system's user. */
  username?: string | Unset;
  /** The same as `username`. */
  user?: string | Unset;
  /** A function is asked for every new connection. */
  password?: Password;
  /** The same as `password`. */
  pass?: Password;
  /** Connections at most. Default 10. */
  max?: Numeric;
  /** A connection that is idle for longer is closed. Default: never. */
  idle_timeout?: Numeric;
  /** @deprecated the older name of `idle_timeout` */
  timeout?: Numeric;
  /** How long a connection may take to open, and a call to wait for one. Default 30. */
  connect_timeout?: Numeric;
  /** How old a connection becomes. Default: 30 to 60 minutes, each another. */
  max_lifetime?: Numeric;
  /** Accepted, and of no effect: what waits for a connection travels together instead. */
  max_pipeline?: Numeric;
  /** TCP keep-alive after this many seconds without traffic; 0 turns it off. Default 60. */
  keep_alive?: Numeric;
  /** `false` where a pooler does not know prepared statements. Default: found out. */
  prepare?: boolean | Unset;
  /** @deprecated `prepare: false` */
  no_prepare?: boolean | Unset;
  /** The call rejects with `QUERY_TIMEOUT` after so many seconds, and the server is told to cancel. Default: no limit. */
  query_timeout?: Numeric;
  /**
   * `true`, an object and `"verify-full"` verify the certificate and its name, `"verify-ca"` the certificate;
   * `"require"`, `"no-verify"`, `"prefer"` and `"allow"` do not. Default `false`.
   */
  ssl?: boolean | "disable" | "allow" | "prefer" | "require" | "no-verify" | "verify-ca" | "verify-full" | TlsOptions | Unset;
  /** `"direct"` starts TLS without asking first, which PostgreSQL understands since version 17. */
  sslnegotiation?: "postgres" | "direct" | Unset;
  /** Whether SCRAM has to bind the password to the TLS channel. Default `"prefer"`. */
  channel_binding?: "disable" | "prefer" | "require" | Unset;
  /** The ways in which the server may ask who the client is, as `"scram-sha-256"` or `"!password,!md5"`. Default all. */
  require_auth?: string | Unset;
  /** The account that has to own the server behind a unix socket. Default any. */
  requirepeer?: string | Unset;
  /** Of several hosts the first that answers and is of this kind is used. Default `"any"`. */
  target_session_attrs?: "any" | "read-write" | "read-only" | "primary" | "standby" | "prefer-standby" | Unset;
  /** `"random"` tries the hosts, and the addresses of each, in another order for every connection. Default `"disable"`. */
  load_balance_hosts?: "disable" | "random" | Unset;
  /** Settings of the session, sent when it starts. */
  connection?: Readonly<Record<string, string | number | boolean | Unset>> | Unset;
  /**
   * Adapters of one process that are made with the same settings share their connections, so that a development server
   * which evaluates a module again opens no more. `false` gives this one its own. Default `true`.
   */
  share?: boolean | Unset;
  /** Called with every notice of the server. Default: notices are dropped. */
  onnotice?: ((notice: Record<string, string>) => void) | Unset;

  // Accepted, so that one object can serve `postgres` too; without effect here.
  backoff?: unknown;
  debug?: unknown;
  fetch_types?: unknown;
  no_subscribe?: unknown;
  onclose?: unknown;
  onnotify?: unknown;
  onparameter?: unknown;
  publications?: unknown;
}

/** What is understood of the options of Node's `tls.connect`. */
export interface TlsOptions {
  /** Whom to trust, in place of the system. */
  ca?: Pem;
  /** The client's certificate. */
  cert?: Pem;
  /** Its key. */
  key?: Pem;
  /** Opens an encrypted key. */
  passphrase?: string | Unset;
  /** Revocation lists, in PEM. */
  crl?: Pem;
  /** `false` accepts any certificate. */
  rejectUnauthorized?: boolean | Unset;
  /** The name to send, and to find in the certificate, in place of the host's. */
  servername?: string | Unset;
  minVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | Unset;
  maxVersion?: "TLSv1.2" | "TLSv1.3" | Unset;
  /** Only `"postgresql"`, which direct negotiation sends by itself. */
  ALPNProtocols?: "postgresql" | readonly ["postgresql"] | Unset;

  // Accepted, without effect.
  allowHalfOpen?: unknown;
  enableTrace?: unknown;
  highWaterMark?: unknown;
  honorCipherOrder?: unknown;
  host?: unknown;
  minDHSize?: unknown;
  port?: unknown;
  requestCert?: unknown;
  requestOCSP?: unknown;
  require?: unknown;
  session?: unknown;
  sessionIdContext?: unknown;
  sessionTimeout?: unknown;
  timeout?: unknown;
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

// Only what says `export` is exported.
export {};
