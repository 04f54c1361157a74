// No call waits beside a connection that is free or may be opened, whatever happens to other connections.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";

import { openAdapter, terminate, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { populate } from "./support/load.mjs";
import { databaseWith } from "./support/once.mjs";
import { startProxy } from "./support/proxy.mjs";

const limit = { timeout: 60_000 };
const database = await databaseWith(populate);
const { sql } = database;

/** Runs `act` while another client has the rows of these users locked. */
async function whileLocked(users, act) {
  return sql.begin(async (other) => {
    await other`SELECT FROM auth_user WHERE id IN ${other(users)} FOR UPDATE`;
    return { result: await act() };
  });
}

const waiting = (name, count) => (
  eventually(10, `${count} statements wait for a lock`, async () => await waitingStatements(sql, name) === count)
);

async function behindProxy(t) {
  const proxy = await startProxy(database.url);
  t.after(() => proxy.stop());
  return { proxy, url: proxy.url(database.url) };
}

/** An adapter whose pool has just one connection: on a slow machine a second may be opened while the first is. */
async function withOneConnection(t, url, options) {
  for (;;) {
    const opened = openAdapter(t, url, options);
    await opened.adapter.getUser("u1");
    if (opened.initializer.stats().connections === 1) return opened;
  }
}

describe("a lookup is answered", () => {
  test("after the next attempt, when a connection is refused while another is busy", limit, async (t) => {
    const { proxy, url } = await behindProxy(t);
    const { adapter, name } = await withOneConnection(t, url, { connect_timeout: 30 });
    const { result } = await whileLocked(["u1"], async () => {
      const update = adapter.updateUser("u1", { username: "name 1" });
      await waiting(name, 1);
      const refused = new Promise((resolve) => {
        proxy.once("connection", (connection) => {
          connection.close("reset");
          resolve();
        });
      });
      const lookup = adapter.getUser("u2");
      await refused;
      await within(5, "the lookup is answered", lookup);
      return [update];
    });
    await result[0];
  });

  test("at once, over an idle connection, when another has just been refused", limit, async (t) => {
    const { proxy, url } = await behindProxy(t);
    const { adapter, initializer, name } = openAdapter(t, url, { max: 3 });
    await adapter.getUser("u1");
    const { result } = await whileLocked(["u1"], async () => {
      const update = adapter.updateUser("u1", { username: "name 1" });
      await waiting(name, 1);
      await adapter.getUser("u2");
      proxy.on("connection", (connection) => connection.close("reset"));
      // A burst of two: one takes the idle connection, for the other a third is tried, and refused.
      const refused = new Promise((resolve) => {
        proxy.once("connection", resolve);
      });
      const burst = [adapter.getUser("u2"), adapter.getKey("k1")];
      await Promise.all([refused, ...burst]);
      assert.equal(initializer.stats().idle, 1);
      const start = performance.now();
      await within(5, "the lookup is answered", adapter.getUser("u2"));
      assert.ok(performance.now() - start < 250, "it did not wait for the next attempt");
      proxy.removeAllListeners("connection");
      return [update];
    });
    await result[0];
  });

  test("while the connection of a call that came earlier hangs in being opened", limit, async (t) => {
    const { proxy, url } = await behindProxy(t);
    const { adapter } = openAdapter(t, url, { connect_timeout: 30 });
    await adapter.getUser("u1");
    // All connections end, as in a failover, and the first new one is swallowed.
    const swallowed = new Promise((resolve) => {
      proxy.once("connection", (connection) => {
        connection.stall();
        resolve();
      });
    });
    proxy.reset();
    const first = adapter.getUser("u2");
    await swallowed;
    await within(5, "later lookups are answered", Promise.all([1, 2, 3].map((n) => adapter.getUser(`u${n}`))));
    await within(5, "and the first", first);
  });

  test("beside an idle connection, whenever it comes", { timeout: 120_000 }, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 2, connect_timeout: 20 });
    await adapter.getUser("u1");
    const { result } = await whileLocked(["u1"], async () => {
      const update = adapter.updateUser("u1", { username: "name 1" });
      await waiting(name, 1);
      for (let round = 0; round < 3000; round += 1) {
        const first = adapter.getUser("u2");
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        // The second comes at some moment while the first is answered and its connection becomes free.
        const until = performance.now() + Math.random() * 0.25;
        while (performance.now() < until);
        await within(5, `round ${round}: both are answered`, Promise.all([first, adapter.getUser("u3")]));
      }
      return [update];
    });
    await result[0];
  });

  test("after the event loop was blocked for longer than connect_timeout", limit, async (t) => {
    const { adapter } = openAdapter(t, database.url, { connect_timeout: 1 });
    await adapter.getUser("u1");
    const call = adapter.getUser("u2");
    // A breakpoint, or long work.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    assert.equal((await call).id, "u2");
  });
});

describe("writes", () => {
  test("of others are not held up by one whose connection was lost and is opened anew", limit, async (t) => {
    const { proxy, url } = await behindProxy(t);
    const { adapter, name } = openAdapter(t, url, { max: 2, connect_timeout: 30 });
    await adapter.updateUser("u2", { username: "name 2" });
    let lost;
    await whileLocked(["u1"], async () => {
      lost = adapter.updateUser("u1", { username: "name 1" });
      lost.catch(() => {});
      await waiting(name, 1);
      proxy.once("connection", (connection) => connection.stall());
      await terminate(sql, name);
    });
    await within(5, "another write is made", adapter.updateUser("u3", { username: "name 3" }));
    proxy.resume();
    await within(20, "the lost one ends", lost.catch(() => {}));
  });

  test("that come cold are made side by side, each over a connection of its own", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 11 });
    const users = Array.from({ length: 10 }, (_, index) => `u${index + 11}`);
    const { result } = await whileLocked(users, async () => {
      const updates = users.map((id) => adapter.updateUser(id, { username: `name ${id.slice(1)}` }));
      await waiting(name, 10);
      return updates;
    });
    await Promise.all(result);
  });

  for (const isolation of ["serializable", "repeatable read"]) {
    test(`of one row are all made under ${isolation}, however they contend`, limit, async (t) => {
      const connection = { default_transaction_isolation: isolation, synchronous_commit: "on" };
      const { adapter } = openAdapter(t, database.url, { max: 10, connection });
      const names = Array.from({ length: 300 }, (_, index) => `name ${index}`);
      await Promise.all(names.map((username) => adapter.updateUser("u9", { username })));
      assert.ok(names.includes((await adapter.getUser("u9")).username));
    });
  }
});

test("an open pool that has nothing to do lets its thread sleep", { ...limit, skip: process.platform !== "linux" && "counts the switches of Linux's threads" }, async (t) => {
  const { adapter } = openAdapter(t, database.url);
  await Promise.all(Array.from({ length: 20 }, (_, n) => adapter.getUser(`u${n + 1}`)));
  const thread = readdirSync("/proc/self/task").map((id) => `/proc/self/task/${id}/status`)
    .find((file) => readFileSync(file, "utf8").startsWith("Name:\tlucia-postgres"));
  const switches = () => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(thread, "utf8"))[1]);
  await pass(500);
  const before = switches();
  await pass(3000);
  assert.equal(switches() - before, 0);
});
