// From the first call to the last: what `end` waits for, how a process exits, and that nothing is left behind.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { connectionsOf, openAdapter, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { runChild } from "./support/child.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { NOTHING_WRONG, Outcome, populate, read, reads, SignUps, USERS } from "./support/load.mjs";
import { databaseWith } from "./support/once.mjs";

/** So that a call which never settles fails its own test only. */
const limit = { timeout: 180_000 };
const database = await databaseWith(populate);
const { sql } = database;

/** Runs `act` while another client has the row of user `u1` locked and one statement of the adapter waits for it. */
async function whileAnUpdateWaits(opened, act) {
  let update;
  await sql.begin(async (other) => {
    await other`UPDATE auth_user SET username = username WHERE id = 'u1'`;
    update = opened.adapter.updateUser("u1", { username: "name 1" });
    update.catch(() => {});
    await eventually(10, "the update waits", async () => await waitingStatements(sql, opened.name) === 1);
    await act(update);
  });
  return { update };
}

const noConnections = (name) => (
  eventually(10, "no connection is left on the server", async () => await connectionsOf(sql, name) === 0)
);

/** Every method, with arguments that it takes. */
const calls = {
  getUser: ["u1"],
  setUser: [{ id: "late" }, null],
  updateUser: ["late", { username: "late" }],
  deleteUser: ["late"],
  getKey: ["k1"],
  getKeysByUserId: ["u1"],
  setKey: [{ id: "late", user_id: "u1", hashed_password: null }],
  updateKey: ["late", { hashed_password: "late" }],
  deleteKey: ["late"],
  deleteKeysByUserId: ["late"],
  getSession: ["s1"],
  getSessionsByUserId: ["u1"],
  getSessionAndUser: ["s1"],
  setSession: [{ id: "late", user_id: "u1", active_expires: 1, idle_expires: 2 }],
  updateSession: ["late", { country: "late" }],
  deleteSession: ["late"],
  deleteSessionsByUserId: ["late"],
};

describe("an adapter", () => {
  test("connects when it is first called, not when it is made", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url);
    await sql`SELECT 1`;
    assert.equal(await connectionsOf(sql, name), 0);
    await read(adapter, "getUser", 1);
    assert.notEqual(await connectionsOf(sql, name), 0);
  });

  test("never has more than max connections, and has max when so many calls are slow", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 3 });
    const many = new Outcome();
    for (let n = 0; n < 500; n += 1) many.follow(read(adapter, "getSessionAndUser", 1 + n % USERS));
    while (many.settled < many.started) {
      assert.ok(await connectionsOf(sql, name) <= 3);
    }
    assert.equal(many.resolved, 500);
  });

  test("closes connections that were idle for idle_timeout, and opens new ones", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { idle_timeout: 1 });
    await read(adapter, "getUser", 1);
    await noConnections(name);
    await read(adapter, "getUser", 2);
  });

  test("replaces connections that are older than max_lifetime, and fails no call for it", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 2, max_lifetime: 1 });
    await read(adapter, "getUser", 1);
    const [{ pid }] = await sql`SELECT pid FROM pg_stat_activity WHERE application_name = ${name}`;
    await eventually(10, "the first connection is replaced", async () => {
      await read(adapter, "getUser", 1);
      return (await sql`SELECT 1 FROM pg_stat_activity WHERE pid = ${pid}`).length === 0;
    });
  });
});

