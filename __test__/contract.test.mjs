// What Lucia, and code written for the reference adapter, relies on beyond the methods' names.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { after, beforeEach, test } from "node:test";
import { types } from "node:util";

import { lucia, LuciaError } from "lucia";
import { __experimental_joinAdapters as joinAdapters } from "lucia/utils";

import { postgres } from "../index.js";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { officialSuite } from "./support/official.mjs";
import { openAdapters, outcome } from "./support/opened.mjs";
import { recordMessages } from "./support/wire.mjs";

const voidMethods = ["setUser", "updateUser", "deleteUser", "setKey", "updateKey", "deleteKey", "deleteKeysByUserId",
  "setSession", "updateSession", "deleteSession", "deleteSessionsByUserId"];
const rowMethods = ["getUser", "getKey", "getSession", "getKeysByUserId", "getSessionsByUserId", "getSessionAndUser"];
const methods = [...voidMethods, ...rowMethods].sort();
const sessionMethods = methods.filter((name) => name.includes("Session"));

const database = await freshDatabase();
const { sql, url } = database;
await createTables(sql);
const adapters = openAdapters(url);
const adapter = adapters.open();
after(async () => {
  await adapters.close();
  await database.drop();
});

const alice = { id: "alice", username: "Alice" };
const aliceKey = { id: "email:alice", user_id: "alice", hashed_password: null };
const aliceSession = { id: "session-a", user_id: "alice", active_expires: 1_700_000_000_000,
  idle_expires: 1_800_000_000_000, country: "PT" };

beforeEach(async () => {
  await sql`DELETE FROM user_session`;
  await sql`DELETE FROM user_key`;
  await sql`DELETE FROM auth_user`;
  await sql`INSERT INTO auth_user ${sql(alice)}`;
  await sql`INSERT INTO user_key ${sql(aliceKey)}`;
  await sql`INSERT INTO user_session ${sql(aliceSession)}`;
});

/** Arguments with which each method succeeds on the rows above; `n` makes them new. */
const succeeding = {
  getUser: () => ["alice"],
  setUser: (n) => [{ id: `user-${n}`, username: "Someone" }, { id: `key-${n}`, user_id: `user-${n}`, hashed_password: "x" }],
  updateUser: (n) => ["alice", { username: `Alice ${n}` }],
  deleteUser: (n) => [`nobody-${n}`],
  getKey: () => ["email:alice"],
  getKeysByUserId: () => ["alice"],
  setKey: (n) => [{ id: `other-key-${n}`, user_id: "alice", hashed_password: null }],
  updateKey: (n) => ["email:alice", { hashed_password: `hash ${n}` }],
  deleteKey: (n) => [`no-key-${n}`],
  deleteKeysByUserId: (n) => [`nobody-${n}`],
  getSession: () => ["session-a"],
  getSessionsByUserId: () => ["alice"],
  setSession: (n) => [{ ...aliceSession, id: `session-${n}` }],
  updateSession: (n) => ["session-a", { idle_expires: 1_900_000_000_000 + n }],
  deleteSession: (n) => [`no-session-${n}`],
  deleteSessionsByUserId: (n) => [`nobody-${n}`],
  getSessionAndUser: () => ["session-a"],
};

test("the official adapter test suite passes", async () => {
  const manifest = new URL("../node_modules/@lucia-auth/adapter-test/package.json", import.meta.url);
  assert.equal(JSON.parse(readFileSync(manifest, "utf8")).version, "4.0.0-beta.0");
  await officialSuite(adapter, sql);
});

test("require and import give the same function", () => {
  const required = createRequire(import.meta.url)("../index.js");
  assert.equal(required.postgres, postgres);
  assert.equal(typeof postgres, "function");
});

test("the initializer is a plain function without a property called user", async () => {
  const initialize = postgres(url, tableNames);
  assert.equal(typeof initialize, "function");
  assert.equal("user" in initialize, false);
  assert.equal("session" in initialize, false);
  assert.equal(typeof initialize.end, "function");
  await initialize.end();
});

