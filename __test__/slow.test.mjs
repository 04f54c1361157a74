// One slow thing does not stop the rest, waiting is bounded, and the error says for what it waited.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { openAdapter, runningStatements, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { tableNames } from "./support/database.mjs";
import { NOTHING_WRONG, Outcome, populate, read, reads, SignUps, USERS } from "./support/load.mjs";
import { observeTest } from "./support/observed.mjs";
import { databaseWith } from "./support/once.mjs";
import { startProxy } from "./support/proxy.mjs";
import { seeded } from "./support/random.mjs";

const random = seeded();
/** So that a call which never settles fails its own test only. */
const limit = { timeout: 40_000 };
const database = await databaseWith(populate);
const { sql } = database;
// Updating the user `slow`, and reading the session `slow`, waits for the advisory lock 1. (`STABLE`, so that a join
// computes the column only for the rows that it returns.)
await sql.unsafe(`
  INSERT INTO auth_user VALUES ('slow', 'slow');
  INSERT INTO user_session VALUES ('slow', 'slow', 1, 2, 'slow');
  CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
  CREATE TRIGGER wait BEFORE UPDATE ON auth_user FOR EACH ROW WHEN (OLD.id = 'slow') EXECUTE FUNCTION wait();
  ALTER TABLE user_session RENAME TO stored_session;
  CREATE FUNCTION waited(country TEXT) RETURNS TEXT STABLE LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN country; END';
  CREATE VIEW user_session AS SELECT id, user_id, active_expires, idle_expires,
    CASE id WHEN 'slow' THEN waited(country) ELSE country END AS country FROM stored_session;
`);

/** Runs `act` while another client holds the advisory lock and has the row of user `u1` locked. */
async function whileLocked(act) {
  return sql.begin(async (other) => {
    await other`SELECT pg_advisory_xact_lock(1)`;
    await other`UPDATE auth_user SET username = username WHERE id = 'u1'`;
    return { result: await act() };
  });
}

/** Reads of every kind of other users, so many at a time, all of which are answered. */
async function othersAreRead(adapter, rounds = 20, width = 16) {
  const names = Object.keys(reads);
  for (let round = 0; round < rounds; round += 1) {
    const some = Array.from({ length: width }, () => read(adapter, random.pick(names), random.between(2, USERS)));
    await within(10, "the reads of other rows are answered", Promise.all(some));
  }
}

const waiting = (name, count) => (
  eventually(10, `${count} statements wait for a lock`, async () => await waitingStatements(sql, name) === count)
);

const none = (name) => (
  eventually(10, "the server runs no statement of the adapter", async () => await runningStatements(sql, name) === 0)
);

