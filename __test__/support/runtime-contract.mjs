// The promises of the package as one program, for runtimes whose test runner is not Node's. It imports the package by
// its name, prints a line for every promise, and ends by itself: nothing calls `process.exit`.
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer } from "node:net";
import process from "node:process";
import { types } from "node:util";

import { Database, testAdapter } from "@lucia-auth/adapter-test";
import { lucia, LuciaError } from "lucia";
import { postgres } from "lucia-postgres-native";
import connect from "postgres";

import { createTables, freshDatabase, tableNames } from "./database.mjs";

// Node 18 has no global `crypto`, which Lucia wants.
if (globalThis.crypto === undefined) await import("lucia/polyfill/node");

const manyAtOnce = (adapter, count) => Promise.all(Array.from({ length: count }, () => adapter.getUser("alice")));

/** A port of 127.0.0.1 that nothing listens on. */
async function closedPort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

const rejected = (promise) => promise.then((value) => assert.fail(`resolved to ${value}`), (error) => error);

function promises({ sql, url }) {
  const initialize = postgres(url, tableNames);
  const adapter = initialize(LuciaError);
  return {
    "the adapter is an extensible plain object of seventeen functions"() {
      assert.equal(typeof initialize, "function");
      assert.equal("user" in initialize, false);
      assert.equal(Object.getPrototypeOf(adapter), Object.prototype);
      assert.equal(Object.isExtensible(adapter), true);
      assert.equal(Object.keys(adapter).length, 17);
      for (const method of Object.values({ ...adapter })) assert.equal(typeof method, "function");
    },

    async "every method returns a native promise, also for bad arguments"() {
      for (const method of Object.values(adapter)) {
        const promise = method(undefined);
        assert.equal(types.isPromise(promise), true);
        assert.equal(Object.getPrototypeOf(promise), Promise.prototype);
        assert.ok(await rejected(promise) instanceof TypeError);
      }
    },

    "bad arguments of postgres() throw at once and are named"() {
      assert.throws(() => postgres(url, { user: "a", key: 5, session: null }), { name: "TypeError", message: /key/ });
      assert.throws(() => postgres("http://localhost", tableNames), { name: "TypeError" });
    },

    async "values arrive as JavaScript has them"() {
      await sql.unsafe(`CREATE TABLE valued_user (id TEXT PRIMARY KEY, n INT4, big INT8, ok BOOL, "at" TIMESTAMPTZ,
        bytes BYTEA, doc JSONB, list TEXT[], nothing TEXT)`);
      const valued = postgres(url, { ...tableNames, user: "valued_user" });
      const row = { id: "é🙂", n: -7, big: "9007199254740993", ok: true, at: new Date(1_700_000_000_123),
        bytes: Buffer.from([0, 255]), doc: { a: [1, null, "x"] }, list: ["a", null, 'q"'], nothing: null };
      const { setUser, getUser } = valued(LuciaError);
      assert.equal(await setUser(row, null), undefined);
      const read = await getUser("é🙂");
      assert.equal(Object.getPrototypeOf(read), Object.prototype);
      assert.ok(Buffer.isBuffer(read.bytes));
      assert.ok(read.at instanceof Date);
      assert.deepEqual(read, row);
      await valued.end();
    },

    async "the official adapter test suite passes"() {
      const table = (name, read = (row) => row) => ({
        get: async () => (await sql`SELECT * FROM ${sql(name)}`).map((row) => read({ ...row })),
        insert: async (row) => {
          await sql`INSERT INTO ${sql(name)} ${sql(row)}`;
        },
        clear: async () => {
          await sql`DELETE FROM ${sql(name)}`;
        },
      });
      const expires = (row) =>
        ({ ...row, active_expires: Number(row.active_expires), idle_expires: Number(row.idle_expires) });
      // V8 gives the first errors of a class another property than the later ones; the suite compares them deeply.
      for (let made = 0; made < 100; made += 1) assert.ok(new LuciaError("UNKNOWN_ERROR"));
      await testAdapter(
        adapter,
        new Database({ user: table("auth_user"), key: table("user_key"), session: table("user_session", expires) }),
      );
    },

    async "a person signs up, signs in, is recognized and signs out, through Lucia"() {
      const auth = lucia({ adapter: initialize, env: "DEV", getUserAttributes: ({ username }) => ({ username }) });
      const key = { providerId: "username", providerUserId: "bob", password: "correct horse" };
      const user = await auth.createUser({ key, attributes: { username: "Bob" } });
      const again = await rejected(auth.createUser({ key, attributes: { username: "Bob" } }));
      assert.ok(again instanceof LuciaError);
      assert.equal(again.message, "AUTH_DUPLICATE_KEY_ID");
      const wrong = await rejected(auth.useKey("username", "bob", "wrong"));
      assert.equal(wrong.message, "AUTH_INVALID_PASSWORD");
      assert.equal((await auth.useKey("username", "bob", "correct horse")).userId, user.userId);
      const { sessionId } = await auth.createSession({ userId: user.userId, attributes: {} });
      assert.equal((await auth.validateSession(sessionId)).user.username, "Bob");
      await auth.invalidateSession(sessionId);
      assert.equal((await rejected(auth.validateSession(sessionId))).message, "AUTH_INVALID_SESSION_ID");
      await auth.deleteUser(user.userId);
    },

    async "many calls at once get each its own answer"() {
      const ids = Array.from({ length: 500 }, (_, n) => `many-${n}`);
      await Promise.all(ids.map((id) => adapter.setUser({ id, username: `name of ${id}` }, null)));
      const users = await Promise.all(ids.map((id) => adapter.getUser(id)));
      assert.deepEqual(users, ids.map((id) => ({ id, username: `name of ${id}` })));
      await sql`DELETE FROM auth_user WHERE id LIKE 'many-%'`;
    },

    async "an error of the database is a PostgresError with its SQLSTATE"() {
      await adapter.setUser({ id: "twice" }, null);
      const error = await rejected(adapter.setUser({ id: "twice" }, null));
      assert.ok(error instanceof Error);
      assert.equal(error.name, "PostgresError");
      assert.equal(error.code, "23505");
      assert.equal(error.table_name, "auth_user");
      assert.equal((await rejected(adapter.updateUser("twice", { nonsense: 1 }))).code, "42703");
    },

    async "a server that is not there is reported as ECONNREFUSED"() {
      const nowhere = postgres(`postgres://postgres@127.0.0.1:${await closedPort()}/postgres`, tableNames);
      const error = await rejected(nowhere(LuciaError).getUser("alice"));
      assert.equal(error.code, "ECONNREFUSED");
      await nowhere.end();
    },

    async "the settings of a `postgres` instance are used"() {
      const shared = connect(url, { max: 1 });
      const same = postgres(shared, tableNames);
      assert.equal((await same(LuciaError).getUser("alice")).username, "Alice");
      const missing = postgres(shared, { ...tableNames, user: "missing" });
      assert.ok(await rejected(missing(LuciaError).getUser("alice")) instanceof shared.PostgresError);
      await Promise.all([same.end(), missing.end(), shared.end()]);
    },

    async "a password may come from a function"() {
      const { username, password, hostname, port, pathname } = new URL(url);
      const asked = postgres({ host: hostname, port: Number(port), database: pathname.slice(1), username,
        password: async () => password }, tableNames);
      assert.equal((await asked(LuciaError).getUser("alice")).username, "Alice");
      await asked.end();
    },

    async "every call is published on the channel, and says nothing of what it was about"() {
      const messages = [];
      const push = (message) => messages.push(message);
      subscribe("lucia-postgres-native:call", push);
      await adapter.getUser("alice");
      await rejected(adapter.getUser(["alice"]));
      unsubscribe("lucia-postgres-native:call", push);
      await adapter.getUser("alice");
      assert.deepEqual(messages.map(({ method, rows, batch, error }) => [method, rows, batch, error]),
        [["getUser", 1, 1, undefined], ["getUser", 0, 0, "TypeError"]]);
      assert.doesNotMatch(JSON.stringify(messages), /alice/i);
    },

    async "end waits for the calls under way, and later calls are refused"() {
      const under = manyAtOnce(adapter, 50);
      await initialize.end();
      assert.equal((await under).length, 50);
      assert.equal((await rejected(adapter.getUser("alice"))).code, "CONNECTION_ENDED");
    },
  };
}

const database = await freshDatabase();
await createTables(database.sql);
const count = { passed: 0, failed: 0 };
for (const [title, keep] of Object.entries(promises(database))) {
  try {
    await database.sql`TRUNCATE auth_user CASCADE`;
    await database.sql`INSERT INTO auth_user VALUES ('alice', 'Alice')`;
    await keep();
    count.passed += 1;
    console.log(`ok ${title}`);
  } catch (error) {
    count.failed += 1;
    console.log(`not ok ${title}\n${error?.stack ?? error}`);
  }
}
await database.drop();
console.log(`${count.passed} passed, ${count.failed} failed`);
if (count.failed > 0) process.exitCode = 1;
