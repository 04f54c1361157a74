// What Lucia 3, and code written for its official adapter, relies on.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, beforeEach, describe, test } from "node:test";
import { types } from "node:util";

import { LuciaError } from "lucia";
import { databaseUser, Lucia, testAdapter, TimeSpan } from "lucia-3";
import { PostgresAdapter } from "lucia-postgres-native/v3";
import pg from "pg";
import connect from "postgres";

import { postgres } from "../index.js";
import { within } from "./support/bounded.mjs";
import { freshDatabase } from "./support/database.mjs";
import { createTables, tableNames } from "./support/lucia-3.mjs";
import { observed } from "./support/observed.mjs";
import { outcome } from "./support/opened.mjs";
import { recordMessages } from "./support/wire.mjs";

const database = await freshDatabase();
const { sql, url } = database;
await createTables(sql);
const adapter = new PostgresAdapter(url, tableNames, { share: false });
const opened = [adapter];
after(async () => {
  await within(20, "the adapters end", Promise.all(opened.map((each) => each.end({ timeout: 5 }))));
  await database.drop();
});
/** Another one, with connections of its own. */
const open = (options, from = url) => {
  const other = new PostgresAdapter(from, tableNames, { share: false, ...options });
  opened.push(other);
  return other;
};

const time = new Date("2030-01-02T03:04:05.678Z");
const alice = { id: "alice", attributes: { username: "Alice" } };
const session = { userId: "alice", id: "session-a", expiresAt: time, attributes: { country: "PT" } };

beforeEach(async () => {
  await sql`DELETE FROM user_session`;
  await sql`DELETE FROM auth_user`;
  await sql`INSERT INTO auth_user VALUES ('alice', 'Alice')`;
  await sql`INSERT INTO user_session VALUES ('session-a', 'alice', ${time}, 'PT')`;
});

/** Arguments with which each method succeeds on the rows above; `n` makes them new. */
const succeeding = {
  getSessionAndUser: () => ["session-a"],
  getUserSessions: () => ["alice"],
  setSession: (n) => [{ ...session, id: `session-${n}` }],
  updateSessionExpiration: (n) => ["session-a", new Date(time.getTime() + n)],
  deleteSession: (n) => [`no-session-${n}`],
  deleteUserSessions: (n) => [`nobody-${n}`],
  deleteExpiredSessions: () => [],
};