test("no connection is opened before the first method is called", async () => {
  const own = await freshDatabase();
  try {
    const initialize = postgres(own.url, tableNames);
    initialize(LuciaError);
    const count = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for (let look = 0; look < 20; look += 1) {
      const [{ n }] = await own.sql.begin((transaction) => transaction.unsafe(count));
      assert.equal(n, 0);
    }
    await initialize.end();
  } finally {
    await own.drop();
  }
});

test("the adapter is an extensible plain object with exactly the seventeen methods", () => {
  assert.equal(methods.length, 17);
  assert.deepEqual(Object.keys(adapter).sort(), methods);
  assert.equal(Object.getPrototypeOf(adapter), Object.prototype);
  assert.equal(Object.isExtensible(adapter), true);
  for (const name of methods) {
    const property = Object.getOwnPropertyDescriptor(adapter, name);
    assert.equal(typeof property.value, "function", name);
    assert.deepEqual([property.enumerable, property.writable, property.configurable], [true, true, true], name);
  }
});

test("every call of the initializer makes a new adapter", async () => {
  const initialize = postgres(url, tableNames);
  const [first, second] = [initialize(LuciaError), initialize(LuciaError)];
  assert.notEqual(first, second);
  first.getUser = () => "replaced";
  delete first.getKey;
  assert.deepEqual(await second.getUser("alice"), alice);
  assert.deepEqual(await second.getKey("email:alice"), aliceKey);
  assert.deepEqual(await initialize(LuciaError).getUser("alice"), alice);
  await initialize.end();
});

test("methods work detached from the adapter, with any this, and in a copy", async () => {
  const { getUser, getSessionAndUser } = adapter;
  assert.deepEqual(await getUser("alice"), alice);
  assert.deepEqual(await getUser.call(undefined, "alice"), alice);
  assert.deepEqual(await getUser.call(42, "alice"), alice);
  assert.deepEqual(await getSessionAndUser.apply({}, ["session-a"]), [aliceSession, alice]);
  const copy = { ...adapter };
  for (const name of methods) {
    const result = await copy[name](...succeeding[name](1));
    if (voidMethods.includes(name)) assert.equal(result, undefined, name);
    else assert.ok(result, name);
  }
});

test("arguments beyond the declared ones are ignored", async () => {
  assert.deepEqual(await Promise.all(["alice", "nobody"].map(adapter.getUser)), [alice, null]);
  assert.deepEqual(await Promise.all(["session-a"].map(adapter.getSessionAndUser)), [[aliceSession, alice]]);
});

test("joinAdapters replaces methods of one adapter and no other", async () => {
  const initialize = postgres(url, tableNames);
  const joined = joinAdapters(initialize, { getSession: async () => "replaced" })(LuciaError);
  assert.equal(await joined.getSession("session-a"), "replaced");
  assert.deepEqual(await joined.getUser("alice"), alice);
  assert.deepEqual(await initialize(LuciaError).getSession("session-a"), aliceSession);
  const joinedWithInitializer = joinAdapters(() => ({ getUser: async () => null }), initialize)(LuciaError);
  assert.deepEqual(await joinedWithInitializer.getUser("alice"), alice);
  await initialize.end();
});

test("lucia takes a user from sign-up to deletion", async () => {
  const initialize = postgres(url, tableNames);
  const auth = lucia({
    adapter: initialize,
    env: "DEV",
    getUserAttributes: ({ username }) => ({ username }),
    getSessionAttributes: ({ country }) => ({ country }),
    passwordHash: { generate: async (password) => `hash of ${password}`, validate: async (p, h) => h === `hash of ${p}` },
  });
  const key = { providerId: "username", providerUserId: "bob", password: "correct horse" };
  const user = await auth.createUser({ key, attributes: { username: "Bob" } });
  await assert.rejects(auth.createUser({ key, attributes: { username: "Bob" } }), new LuciaError("AUTH_DUPLICATE_KEY_ID"));
  assert.equal((await auth.useKey("username", "bob", "correct horse")).userId, user.userId);
  await assert.rejects(auth.useKey("username", "bob", "wrong"), new LuciaError("AUTH_INVALID_PASSWORD"));
  const session = await auth.createSession({ userId: user.userId, attributes: { country: "DE" } });
  const validated = await auth.validateSession(session.sessionId);
  assert.deepEqual([validated.user.username, validated.country, validated.state], ["Bob", "DE", "active"]);
  assert.equal((await auth.updateUserAttributes(user.userId, { username: "Robert" })).username, "Robert");
  assert.equal((await auth.getAllUserSessions(user.userId)).length, 1);
  assert.equal((await auth.getAllUserKeys(user.userId)).length, 1);
  await auth.deleteUser(user.userId);
  await assert.rejects(auth.validateSession(session.sessionId), new LuciaError("AUTH_INVALID_SESSION_ID"));
  await assert.rejects(auth.getUser(user.userId), new LuciaError("AUTH_INVALID_USER_ID"));
  await initialize.end();
});