describe("end", () => {
  test("waits for calls in flight, and closes the connections", limit, async (t) => {
    const opened = openAdapter(t, database.url);
    const order = [];
    let ended;
    const { update } = await whileAnUpdateWaits(opened, async (waiting) => {
      waiting.then(() => order.push("the update"));
      ended = opened.initializer.end().then(() => order.push("the end"));
      await sql`SELECT 1`;
      order.push("the lock");
    });
    await within(10, "the call and end resolve", Promise.all([update, ended]));
    assert.equal(order[0], "the lock");
    await noConnections(opened.name);
  });

  test("waits for calls that are queued", limit, async (t) => {
    const { adapter, initializer } = openAdapter(t, database.url, { max: 1 });
    const queued = new Outcome();
    const signUps = new SignUps();
    for (let n = 1; n <= USERS; n += 1) {
      queued.follow(read(adapter, "getSessionAndUser", n));
      signUps.one(adapter);
    }
    await within(10, "end resolves", initializer.end());
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    assert.deepEqual(queued.counts(), { resolved: USERS, rejected: 0, pending: 0, codes: {} });
    assert.deepEqual(signUps.counts(), { resolved: USERS, rejected: 0, pending: 0, codes: {} });
    assert.deepEqual(await signUps.audit(sql), NOTHING_WRONG);
  });

  test("waits for first calls by ids that are no text, which ask the server twice", limit, async (t) => {
    await sql.unsafe(`CREATE TABLE by_bytes (id bytea PRIMARY KEY); INSERT INTO by_bytes VALUES ('u1')`);
    const { adapter, initializer } = openAdapter(t, database.url, {}, { ...tableNames, user: "by_bytes" });
    const both = Promise.all([adapter.getUser("u1"), adapter.setUser({ id: "u2" }, null)]);
    await within(10, "end resolves", initializer.end());
    assert.deepEqual(await both, [{ id: Buffer.from("u1") }, undefined]);
    assert.deepEqual((await sql`SELECT id FROM by_bytes`).map(({ id }) => id.toString()).sort(), ["u1", "u2"]);
  });

  test("makes every later call reject with CONNECTION_ENDED", limit, async (t) => {
    const { adapter, initializer, name } = openAdapter(t, database.url);
    await read(adapter, "getUser", 1);
    const ended = initializer.end();
    const whileEnding = assert.rejects(adapter.getUser("u1"), { code: "CONNECTION_ENDED" });
    await ended;
    await whileEnding;
    assert.deepEqual(Object.keys(calls).sort(), Object.keys(adapter).sort());
    for (const [method, args] of Object.entries(calls)) {
      await assert.rejects(adapter[method](...args), { code: "CONNECTION_ENDED" }, method);
    }
    await assert.rejects(initializer(LuciaError).getUser("u1"), { code: "CONNECTION_ENDED" });
    await noConnections(name);
  });

  test("may be called twice, at once or later, and before any call", limit, async (t) => {
    const { adapter, initializer } = openAdapter(t, database.url);
    await read(adapter, "getUser", 1);
    assert.deepEqual(await Promise.all([initializer.end(), initializer.end({ timeout: 1 })]), [undefined, undefined]);
    assert.equal(await initializer.end(), undefined);
    const unused = openAdapter(t, database.url);
    assert.equal(await within(5, "end resolves", unused.initializer.end()), undefined);
    await assert.rejects(unused.adapter.getUser("u1"), { code: "CONNECTION_ENDED" });
  });

  for (const timeout of [0, 1]) {
    test(`with a timeout of ${timeout} s rejects what has not settled by then`, limit, async (t) => {
      const opened = openAdapter(t, database.url, { max: 1 });
      const { update } = await whileAnUpdateWaits(opened, async (waiting) => {
        const queued = opened.adapter.getUser("u2");
        const started = performance.now();
        const all = Promise.all([
          assert.rejects(waiting, { code: "CONNECTION_DESTROYED" }),
          assert.rejects(queued, { code: "CONNECTION_DESTROYED" }),
          opened.initializer.end({ timeout }),
        ]);
        await within(timeout + 3, "both calls reject and end resolves", all);
        assert.ok(performance.now() - started >= timeout * 1000 - 50);
      });
      await assert.rejects(update);
      await assert.rejects(opened.adapter.getUser("u1"), { code: "CONNECTION_ENDED" });
      await noConnections(opened.name);
    });
  }

  test("rejects a read in flight with CONNECTION_DESTROYED when its timeout has passed", limit, async (t) => {
    const opened = openAdapter(t, database.url);
    await read(opened.adapter, "getKey", 1);
    await sql.begin(async (other) => {
      await other`LOCK TABLE user_key IN ACCESS EXCLUSIVE MODE`;
      const reading = assert.rejects(opened.adapter.getKey("k1"), { code: "CONNECTION_DESTROYED" });
      await eventually(10, "the read waits", async () => await waitingStatements(sql, opened.name) === 1);
      await within(3, "the read rejects", Promise.all([reading, opened.initializer.end({ timeout: 0 })]));
    });
    await noConnections(opened.name);
  });

  test("before its timeout resolves as soon as the calls have settled", limit, async (t) => {
    const { adapter, initializer } = openAdapter(t, database.url);
    const reading = read(adapter, "getUser", 1);
    await within(5, "end resolves", initializer.end({ timeout: 60 }));
    await reading;
  });

  test("with a timeout that is longer than a timer can be waits for calls in flight", limit, async (t) => {
    for (const timeout of [Infinity, 1e300, 2 ** 31 / 1000]) {
      const opened = openAdapter(t, database.url);
      let ended;
      const { update } = await whileAnUpdateWaits(opened, async () => {
        let isOver = false;
        ended = opened.initializer.end({ timeout }).then(() => {
          isOver = true;
        });
        // Any answer of the server's takes longer than the timer that would have passed at once.
        for (let n = 0; n < 20; n += 1) await sql`SELECT 1`;
        assert.equal(isOver, false);
      });
      await update;
      await within(5, "end resolves", ended);
    }
  });

  test("while it connects settles the call", limit, async (t) => {
    const ended = [];
    for (let n = 0; n < 20; n += 1) {
      const { adapter, initializer } = openAdapter(t, database.url, { max: 1 });
      const outcome = new Outcome();
      outcome.follow(read(adapter, "getUser", 1));
      ended.push(initializer.end(n % 2 === 0 ? {} : { timeout: 0 }).then(() => outcome.all(5)));
    }
    for (const [n, { pending, rejected, codes }] of (await within(10, "end resolves", Promise.all(ended))).entries()) {
      assert.equal(pending, 0);
      if (n % 2 === 0) assert.equal(rejected, 0);
      else assert.ok(Object.keys(codes).every((code) => code === "CONNECTION_DESTROYED"), JSON.stringify(codes));
    }
  });
});