describe("the adapter of Lucia 3", () => {
  test("passes the official suite", async () => {
    await sql`INSERT INTO auth_user VALUES (${databaseUser.id}, ${databaseUser.attributes.username})`;
    await testAdapter(adapter);
  });

  test("takes lucia from a session's creation to its end", async () => {
    const lucia = new Lucia(adapter, {
      sessionExpiresIn: new TimeSpan(2, "h"),
      getUserAttributes: ({ username }) => ({ username }),
      getSessionAttributes: ({ country }) => ({ country }),
    });
    const hours = (count) => new Date(Date.now() + count * 3_600_000);
    const near = (date, other) => assert.ok(Math.abs(date - other) < 60_000, `${date.toISOString()} and ${other.toISOString()}`);

    const created = await lucia.createSession("alice", { country: "DE" });
    near(created.expiresAt, hours(2));
    const validated = await lucia.validateSession(created.id);
    assert.deepEqual(validated, {
      user: { username: "Alice", id: "alice" },
      session: { country: "DE", id: created.id, userId: "alice", fresh: false, expiresAt: created.expiresAt },
    });
    assert.equal((await lucia.getUserSessions("alice")).length, 2);

    // In its second half a session is renewed.
    await sql`UPDATE user_session SET expires_at = ${hours(0.5)} WHERE id = ${created.id}`;
    const renewed = await lucia.validateSession(created.id);
    assert.equal(renewed.session.fresh, true);
    near(renewed.session.expiresAt, hours(2));
    const [{ expires_at: stored }] = await sql`SELECT expires_at FROM user_session WHERE id = ${created.id}`;
    assert.deepEqual(stored, renewed.session.expiresAt);
    assert.equal((await lucia.validateSession(created.id)).session.fresh, false);

    await lucia.invalidateSession(created.id);
    assert.deepEqual(await lucia.validateSession(created.id), { user: null, session: null });

    const expired = await lucia.createSession("alice", {});
    await sql`UPDATE user_session SET expires_at = ${hours(-1)} WHERE id = ${expired.id}`;
    assert.deepEqual(await lucia.validateSession(expired.id), { user: null, session: null });
    assert.deepEqual(await sql`SELECT id FROM user_session WHERE id = ${expired.id}`.then((rows) => [...rows]), []);

    const kept = await lucia.createSession("alice", {});
    const old = await lucia.createSession("alice", {});
    await sql`UPDATE user_session SET expires_at = ${hours(-1)} WHERE id = ${old.id}`;
    assert.equal(await lucia.deleteExpiredSessions(), undefined);
    assert.deepEqual((await sql`SELECT id FROM user_session ORDER BY id`).map(({ id }) => id), [kept.id, "session-a"].sort());
    await lucia.invalidateUserSessions("alice");
    assert.deepEqual(await lucia.getUserSessions("alice"), []);
  });

  test("is a class that require and import give alike, whose methods can be overridden", async () => {
    assert.equal(createRequire(import.meta.url)("lucia-postgres-native/v3").PostgresAdapter, PostgresAdapter);
    assert.throws(() => PostgresAdapter(url, tableNames), TypeError);
    class Logged extends PostgresAdapter {
      asked = [];
      getSessionAndUser(id) {
        this.asked.push(id);
        return super.getSessionAndUser(id);
      }
    }
    const logged = new Logged(url, tableNames);
    opened.push(logged);
    const { user } = await new Lucia(logged).validateSession("session-a");
    assert.deepEqual([user.id, logged.asked], ["alice", ["session-a"]]);
  });

  test("gives native promises of what Lucia wants", async () => {
    const expected = {
      getSessionAndUser: [session, alice],
      getUserSessions: [session],
    };
    for (const [name, args] of Object.entries(succeeding)) {
      const promise = adapter[name](...args(1));
      assert.ok(types.isPromise(promise) && Object.getPrototypeOf(promise) === Promise.prototype, name);
      assert.deepEqual(await promise, expected[name], name);
    }
    assert.deepEqual(await adapter.getSessionAndUser("nothing"), [null, null]);
    assert.deepEqual(await adapter.getUserSessions("nobody"), []);
  });

  test("rejects bad arguments, and throws none", async () => {
    for (const [name, ...args] of [
      ["getSessionAndUser", 5], ["getSessionAndUser"], ["getUserSessions", null], ["getUserSessions", {}], ["setSession"],
      ["setSession", "a"], ["setSession", null], ["setSession", [1]], ["updateSessionExpiration", 5, time], ["deleteSession", undefined],
      ["deleteUserSessions", Symbol("s")], ["deleteUserSessions", 5n],
    ]) {
      assert.ok((await outcome(adapter[name](...args))).error instanceof TypeError, `${name}(${args.map(String)})`);
    }
    assert.equal((await outcome(adapter.updateSessionExpiration("session-a", undefined))).error.code, "UNDEFINED_VALUE");
    assert.ok((await outcome(adapter.updateSessionExpiration("session-a", new Date(NaN)))).error instanceof RangeError);
  });

  test("throws a TypeError that names the argument", () => {
    for (const [args, message] of [
      [[5, tableNames], /^connection: /], [[url], /^tableNames: .*\{ user, session \}/], [[url, { user: "a" }], /^tableNames\.session: /],
      [[url, { session: "a" }], /^tableNames\.user: /], [[url, { user: "a", session: null }], /^tableNames\.session: .* not null/],
      [[url, { user: "a.", session: "b" }], /^tableNames\.user: .*no part of it may be empty/], [[url, tableNames, { maximum: 1 }], /maximum/],
    ]) {
      assert.throws(() => new PostgresAdapter(...args), (error) => error instanceof TypeError && message.test(error.message), String(message));
    }
  });

  test("leaves out attributes that are undefined, which then have their defaults", async () => {
    await sql`ALTER TABLE user_session ALTER country SET DEFAULT 'somewhere'`;
    await adapter.setSession({ ...session, id: "left-out", attributes: { country: undefined } });
    await adapter.setSession({ ...session, id: "no attributes", attributes: undefined });
    await adapter.setSession({ ...session, id: "null", attributes: { country: null } });
    await sql`ALTER TABLE user_session ALTER country DROP DEFAULT`;
    const found = await sql`SELECT country FROM user_session WHERE id <> 'session-a' ORDER BY id`;
    assert.deepEqual(found.map(({ country }) => country), ["somewhere", "somewhere", null]);
  });

  test("rejects with the database's errors, and none of Lucia 2's", async () => {
    const violations = [
      [{}, "23505"],
      [{ id: "b", userId: "nobody" }, "23503"],
      [{ id: "c", expiresAt: null }, "23502"],
      [{ id: "d", attributes: { city: "Porto" } }, "42703"],
    ];
    for (const [change, code] of violations) {
      const { error } = await outcome(adapter.setSession({ ...session, ...change }));
      assert.deepEqual([error.name, error.code], ["PostgresError", code]);
    }
  });

  test("takes and gives user ids as the column has them", async () => {
    for (const [index, [type, given, stored]] of [["int4", 7, 7], ["int8", 7, "7"], ["text", 7, "7"], ["numeric", 1.5, "1.5"], ["uuid",
      "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]].entries()) {
      await sql.unsafe(`CREATE TABLE user_${index} (id ${type} PRIMARY KEY); INSERT INTO user_${index} VALUES ('${given}');
        CREATE TABLE session_${index} (id TEXT PRIMARY KEY, user_id ${type} REFERENCES user_${index}, expires_at TIMESTAMPTZ)`);
      const other = new PostgresAdapter(url, { user: `user_${index}`, session: `session_${index}` });
      opened.push(other);
      await other.setSession({ id: "s", userId: given, expiresAt: time, attributes: {} });
      const expected = { userId: stored, id: "s", expiresAt: time, attributes: {} };
      assert.deepEqual(await other.getUserSessions(given), [expected], type);
      assert.deepEqual(await other.getSessionAndUser("s"), [expected, { id: stored, attributes: {} }], type);
      await other.deleteUserSessions(given);
      assert.deepEqual(await other.getUserSessions(given), [], type);
    }
  });

  test("gives a session without its user as [session, null], alone and among others, so that Lucia deletes it", async () => {
    await sql`ALTER TABLE user_session DROP CONSTRAINT user_session_user_id_fkey`;
    const orphan = { userId: "nobody", id: "orphan", expiresAt: time, attributes: { country: null } };
    await adapter.setSession(orphan);
    assert.deepEqual(await adapter.getSessionAndUser("orphan"), [orphan, null]);
    const ids = Array.from({ length: 60 }, (_, n) => ["orphan", "session-a", "nothing"][n % 3]);
    const expected = [[orphan, null], [session, alice], [null, null]];
    assert.deepEqual(await Promise.all(ids.map((id) => adapter.getSessionAndUser(id))), ids.map((_, n) => expected[n % 3]));
    assert.deepEqual(await new Lucia(adapter).validateSession("orphan"), { user: null, session: null });
    await sql`ALTER TABLE user_session ADD FOREIGN KEY (user_id) REFERENCES auth_user`;
  });

  test("reads tables that are views, one call and many", async () => {
    await sql`CREATE VIEW user_view AS SELECT id, max(username) AS username FROM auth_user GROUP BY id`;
    await sql`CREATE VIEW session_view AS SELECT * FROM user_session`;
    const views = new PostgresAdapter(url, { user: "user_view", session: "session_view" });
    opened.push(views);
    for (let round = 0; round < 3; round += 1) {
      const found = await Promise.all(Array.from({ length: 40 }, (_, n) => views.getSessionAndUser(n % 2 ? "session-a" : "nothing")));
      assert.deepEqual(found, found.map((_, n) => (n % 2 ? [session, alice] : [null, null])));
    }
    await views.updateSessionExpiration("session-a", new Date(time.getTime() + 1));
    assert.equal((await views.getUserSessions("alice"))[0].expiresAt - time, 1);
    await sql`DROP VIEW user_view, session_view`;
  });

  test("names its tables with schemas, capitals and quotes", async () => {
    await sql.unsafe(`CREATE SCHEMA "own one"; CREATE TABLE "own one"."the ""Users""" (id TEXT PRIMARY KEY);
      CREATE TABLE "own one"."Sessions" (id TEXT PRIMARY KEY, user_id TEXT, expires_at TIMESTAMPTZ);
      INSERT INTO "own one"."the ""Users""" VALUES ('u')`);
    const other = new PostgresAdapter(url, { user: 'own one.the "Users"', session: '"own one".Sessions' });
    opened.push(other);
    await other.setSession({ id: "s", userId: "u", expiresAt: time, attributes: {} });
    assert.equal((await other.getSessionAndUser("s"))[1].id, "u");
    await sql`DROP SCHEMA "own one" CASCADE`;
  });

  test("sends one prepared statement and takes one round trip for every method", async () => {
    const wire = await recordMessages(url);
    const recorded = open({ max: 1 }, wire.url);
    try {
      for (const [name, args] of Object.entries(succeeding)) {
        for (let round = 0; round < 3; round += 1) await recorded[name](...args(100 + round));
        wire.take();
        await recorded[name](...args(200));
        await recorded[name](...args(201));
        const messages = wire.take().join("");
        assert.match(messages, /^(BD?ES){2}$/, `${name} sent ${messages}`);
      }
    } finally {
      await recorded.end();
      await wire.close();
    }
  });

  test("sends calls that come together in a few statements", async () => {
    const ids = Array.from({ length: 160 }, (_, n) => `s${n}`);
    const many = (call) => observed(() => Promise.all(ids.map(call)));
    for (const [name, args] of Object.entries(succeeding)) await adapter[name](...args(0));
    for (const [method, call] of [
      ["setSession", (id, n) => adapter.setSession({ ...session, id, expiresAt: new Date(n) })],
      ["updateSessionExpiration", (id, n) => adapter.updateSessionExpiration(id, new Date(time.getTime() + n))],
      ["getSessionAndUser", (id) => adapter.getSessionAndUser(id)],
      ["getUserSessions", (id) => adapter.getUserSessions(id)],
      ["deleteUserSessions", (id) => adapter.deleteUserSessions(id)],
    ]) {
      const told = await many(call);
      assert.deepEqual([...new Set(told.map((message) => message.method))], [method]);
      assert.ok(told.filter(({ batch }) => batch > 4).length > 80, `${method}: ${told.map(({ batch }) => batch)}`);
      if (method !== "updateSessionExpiration") continue;
      const [{ count }] = await sql`SELECT count(DISTINCT xmin::text)::int FROM user_session WHERE id ~ '^s[0-9]'`;
      assert.ok(count < 40, `${count} transactions`);
      const rows = await sql`SELECT id, expires_at FROM user_session WHERE id ~ '^s[0-9]'`;
      for (const { id, expires_at: stored } of rows) assert.equal(stored - time, Number(id.slice(1)));
    }
    const deletions = await many((id) => adapter.deleteSession(id));
    assert.deepEqual([...new Set(deletions.map(({ rows }) => rows))], [1]);
    const [expired] = await observed(() => adapter.deleteExpiredSessions());
    assert.deepEqual([expired.method, expired.table], ["deleteExpiredSessions", "user_session"]);
  });

  test("keeps the last of several renewals of one session that are one statement", async () => {
    const one = open({ max: 1 });
    await one.updateSessionExpiration("session-a", time);
    for (let round = 1; round < 10; round += 1) {
      await Promise.all(Array.from({ length: 30 }, (_, n) => one.updateSessionExpiration("session-a", new Date(round * 1000 + n))));
      assert.equal((await one.getUserSessions("alice"))[0].expiresAt.getTime(), round * 1000 + 29);
    }
  });

  test("shares its connections with an adapter of Lucia 2 that has the same settings", async () => {
    const named = new URL(url);
    named.searchParams.set("application_name", "both versions");
    const three = open({ share: true }, named.href);
    const two = postgres(named.href, { user: "auth_user", key: "user_key", session: null });
    opened.push(two);
    await Promise.all([three.getSessionAndUser("session-a"), two(LuciaError).getUser("alice")]);
    for (let round = 0; round < 10; round += 1) {
      await three.getSessionAndUser("session-a");
      await two(LuciaError).getUser("alice");
    }
    assert.deepEqual(three.stats(), two.stats());
    await two.end();
    assert.deepEqual((await three.getSessionAndUser("session-a"))[1], alice);
  });

  test("tells what its connections do, and refuses calls after its end", async () => {
    const other = open({ max: 3 });
    const { max, connections, idle, waiting, opened: soFar } = other.stats();
    assert.deepEqual([max, connections, idle, waiting, soFar], [3, 0, 0, 0, 0]);
    const under = other.getSessionAndUser("session-a");
    const ended = other.end();
    assert.deepEqual(await under, [session, alice]);
    assert.equal(await ended, undefined);
    for (const [name, args] of Object.entries(succeeding)) {
      assert.equal((await outcome(other[name](...args(1)))).error?.code, "CONNECTION_ENDED", name);
    }
  });

  test("reads the settings of a postgres instance and of a pg.Pool", async () => {
    const instance = connect(url);
    const pool = new pg.Pool({ connectionString: url });
    for (const existing of [instance, pool]) {
      const other = new PostgresAdapter(existing, tableNames);
      opened.push(other);
      assert.deepEqual(await other.getSessionAndUser("session-a"), [session, alice]);
    }
    await Promise.all([instance.end(), pool.end()]);
  });
});