test("lucia combines the users of this adapter with sessions kept elsewhere, and the reverse", async () => {
  const initialize = postgres(url, { ...tableNames, session: null });
  const kept = new Map();
  const elsewhere = () => ({
    getSession: async (id) => kept.get(id) ?? null,
    getSessionsByUserId: async (userId) => [...kept.values()].filter(({ user_id }) => user_id === userId),
    setSession: async (session) => void kept.set(session.id, session),
    updateSession: async (id, partial) => void kept.set(id, { ...kept.get(id), ...partial }),
    deleteSession: async (id) => void kept.delete(id),
    deleteSessionsByUserId: async () => kept.clear(),
  });
  const auth = lucia({ adapter: { user: initialize, session: elsewhere }, env: "DEV" });
  const session = await auth.createSession({ userId: "alice", attributes: {} });
  assert.equal(kept.size, 1);
  assert.equal((await auth.validateSession(session.sessionId)).user.userId, "alice");

  const both = postgres(url, tableNames);
  const stored = lucia({ adapter: { user: initialize, session: both }, env: "DEV" });
  const second = await stored.createSession({ userId: "alice", attributes: { country: "FR" } });
  assert.equal((await sql`SELECT FROM user_session WHERE id = ${second.sessionId}`).length, 1);
  assert.equal((await stored.validateSession(second.sessionId)).user.userId, "alice");
  await initialize.end();
  await both.end();
});

test("every method returns a native promise, for good arguments and for bad ones", async () => {
  for (const name of methods) {
    for (const given of [succeeding[name](2), [undefined], []]) {
      const promise = adapter[name](...given);
      assert.equal(types.isPromise(promise), true, name);
      assert.equal(Object.getPrototypeOf(promise), Promise.prototype, name);
      const { error } = await outcome(promise);
      assert.equal(error === undefined, given.length > 0 && given[0] !== undefined, name);
    }
  }
});

test("methods without a result resolve to undefined, also when no row is concerned", async () => {
  for (const name of voidMethods) assert.equal(await adapter[name](...succeeding[name](3)), undefined, name);
  for (const name of ["updateUser", "updateKey", "updateSession"]) {
    const attribute = { updateUser: "username", updateKey: "hashed_password", updateSession: "country" }[name];
    assert.equal(await adapter[name]("unknown", { [attribute]: "x" }), undefined, name);
  }
});

test("unknown ids give null, an empty array or a pair of nulls", async () => {
  for (const name of ["getUser", "getKey", "getSession"]) assert.equal(await adapter[name]("unknown"), null, name);
  for (const name of ["getKeysByUserId", "getSessionsByUserId"]) assert.deepEqual(await adapter[name]("unknown"), [], name);
  assert.deepEqual(await adapter.getSessionAndUser("unknown"), [null, null]);
});

test("a session whose user is gone gives a pair of nulls", async () => {
  await sql`CREATE TABLE loose_session (LIKE user_session)`;
  await sql`INSERT INTO loose_session ${sql({ ...aliceSession, id: "orphan", user_id: "ghost" })}`;
  const loose = adapters.open({ ...tableNames, session: "loose_session" });
  assert.deepEqual(await loose.getSessionAndUser("orphan"), [null, null]);
  assert.equal((await loose.getSession("orphan")).user_id, "ghost");
});