describe("a process", () => {
  const clean = ({ code, signal, stderr }) => {
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: "" });
  };

  test("that never calls end exits by itself, once every call has settled", limit, async () => {
    const result = await runChild(`
      adapter.getUser("u1").then((user) => console.log(user.username));
      for (let n = 1; n <= 100; n += 1) adapter.getSession("s" + n).then((session) => console.log(session.id));
    `, database.url);
    clean(result);
    assert.equal(result.stdout.trim().split("\n").length, 101);
    assert.match(result.stdout, /^name 1$/m);
  });

  test("that makes an adapter and calls nothing exits by itself", limit, async () => {
    clean(await runChild("", database.url));
  });

  test("that calls end in flight exits by itself", limit, async () => {
    const result = await runChild(`
      for (let n = 1; n <= 100; n += 1) adapter.getSession("s" + n).then((session) => console.log(session.id));
      initializer.end().then(() => console.log("ended"));
    `, database.url);
    clean(result);
    assert.equal(result.stdout.trim().split("\n").length, 101);
    assert.match(result.stdout, /^ended$/m);
  });

  test("whose call rejects because the server is not there exits by itself", limit, async () => {
    const url = new URL(database.url);
    url.port = "1";
    const result = await runChild(`adapter.getUser("u1").catch(({ code }) => console.log(code));`, url.href);
    clean(result);
    assert.equal(result.stdout, "ECONNREFUSED\n");
  });

  test("whose calls end rejects has no unhandled rejection", limit, async () => {
    const result = await runChild(`
      const settled = [];
      for (let n = 1; n <= 100; n += 1) {
        settled.push(adapter.getSession("s" + n).then(() => {}, ({ code }) => code));
        settled.push(adapter.updateUser("nobody", { username: "x" }).then(() => {}, ({ code }) => code));
      }
      await initializer.end({ timeout: 0 });
      const known = new Set([undefined, "CONNECTION_DESTROYED", "OUTCOME_UNKNOWN"]);
      console.log((await Promise.all(settled)).filter((code) => !known.has(code)).join());
    `, database.url);
    clean(result);
    assert.equal(result.stdout, "\n");
  });

  const load = `
    for (let n = 0; n < 1000; n += 1) {
      adapter.getSessionAndUser("s" + (1 + n % ${USERS})).then(() => {}, () => {});
      adapter.updateUser("u" + (1 + n % ${USERS}), { username: "name " + (1 + n % ${USERS}) }).then(() => {}, () => {});
    }
  `;
  const exits = {
    "at once": "process.exit(7);",
    "after the first answer": `adapter.getUser("u1").then(() => process.exit(7));`,
    "in the middle of many answers": `
      let answers = 0;
      const count = () => (answers += 1) === 300 && process.exit(7);
      for (let n = 1; n <= 1000; n += 1) adapter.getKey("k" + n).then(count);
    `,
    "while end waits": "initializer.end(); setImmediate(() => process.exit(7));",
    "because of an uncaught error": `adapter.getUser("u1").then(() => { throw new Error("ours"); });`,
  };
  for (const [when, text] of Object.entries(exits)) {
    test(`that exits in flight, ${when}, does so cleanly and leaves no connection`, limit, async () => {
      const name = `exits-${when.replaceAll(" ", "-")}`;
      const url = new URL(database.url);
      url.searchParams.set("application_name", name);
      const { code, signal, stderr } = await runChild(load + text, url.href);
      const thrown = when.endsWith("error");
      assert.deepEqual({ code, signal }, { code: thrown ? 1 : 7, signal: null }, stderr);
      if (!thrown) assert.equal(stderr, "");
      await noConnections(name);
    });
  }
});

