// What is read from the argument `connection` by itself. (`existing` holds it against the drivers and a server.)
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

const { readConnection } = createRequire(import.meta.url)("../lib/existing.js");

test("each option of an instance of `postgres` has its place among the options here, and its own defaults have none", () => {
  class OwnError extends Error {}
  const instance = (options) => Object.assign(() => {}, { PostgresError: OwnError, options: { shared: {}, ...options } });
  const same = {
    database: "d", ssl: true, max: 4, idle_timeout: 5, connect_timeout: 6, keep_alive: 7, max_lifetime: 8, max_pipeline: 9, prepare: false,
    sslnegotiation: "direct", target_session_attrs: "any", onnotice() {}, connection: { application_name: "x" },
  };
  const given = readConnection(instance({ ...same, host: ["h"], port: [1], user: "u", pass: "p", path: undefined, socket: undefined, fetch_types: true }));
  assert.deepEqual(given, { PostgresError: OwnError, options: { ...same, host: ["h"], port: [1], username: "u", password: "p" } });
  const none = { path: "/tmp/socket", host: ["h"], port: [1], max_lifetime: () => 1, prepare: true, sslnegotiation: null, target_session_attrs: null };
  assert.deepEqual(readConnection(instance(none)).options, { path: "/tmp/socket" });
  const socket = "connection: a `postgres` instance with the option `socket` cannot be used here; give a connection string";
  assert.throws(() => readConnection(instance({ socket() {} })), { name: "TypeError", message: socket });
  const stranger = { name: "TypeError", message: "connection: the function is not a `postgres` instance; give a connection string" };
  for (const options of [undefined, null, {}]) assert.throws(() => readConnection(Object.assign(() => {}, { options })), stranger);
});

test("options are a plain object of any realm, and what else has the look of a pool is none", () => {
  const functions = { connect() {}, query() {} };
  for (const plain of [{ host: "h" }, Object.create(null), runInNewContext("({})"), { ...functions, options: {} }]) {
    assert.deepEqual(readConnection(plain), { options: plain });
    assert.equal(readConnection(plain).options, plain);
  }
  assert.deepEqual(readConnection("text"), { url: "text" });
  class Stranger {
    constructor(own) {
      Object.assign(this, own);
    }
  }
  const looks = [functions, { ...functions, options: {} }, { ...functions, totalCount: 0 }, { connect() {}, options: {}, totalCount: 0 },
    { query() {}, options: {}, totalCount: 0 }];
  const refused = (what) => ({
    name: "TypeError",
    message: "connection: must be a connection string such as postgres://user:password@host:5432/database, an options object, a `postgres` " +
      `instance or a \`pg.Pool\`, not ${what}`,
  });
  for (const own of looks) assert.throws(() => readConnection(new Stranger(own)), refused("an instance of Stranger"));
  assert.throws(() => readConnection(Object.create(Object.create(Object.create(null)))), refused("an instance of a class"));
  for (const [value, what] of [[undefined, "undefined"], [null, "null"], [[], "an array"], [5, "a number"]]) {
    assert.throws(() => readConnection(value), refused(what));
  }
});

test("a pool that reaches its server in a way of its own is refused, one with a client of another class is read", () => {
  const pool = (options) => Object.assign(Object.create({ connect() {}, query() {} }), { options, totalCount: 0 });
  const message = "connection: a `pg.Pool` with the option `stream` cannot be used here; give a connection string";
  class NativeClient {}
  for (const options of [{ stream() {} }, { Client: NativeClient }]) assert.throws(() => readConnection(pool(options)), { name: "TypeError", message });
  for (const Client of [class Client {}, () => {}, Object.assign(() => {}, { prototype: {} }), Object.assign(() => {}, { prototype: { constructor: null } })]) {
    assert.deepEqual(readConnection(pool({ Client, max: 1 })).options, { max: 1, connection: {} });
  }
});

test("options of a pool and of an instance are their own, which need not be enumerable", () => {
  const inherited = { max: 9, user: "inherited" };
  const options = Object.defineProperty(Object.create(inherited), "password", { value: "hidden", enumerable: false });
  const pool = Object.assign(Object.create({ connect() {}, query() {} }), { options, totalCount: 0 });
  assert.deepEqual(readConnection(pool).options, { password: "hidden", connection: {} });
  const instance = Object.assign(() => {}, { options: Object.assign(Object.create({ user: "inherited" }), { shared: {}, pass: "p" }) });
  assert.deepEqual(readConnection(instance).options, { password: "p" });
});

test("each option of a `pg.Pool` has its place among the options here, and what is not given has none", () => {
  class Pool {
    totalCount = 0;
    constructor(options) {
      this.options = options;
    }
    connect() {}
    query() {}
  }
  const session = { application_name: "pool", statement_timeout: 1, lock_timeout: 2, idle_in_transaction_session_timeout: 3, options: "-c x=y" };
  const place = { host: "h", port: 1, database: "d", password: "p", ssl: true, max: 4 };
  const times = { idleTimeoutMillis: 5000, connectionTimeoutMillis: 6000, maxLifetimeSeconds: 7, query_timeout: 8000, keepAlive: false };
  const { url, options } = readConnection(new Pool({ connectionString: "postgres://", user: "u", ...place, ...session, ...times }));
  assert.equal(url, "postgres://");
  assert.deepEqual(options, {
    ...place, username: "u", idle_timeout: 5, connect_timeout: 6, max_lifetime: 7, query_timeout: 8, keep_alive: 0, connection: session,
  });
  const none = { connectionTimeoutMillis: 0, maxLifetimeSeconds: 0, query_timeout: 0, statement_timeout: 0, lock_timeout: 0 };
  const few = { ...none, idle_in_transaction_session_timeout: 0, keepAlive: true, fallback_application_name: "fallback", idleTimeoutMillis: 0 };
  assert.deepEqual(readConnection(new Pool(few)).options, { idle_timeout: 0, connection: { application_name: "fallback" } });
  assert.deepEqual(readConnection(new Pool({})), { url: undefined, options: { connection: {} } });
});