test("rows are plain objects with plain properties", async () => {
  const rows = [
    await adapter.getUser("alice"),
    await adapter.getKey("email:alice"),
    await adapter.getSession("session-a"),
    ...(await adapter.getKeysByUserId("alice")),
    ...(await adapter.getSessionsByUserId("alice")),
    ...(await adapter.getSessionAndUser("session-a")),
  ];
  assert.equal(rows.length, 7);
  for (const row of rows) {
    assert.equal(Object.getPrototypeOf(row), Object.prototype);
    assert.equal(Object.isExtensible(row), true);
    for (const property of Object.values(Object.getOwnPropertyDescriptors(row))) {
      assert.deepEqual([property.enumerable, property.writable, property.configurable], [true, true, true]);
    }
  }
  assert.equal(Object.getPrototypeOf(await adapter.getKeysByUserId("alice")), Array.prototype);
  assert.equal(Object.getPrototypeOf(await adapter.getSessionAndUser("unknown")), Array.prototype);
});

test("every call gives objects of its own, also when the same id is asked for many times at once", async () => {
  const calls = Array.from({ length: 100 }, () => adapter.getSessionAndUser("session-a"));
  const objects = (await Promise.all(calls)).flatMap((pair) => [pair, ...pair]);
  assert.equal(new Set(objects).size, 300);
  const users = await Promise.all(Array.from({ length: 100 }, () => adapter.getUser("alice")));
  assert.equal(new Set(users).size, 100);
  users[0].username = "changed";
  assert.deepEqual(users[1], alice);
  (await adapter.getKeysByUserId("unknown")).push("something");
  assert.deepEqual(await adapter.getKeysByUserId("unknown"), []);
  (await adapter.getSessionAndUser("unknown"))[0] = "something";
  assert.deepEqual(await adapter.getSessionAndUser("unknown"), [null, null]);
});

test("many callers at once each get their own answer", async () => {
  const ids = Array.from({ length: 60 }, (_, index) => `user-${index}`);
  await sql`INSERT INTO auth_user ${sql(ids.map((id) => ({ id, username: `name of ${id}` })))}`;
  await sql`INSERT INTO user_session ${sql(ids.map((id) => ({ ...aliceSession, id: `session of ${id}`, user_id: id })))}`;
  const asked = Array.from({ length: 600 }, (_, index) => `user-${(index * 37) % 80}`);
  const sessions = asked.map((id) => adapter.getSessionAndUser(`session of ${id}`));
  const users = asked.map((id) => adapter.getUser(id));
  const lists = asked.map((id) => adapter.getSessionsByUserId(id));
  const known = (id) => ids.includes(id);
  const user = (id) => ({ id, username: `name of ${id}` });
  const session = (id) => ({ ...aliceSession, id: `session of ${id}`, user_id: id });
  assert.deepEqual(await Promise.all(users), asked.map((id) => (known(id) ? user(id) : null)));
  assert.deepEqual(await Promise.all(sessions), asked.map((id) => (known(id) ? [session(id), user(id)] : [null, null])));
  assert.deepEqual(await Promise.all(lists), asked.map((id) => (known(id) ? [session(id)] : [])));
});

test("over one connection a change comes after the calls that were made before it", async () => {
  const single = adapters.open(tableNames, LuciaError, { max: 1 });
  await single.getUser("alice");
  const newKey = { ...aliceKey, hashed_password: "new" };
  const calls = [single.getKey("email:alice"), single.deleteKey("email:alice"), single.setKey(newKey)];
  const [before] = await Promise.all(calls);
  assert.deepEqual([before, await single.getKey("email:alice")], [aliceKey, newKey]);
});

test("over one connection a lookup sees the change that was made just before it, in the same turn", async () => {
  const single = adapters.open(tableNames, LuciaError, { max: 1 });
  for (let round = 0; round < 50; round += 1) {
    const key = { ...aliceKey, id: `key ${round}` };
    assert.deepEqual(await Promise.all([single.setKey(key), single.getKey(key.id)]), [undefined, key]);
    assert.deepEqual(await Promise.all([single.deleteKey(key.id), single.getKey(key.id)]), [undefined, null]);
  }
});