describe("reads of other rows go on", () => {
  test("while an update waits for a locked row", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url);
    const { result } = await whileLocked(async () => {
      const update = adapter.updateUser("u1", { username: "name 1" });
      await waiting(name, 1);
      await othersAreRead(adapter);
      await adapter.updateUser("u2", { username: "name 2" });
      return [update];
    });
    await result[0];
  });

  test("while a read is slow", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url);
    const { result } = await whileLocked(async () => {
      const slow = [adapter.getSession("slow"), adapter.getSessionsByUserId("slow"), adapter.getSessionAndUser("slow")];
      await waiting(name, 3);
      await othersAreRead(adapter);
      return slow;
    });
    const [session, sessions, [again, user]] = await Promise.all(result);
    assert.equal(session.country, "slow");
    assert.equal(sessions[0].country, "slow");
    assert.deepEqual([again.country, user.id], ["slow", "slow"]);
  });

  test("that were called for together with a slow one", limit, async (t) => {
    const { adapter } = openAdapter(t, database.url);
    await othersAreRead(adapter, 5);
    const { result } = await whileLocked(async () => {
      const slow = [];
      const others = [];
      for (let n = 2; n <= USERS; n += 1) {
        if (n === 100) slow.push(adapter.getSession("slow"));
        others.push(read(adapter, "getSession", n));
      }
      await within(10, "the reads of other rows are answered", Promise.all(others));
      return slow;
    });
    assert.equal((await result[0]).country, "slow");
  });

  test("while as many as a near server is sent at a time wait for another table", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 5 });
    await othersAreRead(adapter, 5);
    const held = await sql.begin(async (other) => {
      await other`LOCK TABLE stored_session IN ACCESS EXCLUSIVE MODE`;
      const sessions = Array.from({ length: 64 }, (_, n) => read(adapter, "getSession", n + 1));
      await eventually(10, "lookups wait for the table", async () => await waitingStatements(sql, name) >= 3);
      await within(10, "a read of users is answered", read(adapter, "getUser", 1));
      return { sessions };
    });
    await Promise.all(held.sessions);
  });

  test("while more updates than there are connections wait for one locked row", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 4 });
    await othersAreRead(adapter, 1);
    const updates = new Outcome();
    await whileLocked(async () => {
      for (let n = 0; n < 40; n += 1) updates.follow(adapter.updateUser("u1", { username: "name 1" }));
      await eventually(10, "updates wait for the row", async () => await waitingStatements(sql, name) > 0);
      await othersAreRead(adapter);
    });
    assert.deepEqual(await updates.all(), { resolved: 40, rejected: 0, pending: 0, codes: {} });
  });

  test("while one huge result is on its way, which arrives whole", limit, async (t) => {
    const rows = 20_000;
    await sql`INSERT INTO user_key SELECT 'one of many ' || n, 'u1', NULL FROM generate_series(1, ${rows}::int) n`;
    t.after(() => sql`DELETE FROM user_key WHERE id LIKE 'one of many %'`);
    const proxy = await startProxy(database.url);
    t.after(() => proxy.stop());
    const { adapter } = openAdapter(t, proxy.url(database.url));
    await othersAreRead(adapter, 5);
    const full = new Promise((resolve) => {
      const before = new Map([...proxy.connections].map((connection) => [connection, connection.passed.toClient]));
      proxy.on("forwarded", (connection) => {
        if (connection.passed.toClient - (before.get(connection) ?? 0) < 100_000) return;
        connection.stall();
        resolve(connection);
      });
    });
    const huge = adapter.getKeysByUserId("u1");
    const connection = await within(10, "100,000 bytes of the huge result have passed", full);
    proxy.removeAllListeners("forwarded");
    await othersAreRead(adapter);
    connection.resume();
    const keys = await within(20, "the huge result arrives", huge);
    assert.equal(new Set(keys.map(({ id }) => id)).size, rows + 1);
  });

  test("when 20,000 calls are made at once, and each gets its own answer", limit, async (t) => {
    const { adapter } = openAdapter(t, database.url);
    const names = Object.keys(reads);
    const calls = new Outcome();
    const signUps = new SignUps();
    for (let n = 0; n < 20_000; n += 1) {
      if (n % 200 === 0) signUps.one(adapter);
      calls.follow(read(adapter, names[n % names.length], 1 + n % USERS));
    }
    assert.deepEqual(await calls.all(), { resolved: 20_000, rejected: 0, pending: 0, codes: {} });
    assert.deepEqual(await signUps.all(), { resolved: 100, rejected: 0, pending: 0, codes: {} });
    assert.deepEqual(await signUps.audit(sql), NOTHING_WRONG);
  });
});

test("the second that calls of one statement may hold each other up counts from the sending", limit, async (t) => {
  const proxy = await startProxy(database.url);
  t.after(() => proxy.stop());
  proxy.latency = () => 75;
  // An interval is asked for as text, which takes more round trips to find out.
  await sql`CREATE TABLE rich_user (id TEXT PRIMARY KEY, allowance INTERVAL)`;
  const { adapter } = openAdapter(t, proxy.url(database.url), {}, { ...tableNames, user: "rich_user" });
  const calls = observeTest(t);
  await Promise.all(Array.from({ length: 16 }, (_, n) => adapter.getUser(`u${n}`)));
  assert.deepEqual(calls.map(({ batch, retries }) => [batch, retries]), Array(16).fill([16, 0]));
});