describe("nothing is left behind", () => {
  const descriptors = () => readdirSync("/proc/self/fd").length;
  const threads = () => Number(/^Threads:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  const noProc = process.platform === "linux" ? false : "descriptors and threads are counted in Linux's /proc";

  const onLinux = { ...limit, skip: noProc };
  test("by 1,000 adapters that are opened and ended: no connection, descriptor or thread", onLinux, async (t) => {
    const one = async (n) => {
      const url = new URL(database.url);
      url.searchParams.set("application_name", `thousand-${n}`);
      const initializer = postgres(url.href, tableNames, { max: 2 });
      const adapter = initializer(LuciaError);
      await read(adapter, Object.keys(reads)[n % 6], 1 + n % USERS);
      await initializer.end();
    };
    const connections = async () => {
      const [{ count }] = await sql`SELECT count(*)::int FROM pg_stat_activity WHERE application_name LIKE 'thousand-%'`;
      return count;
    };
    const batch = (first) => Promise.all(Array.from({ length: 20 }, (_, n) => one(first + n)));
    await batch(0);
    await eventually(10, "the first adapters' connections are gone", async () => await connections() === 0);
    const before = { descriptors: descriptors(), threads: threads() };
    for (let first = 20; first < 1000; first += 20) await batch(first);
    await eventually(10, "no connection is left on the server", async () => await connections() === 0);
    const now = { descriptors: descriptors(), threads: threads() };
    t.diagnostic(JSON.stringify({ before, now }));
    assert.ok(now.descriptors <= before.descriptors + 2, `${before.descriptors} descriptors became ${now.descriptors}`);
    assert.ok(now.threads <= before.threads + 2, `${before.threads} threads became ${now.threads}`);
  });

  for (const [what, query] of [["a module that makes an adapter", ""], ["the package and that module", "&package"]]) {
    test(`by evaluating ${what} a hundred times: the connections are shared`, limit, async (t) => {
      const name = `reloaded${query.replace("&", "-")}`;
      const url = new URL(database.url);
      url.searchParams.set("application_name", name);
      const modules = [];
      for (let n = 0; n < 100; n += 1) {
        modules.push(await import(`./support/reloaded.mjs?database=${encodeURIComponent(url)}&reload=${n}${query}`));
      }
      t.after(() => Promise.all(modules.map(({ initializer }) => initializer.end())));
      const four = ({ adapter }, n) => [1, 2, 3, 4].map((k) => read(adapter, "getSession", 4 * n % 196 + k));
      await Promise.all(modules.flatMap(four));
      const count = await connectionsOf(sql, name);
      assert.ok(count >= 1 && count <= 3, `${count} connections`);

      // Ending one of them is no concern of the others.
      await within(5, "end resolves", modules[0].initializer.end());
      await assert.rejects(modules[0].adapter.getUser("u1"), { code: "CONNECTION_ENDED" });
      await read(modules[99].adapter, "getUser", 1);
      await within(5, "end resolves", Promise.all(modules.map(({ initializer }) => initializer.end())));
      await noConnections(name);
      const again = await import(`./support/reloaded.mjs?database=${encodeURIComponent(url)}&reload=again${query}`);
      await read(again.adapter, "getUser", 1);
      await again.initializer.end();
    });
  }

  test("unless `share` is false: then each adapter has connections of its own", limit, async (t) => {
    const { url, name, adapter } = openAdapter(t, database.url, { max: 1, share: false });
    const initializer = postgres(url, tableNames, { max: 1, share: false });
    t.after(() => initializer.end());
    await read(adapter, "getUser", 1);
    await read(initializer(LuciaError), "getUser", 1);
    assert.equal(await connectionsOf(sql, name), 2);
  });

  test("by adapters for different databases, options or users: they share nothing", limit, async (t) => {
    const other = await freshDatabase();
    t.after(() => other.drop());
    await createTables(other.sql);
    const here = openAdapter(t, database.url);
    const there = new URL(other.url);
    there.searchParams.set("application_name", here.name);
    const initializer = postgres(there.href, tableNames);
    t.after(() => initializer.end());
    await read(here.adapter, "getUser", 1);
    assert.equal(await initializer(LuciaError).getUser("u1"), null);
  });

  test("by 160,000 calls: memory stays flat", limit, async (t) => {
    const result = await runChild(`
      import { measure } from ${JSON.stringify(new URL("support/memory.mjs", import.meta.url).href)};
      await measure(adapter, 8, 20_000, (used) => console.log(JSON.stringify(used)));
    `, database.url, { flags: ["--expose-gc"], seconds: 150 });
    assert.deepEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: "" });
    const rounds = result.stdout.trim().split("\n").map((line) => JSON.parse(line));
    t.diagnostic(result.stdout);
    // Four rounds are to warm up: V8 takes 7 MB in the fourth, once. In the other four, 19 bytes a call would be 1.5 MB, and
    // 100 bytes 8 MB.
    const [warm, before, last] = [rounds[3], rounds[6], rounds[7]];
    assert.ok(last.heapUsed - warm.heapUsed < 1_500_000, "the JavaScript heap grows");
    assert.ok(last.external - warm.external < 1_500_000, "external memory grows");
    assert.ok(Math.min(before.rss, last.rss) - warm.rss < 8_000_000, "the process grows");
  });
});