for (const max of [1, 2, 10]) {
  test(`a lookup sees the change that has resolved in the same turn, whatever connection it goes over, with max ${max}`, async () => {
    const own = adapters.open(tableNames, LuciaError, { max });
    for (let round = 0; round < 20; round += 1) {
      const keys = Array.from({ length: 30 }, (_, n) => ({ ...aliceKey, id: `key ${max} ${round} ${n}` }));
      const seen = await Promise.all(keys.map(async (key) => {
        await own.setKey(key);
        return own.getKey(key.id);
      }));
      assert.deepEqual(seen, keys);
    }
  });
}

test("each caller gets its own rows, in whatever order the server finds them", async () => {
  const ids = Array.from({ length: 16 }, (_, index) => `user-${index}`);
  const sessions = [3, 1, 2].flatMap((n) => ids.map((id) => ({ ...aliceSession, id: `${id} ${n}`, user_id: id })).reverse());
  await sql`INSERT INTO auth_user ${sql(ids.map((id) => ({ id, username: null })))}`;
  await sql`INSERT INTO user_session ${sql(sessions)}`;
  // Without loops over an index the server reads the table through, and gives the rows of all users among one another.
  const settings = { enable_nestloop: "off", enable_mergejoin: "off", enable_indexscan: "off", enable_bitmapscan: "off" };
  const scanning = adapters.open(tableNames, LuciaError, { connection: settings });
  await scanning.getSessionsByUserId(ids[0]);
  const lists = await Promise.all(ids.map((id) => scanning.getSessionsByUserId(id)));
  // Which table it puts into a hash, and so the order of a user's rows, depends on its statistics.
  const sorted = (rows) => [...rows].sort((one, other) => (one.id < other.id ? -1 : 1));
  assert.deepEqual(lists.map(sorted), ids.map((id) => sorted(sessions.filter((session) => session.user_id === id))));
});

test("an id of any length, whatever character it ends in, is found as it was given", async () => {
  const characters = ["a", "é", "字", "😀"];
  const ids = characters.flatMap((last) => Array.from({ length: 24 }, (_, n) => 240 + n)
    .map((bytes) => "x".repeat(bytes - Buffer.byteLength(last)) + last));
  for (const id of ids) await adapter.setUser({ id, username: id }, null);
  const users = await Promise.all(ids.map((id) => adapter.getUser(id)));
  assert.deepEqual(users.map((user) => user?.id), ids);
  await Promise.all(ids.map((id) => adapter.deleteUser(id)));
});