describe("a call that gets no connection within connect_timeout", () => {
  test("rejects with CONNECT_TIMEOUT, says what it waited for, and is not done later", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 1, connect_timeout: 1 });
    const { result } = await whileLocked(async () => {
      const update = adapter.updateUser("u1", { username: "name 1" });
      await waiting(name, 1);
      const expected = (error) => {
        assert.equal(error.code, "CONNECT_TIMEOUT");
        assert.match(error.message, /connection/i);
        return true;
      };
      const calls = [
        assert.rejects(adapter.getUser("u2"), expected),
        assert.rejects(adapter.setUser({ id: "too late" }, null), expected),
      ];
      await within(4, "the calls reject", Promise.all(calls));
      return [update];
    });
    await within(5, "the update resolves once its row is free", result[0]);
    await othersAreRead(adapter, 1);
    assert.equal(await adapter.getUser("too late"), null);
  });
});

describe("a call that gets no answer within query_timeout", () => {
  const expected = (error) => {
    assert.equal(error.code, "QUERY_TIMEOUT");
    assert.match(error.message, /query_timeout|statement|answer/i);
    return true;
  };

  test("rejects with QUERY_TIMEOUT, and the server is told to cancel a read", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 3, query_timeout: 1 });
    await whileLocked(async () => {
      const slow = [adapter.getSession("slow"), adapter.getSessionsByUserId("slow"), adapter.getSessionAndUser("slow")];
      await within(4, "the reads reject", Promise.all(slow.map((call) => assert.rejects(call, expected))));
      await none(name);
    });
  });

  test("rejects with QUERY_TIMEOUT, and an update that was cancelled is not done later", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 3, query_timeout: 1 });
    await whileLocked(async () => {
      await within(4, "the update rejects", assert.rejects(adapter.updateUser("u1", { username: "changed" }), expected));
      await none(name);
    });
    await read(adapter, "getUser", 1);
  });

  test("has a request to cancel that comes late meet no other call", limit, async (t) => {
    const proxy = await startProxy(database.url);
    t.after(() => proxy.stop());
    const { adapter, name } = openAdapter(t, proxy.url(database.url), { max: 2, query_timeout: 2 });
    await read(adapter, "getSession", 1);
    const { result } = await whileLocked(async () => {
      const held = proxy.holdCancel();
      await assert.rejects(adapter.getSession("slow"), expected);
      const release = await within(5, "a request to cancel is sent", held);
      const later = adapter.getSession("slow");
      await waiting(name, 2);
      release();
      await waiting(name, 1);
      return [later];
    });
    assert.equal((await result[0]).country, "slow");
  });

  test("rejects with QUERY_TIMEOUT after 30 s without any option, and the next lookup is answered", { timeout: 60_000 }, async (t) => {
    const proxy = await startProxy(database.url);
    t.after(() => proxy.stop());
    const { adapter } = openAdapter(t, proxy.url(database.url), { max: 1 });
    await adapter.getUser("u1");
    // A pooler that swallows one statement, and keeps TCP alive.
    for (const connection of proxy.connections) connection.stall();
    await within(35, "the lookup rejects", assert.rejects(adapter.getUser("u2"), expected));
    assert.equal((await within(5, "the pool is whole again", adapter.getUser("u3"))).id, "u3");
  });

  test("does not have a later call on the same connection cancelled", limit, async (t) => {
    const { adapter } = openAdapter(t, database.url, { max: 1, query_timeout: 0.05 });
    const others = new Outcome();
    // A busy server may not have begun the update when it is told to cancel it: then nobody knows what becomes of the update.
    const givenUp = ({ code }) => ["QUERY_TIMEOUT", "OUTCOME_UNKNOWN"].includes(code);
    for (let round = 0; round < 20; round += 1) {
      await whileLocked(() => assert.rejects(adapter.updateUser("slow", { username: "changed" }), givenUp));
      // A cancellation that arrives too late would end one of these.
      for (let n = 1; n <= 20; n += 1) others.follow(adapter.getUser(`u${n}`));
      await others.all();
    }
    const ended = others.errors.filter(({ code }) => code !== "QUERY_TIMEOUT");
    assert.deepEqual(ended, []);
  });
});
