// What `stats()` tells: figures of the moment, counts and times so far.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openAdapter, terminate, waitingStatements } from "./support/adapter.mjs";
import { eventually } from "./support/bounded.mjs";
import { createTables, freshDatabase } from "./support/database.mjs";
import { startProxy } from "./support/proxy.mjs";

const limit = { timeout: 30_000 };
const boundaries = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

let database;
before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await database.sql`INSERT INTO auth_user (id) VALUES ('u')`;
});
after(() => database?.drop());

/** The figures, of whose times only the counts are known. */
const counted = ({ waitTime, useTime, ...figures }) => ({ ...figures, waits: waitTime.count, uses: useTime.count });

const nothing = {
  max: 1, connections: 0, idle: 0, waiting: 0,
  opened: 0, lost: 0, retried: 0, cancelled: 0, unknown: 0, queryTimeouts: 0, connectTimeouts: 0,
  waits: 0, uses: 0,
};

/** Runs `act` while another client has the table of users for itself. */
const whileLocked = (act) => database.sql.begin(async (other) => {
  await other`LOCK TABLE auth_user`;
  return await act();
});

const one = (name) => eventually(10, "a statement waits for the lock", async () => await waitingStatements(database.sql, name) === 1);

test("stats tells the connections and the calls that wait", limit, async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url, { max: 2 });
  assert.deepEqual(counted(initializer.stats()), { ...nothing, max: 2 });
  const calls = Array.from({ length: 100 }, () => adapter.getUser("u"));
  assert.equal(initializer.stats().waiting, 100);
  await Promise.all(calls);
  const { connections, waiting, opened } = initializer.stats();
  assert.ok(connections >= 1 && connections <= 2);
  assert.equal(waiting, 0);
  assert.ok(opened >= 1 && opened <= connections);
});

test("stats counts the connections that are opened and lost, and the calls that are done again", limit, async (t) => {
  const { adapter, initializer, name } = openAdapter(t, database.url, { max: 1 });
  await adapter.getUser("u");
  assert.deepEqual(counted(initializer.stats()), { ...nothing, connections: 1, idle: 1, opened: 1, waits: 1, uses: 1 });
  const lookup = await whileLocked(async () => {
    const calls = [adapter.getUser("u")];
    await one(name);
    await terminate(database.sql, name);
    await eventually(10, "the connection is lost", () => initializer.stats().lost === 1);
    return calls;
  });
  await Promise.all(lookup);
  const figures = { ...nothing, connections: 1, idle: 1, opened: 2, lost: 1, retried: 1, waits: 3, uses: 3 };
  assert.deepEqual(counted(initializer.stats()), figures);
  await terminate(database.sql, name);
  await eventually(10, "the idle connection is lost", () => initializer.stats().connections === 0);
  assert.deepEqual(counted(initializer.stats()), { ...figures, connections: 0, idle: 0, lost: 2 });
});

test("stats does not count a connection as lost that idle_timeout has closed", limit, async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url, { max: 1, idle_timeout: 0.05 });
  await adapter.getUser("u");
  await eventually(10, "the connection is closed", () => initializer.stats().connections === 0);
  assert.deepEqual(counted(initializer.stats()), { ...nothing, opened: 1, waits: 1, uses: 1 });
});

test("stats counts the statements that are cancelled, and the calls that time out with and without a connection", limit, async (t) => {
  const { adapter, initializer, name } = openAdapter(t, database.url, { max: 1, query_timeout: 4, connect_timeout: 2 });
  await adapter.getUser("u");
  await whileLocked(async () => {
    const first = assert.rejects(adapter.getUser("u"), { code: "QUERY_TIMEOUT" });
    await one(name);
    await assert.rejects(adapter.getKey("k"), { code: "CONNECT_TIMEOUT" });
    await first;
  });
  await eventually(10, "the connection is closed", () => initializer.stats().connections === 0);
  const { waits, ...figures } = counted(initializer.stats());
  assert.deepEqual({ ...figures, waits }, {
    ...nothing, opened: 1, cancelled: 1, queryTimeouts: 1, connectTimeouts: 1, waits: 2, uses: 2,
  });
});

test("stats counts the calls of which it is not known whether they were carried out", limit, async (t) => {
  const proxy = await startProxy(database.url);
  t.after(() => proxy.stop());
  const { adapter, initializer } = openAdapter(t, proxy.url(database.url), { max: 1 });
  await adapter.getUser("u");
  const cut = proxy.cutAnswer("marked", 0);
  await assert.rejects(adapter.setUser({ id: "marked" }, null), { code: "OUTCOME_UNKNOWN" });
  await cut;
  assert.deepEqual(counted(initializer.stats()), { ...nothing, opened: 1, lost: 1, unknown: 1, waits: 2, uses: 2 });
});

test("stats has the times of waiting and of use in seconds, and in which bucket each is", limit, async (t) => {
  const { adapter, initializer, name } = openAdapter(t, database.url, { max: 1 });
  await adapter.getUser("u");
  const before = initializer.stats();
  for (const { buckets, count } of [before.waitTime, before.useTime]) {
    assert.deepEqual(buckets.boundaries, boundaries);
    assert.equal(buckets.counts.length, boundaries.length + 1);
    assert.equal(buckets.counts.reduce((sum, each) => sum + each), count);
  }
  let waited;
  const calls = await whileLocked(async () => {
    const first = adapter.getUser("u");
    await one(name);
    const second = adapter.getKey("k");
    const since = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 600));
    waited = () => (performance.now() - since) / 1000;
    return [first, second];
  });
  await Promise.all(calls);
  const longest = waited();
  const { waitTime, useTime } = initializer.stats();
  for (const [now, then] of [[waitTime, before.waitTime], [useTime, before.useTime]]) {
    const sum = now.sum - then.sum;
    assert.ok(sum > 0.55 && sum < longest + 0.5, `${sum} s of ${longest} s`);
    assert.equal(now.count - then.count, 2);
    const long = now.buckets.counts.slice(6).reduce((total, each) => total + each);
    assert.equal(long - then.buckets.counts.slice(6).reduce((total, each) => total + each), 1);
  }
});