test("an id that the column's type refuses rejects its own call and no other", async () => {
  await sql`CREATE TABLE uuid_user (id UUID PRIMARY KEY, name TEXT)`;
  const id = (n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
  const rows = Array.from({ length: 50 }, (_, n) => ({ id: id(n), name: `name ${n}` }));
  await sql`INSERT INTO uuid_user ${sql(rows)}`;
  const uuids = adapters.open({ ...tableNames, user: "uuid_user" });
  const asked = rows.flatMap((row, n) => [row.id, row.id.toUpperCase(), n % 10 === 0 ? "not a uuid" : id(1000 + n)]);
  const results = await Promise.all(asked.map((value) => outcome(uuids.getUser(value))));
  for (const [index, { value, error }] of results.entries()) {
    if (asked[index] === "not a uuid") assert.equal(error?.code, "22P02");
    else assert.deepEqual({ value, error }, { value: rows[index % 3 === 2 ? -1 : Math.floor(index / 3)] ?? null, error: undefined });
  }
});

test("the properties of a row come in the order of the table's columns", async () => {
  await sql`CREATE TABLE ordered_user (zeta TEXT, id TEXT PRIMARY KEY, alpha TEXT, "Upper" TEXT)`;
  await sql`CREATE TABLE ordered_session (idle_expires BIGINT, zeta TEXT, user_id TEXT, active_expires BIGINT, id TEXT)`;
  const ordered = adapters.open({ ...tableNames, user: "ordered_user", session: "ordered_session" });
  await ordered.setUser({ id: "u", Upper: "4", alpha: "3", zeta: "1" }, null);
  await ordered.setSession({ id: "s", user_id: "u", active_expires: 1, idle_expires: 2, zeta: "z" });
  const userColumns = ["zeta", "id", "alpha", "Upper"];
  const sessionColumns = ["idle_expires", "zeta", "user_id", "active_expires", "id"];
  assert.deepEqual(Object.keys(await ordered.getUser("u")), userColumns);
  assert.deepEqual(Object.keys(await ordered.getSession("s")), sessionColumns);
  assert.deepEqual(Object.keys((await ordered.getSessionsByUserId("u"))[0]), sessionColumns);
  assert.deepEqual((await ordered.getSessionAndUser("s")).map(Object.keys), [sessionColumns, userColumns]);
});

test("the two times of a session are numbers, every other bigint a string", async () => {
  await sql`CREATE TABLE big_user (id TEXT PRIMARY KEY, active_expires BIGINT, visits BIGINT)`;
  await sql`CREATE TABLE big_session (id TEXT PRIMARY KEY, user_id TEXT, active_expires BIGINT, idle_expires BIGINT, visits BIGINT)`;
  await sql`CREATE TABLE big_key (id TEXT PRIMARY KEY, user_id TEXT, hashed_password TEXT, idle_expires BIGINT)`;
  const big = adapters.open({ user: "big_user", key: "big_key", session: "big_session" });
  const beyond = "9007199254740993";
  await sql`INSERT INTO big_user VALUES ('u', ${beyond}, ${beyond})`;
  await sql`INSERT INTO big_session VALUES ('s', 'u', 1700000000000, 1800000000000, ${beyond})`;
  await sql`INSERT INTO big_key VALUES ('k', 'u', NULL, ${beyond})`;
  const user = { id: "u", active_expires: beyond, visits: beyond };
  const session = { id: "s", user_id: "u", active_expires: 1_700_000_000_000, idle_expires: 1_800_000_000_000, visits: beyond };
  assert.deepEqual(await big.getUser("u"), user);
  assert.deepEqual(await big.getSession("s"), session);
  assert.deepEqual(await big.getSessionsByUserId("u"), [session]);
  assert.deepEqual(await big.getSessionAndUser("s"), [session, user]);
  assert.equal((await big.getKey("k")).idle_expires, beyond);
});

test("the two times of a session are numbers whatever the type of their columns", async () => {
  await sql`CREATE TABLE odd_session (id TEXT PRIMARY KEY, user_id TEXT, active_expires NUMERIC, idle_expires TEXT)`;
  const odd = adapters.open({ ...tableNames, session: "odd_session" });
  await odd.setSession({ id: "s", user_id: "alice", active_expires: 1_700_000_000_000, idle_expires: 1_800_000_000_000 });
  const session = { id: "s", user_id: "alice", active_expires: 1_700_000_000_000, idle_expires: 1_800_000_000_000 };
  assert.deepEqual(await odd.getSession("s"), session);
  assert.deepEqual(await odd.getSessionAndUser("s"), [session, alice]);
  await sql`UPDATE odd_session SET active_expires = NULL, idle_expires = 'never'`;
  assert.deepEqual(await odd.getSession("s"), { ...session, active_expires: 0, idle_expires: NaN });
});

test("an update without attributes resolves and changes nothing", async () => {
  assert.equal(await adapter.updateUser("alice", {}), undefined);
  assert.equal(await adapter.updateKey("email:alice", {}), undefined);
  assert.equal(await adapter.updateSession("session-a", {}), undefined);
  assert.equal(await adapter.updateUser("unknown", {}), undefined);
  assert.deepEqual(await adapter.getSessionAndUser("session-a"), [aliceSession, alice]);
  assert.deepEqual(await adapter.getKey("email:alice"), aliceKey);
});

test("setUser without a key stores the user alone", async () => {
  await adapter.setUser({ id: "carol", username: "Carol" }, null);
  await adapter.setUser({ id: "dave", username: "Dave" }, undefined);
  await adapter.setUser({ id: "erin" });
  assert.deepEqual(await adapter.getUser("carol"), { id: "carol", username: "Carol" });
  assert.deepEqual(await adapter.getUser("erin"), { id: "erin", username: null });
  assert.equal((await sql`SELECT FROM user_key`).length, 1);
  assert.equal((await sql`SELECT FROM auth_user`).length, 4);
});

test("setUser with a key stores the user and the key", async () => {
  const key = { id: "email:carol", user_id: "carol", hashed_password: "secret" };
  await adapter.setUser({ id: "carol", username: null }, key);
  assert.deepEqual(await adapter.getUser("carol"), { id: "carol", username: null });
  assert.deepEqual(await adapter.getKeysByUserId("carol"), [key]);
});

test("deletions of unknown ids resolve, deletions by user leave other users' rows", async () => {
  await adapter.setUser({ id: "bob" }, { id: "email:bob", user_id: "bob", hashed_password: null });
  await adapter.setSession({ ...aliceSession, id: "session-b", user_id: "bob" });
  for (const name of voidMethods.filter((method) => method.startsWith("delete"))) await adapter[name]("unknown");
  await adapter.deleteSessionsByUserId("bob");
  await adapter.deleteKeysByUserId("bob");
  await adapter.deleteUser("bob");
  assert.deepEqual(await adapter.getSessionAndUser("session-a"), [aliceSession, alice]);
  assert.deepEqual(await adapter.getKey("email:alice"), aliceKey);
  assert.equal(await adapter.getUser("bob"), null);
});

test("without a session table the session methods reject and the others work", async () => {
  const users = adapters.open({ ...tableNames, session: null });
  assert.deepEqual(Object.keys(users).sort(), methods);
  assert.equal(sessionMethods.length, 7);
  for (const name of sessionMethods) {
    for (const given of [succeeding[name](4), [], ["session-a", {}]]) {
      const { error } = await outcome(users[name](...given));
      assert.ok(error instanceof Error, name);
      assert.equal(error.message, "Session table not defined", name);
    }
  }
  for (const name of methods.filter((method) => !sessionMethods.includes(method))) {
    const { error } = await outcome(users[name](...succeeding[name](5)));
    assert.equal(error, undefined, name);
  }
});

test("every method is one prepared statement and one round trip", async () => {
  const wire = await recordMessages(url);
  // One connection, since statements are prepared on each.
  const initialize = postgres(wire.url, tableNames, { max: 1 });
  const recorded = initialize(LuciaError);
  try {
    for (const name of methods) {
      const call = (n) => recorded[name](...succeeding[name](n));
      for (let round = 0; round < 3; round += 1) await call(100 + round);
      wire.take();
      await call(200);
      await call(201);
      const messages = wire.take().join("");
      assert.match(messages, /^(BD?ES){2}$/, `${name} sent ${messages}`);
    }
    wire.take();
    for (let n = 300; n < 305; n += 1) await recorded.setUser({ id: `user-${n}` }, null);
    const messages = wire.take().join("");
    assert.match(messages, /(BD?ES){2}$/, `setUser without a key sent ${messages}`);
  } finally {
    await initialize.end();
    await wire.close();
  }
});

test("end waits for the calls under way, closes the connections and refuses later calls", async () => {
  const own = await freshDatabase({ connection: { application_name: "observer" } });
  try {
    await createTables(own.sql);
    const initialize = postgres(own.url, tableNames);
    const ended = initialize(LuciaError);
    const under = [ended.setUser({ id: "late" }, null), ended.getUser("unknown"), ended.getKeysByUserId("unknown")];
    assert.equal(await initialize.end(), undefined);
    assert.deepEqual(await Promise.all(under), [undefined, null, []]);
    assert.equal((await own.sql`SELECT FROM auth_user`).length, 1);
    const remaining = () => own.sql`
      SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'observer'`;
    while ((await remaining()).length > 0);
    for (const name of methods) {
      const { error } = await outcome(ended[name](...succeeding[name](6)));
      assert.ok(error instanceof Error, name);
      assert.equal(error.code, "CONNECTION_ENDED", name);
    }
    assert.equal(await initialize.end(), undefined);
    assert.equal(await initialize.end({ timeout: 1 }), undefined);
  } finally {
    await own.drop();
  }
});

test("end resolves when no connection was ever opened", async () => {
  const initialize = postgres("postgres://nobody@127.0.0.1:1/none", tableNames);
  assert.equal(await initialize.end(), undefined);
  const { error } = await outcome(initialize(LuciaError).getUser("alice"));
  assert.equal(error?.code, "CONNECTION_ENDED");
});
