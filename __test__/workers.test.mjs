// Worker threads load the addon again, each for itself, and may be terminated at any moment.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { connectionsOf, openAdapter } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { runChild } from "./support/child.mjs";
import { Load, NOTHING_WRONG, populate, read } from "./support/load.mjs";
import { databaseWith } from "./support/once.mjs";
import { seeded } from "./support/random.mjs";

const random = seeded();
const PROGRAM = new URL("support/worker.mjs", import.meta.url);
/** So that a call which never settles fails its own test only. */
const limit = { timeout: 180_000 };
const database = await databaseWith(populate);
const { sql } = database;

function named(name) {
  const url = new URL(database.url);
  url.searchParams.set("application_name", name);
  return url.href;
}

const start = (workerData) => new Worker(PROGRAM, { workerData });

/** What the worker reports, and its exit code. */
async function finished(worker) {
  const failed = once(worker, "error").then(([error]) => {
    throw error;
  });
  const [[report], [code]] = await within(20, "the worker reports and exits",
    Promise.race([Promise.all([once(worker, "message"), once(worker, "exit")]), failed]));
  return { report, code };
}

const noConnections = (name) => (
  eventually(15, "no connection is left on the server", async () => await connectionsOf(sql, name) === 0)
);

test("a worker that does not end its adapter exits by itself and leaves no connection", limit, async () => {
  const { report, code } = await finished(start({ url: named("worker-exits"), job: "read 500 times" }));
  assert.deepEqual({ report, code }, { report: { resolved: 500, rejected: 0, pending: 0, codes: {} }, code: 0 });
  await noConnections("worker-exits");
});

test("several workers and the main thread use one configuration at once, and each gets its own answers", limit, async (t) => {
  const { adapter, name, url } = openAdapter(t, database.url, { max: 3 });
  const workers = [0, 1000, 2000, 3000].map((offset) => start({ url, job: "read 500 times and end", offset }));
  const load = new Load(adapter, random.split(), { readers: 16, writers: 4 });
  t.after(() => load.stop(1));
  for (const { report, code } of await Promise.all(workers.map(finished))) {
    assert.deepEqual({ report, code }, { report: { resolved: 500, rejected: 0, pending: 0, codes: {} }, code: 0 });
  }
  await load.more(20);
  const counts = await load.stop();
  assert.equal(counts.reads.rejected + counts.reads.pending, 0, JSON.stringify(counts));
  assert.equal(counts.signUps.rejected + counts.signUps.pending, 0, JSON.stringify(counts));
  assert.deepEqual(await load.signUps.audit(sql), NOTHING_WRONG);
  assert.ok(await connectionsOf(sql, name) > 0);
});

test("an error in a worker is of the LuciaError class that the worker handed over", limit, async () => {
  const { report } = await finished(start({ url: named("worker-refused"), job: "be refused" }));
  assert.deepEqual(report, { message: "AUTH_DUPLICATE_KEY_ID", ownClass: true });
});

test("a worker that calls process.exit in flight exits with its code", limit, async () => {
  const worker = start({ url: named("worker-process-exit"), job: "exit" });
  const [code] = await within(20, "the worker exits", once(worker, "exit"));
  assert.equal(code, 7);
  await noConnections("worker-process-exit");
});

test("50 workers terminated in flight leave the main thread's calls alone and nothing behind", limit, async (t) => {
  const { adapter, name, initializer } = openAdapter(t, database.url, { max: 3 });
  await read(adapter, "getUser", 1);
  const load = new Load(adapter, random.split(), { readers: 2, writers: 1 });
  t.after(() => load.stop(1));
  const moments = ["online", "message", "message", "message"];
  const one = async (n) => {
    // Half of them have the configuration of the main thread's adapter.
    const url = named(n % 2 === 0 ? name : "worker-terminated");
    const worker = start({ url, job: "read for ever", offset: n });
    const failed = once(worker, "error").then(([error]) => {
      throw error;
    });
    await within(20, "the worker is at work", Promise.race([once(worker, random.pick(moments)), failed]));
    await within(10, "the worker is terminated", worker.terminate());
  };
  const descriptors = () => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);
  await Promise.all([one(0), one(1)]);
  await noConnections("worker-terminated");
  const before = descriptors();
  for (let first = 0; first < 48; first += 6) {
    await Promise.all(Array.from({ length: 6 }, (_, n) => one(first + n)));
  }
  await load.more(10);
  const counts = await load.stop();
  t.diagnostic(JSON.stringify(counts));
  assert.equal(counts.reads.rejected + counts.reads.pending, 0, JSON.stringify(counts));
  assert.equal(counts.signUps.rejected + counts.signUps.pending, 0, JSON.stringify(counts));
  assert.deepEqual(await load.signUps.audit(sql), NOTHING_WRONG);
  await noConnections("worker-terminated");
  await initializer.end();
  await noConnections(name);
  // The main thread's own connections are among the first count and not among the second.
  assert.ok(descriptors() <= before + 2, `${before} descriptors became ${descriptors()}`);
});

test("calls of a terminated worker leave the queue that it shared", limit, async (t) => {
  const { adapter, initializer, url } = openAdapter(t, database.url, { max: 3 });
  await read(adapter, "getUser", 1);
  const own = await sql.begin(async (other) => {
    await other`LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE`;
    const worker = start({ url, job: "call" });
    await within(20, "the worker is at work", once(worker, "message"));
    const call = adapter.updateUser("u150", { username: "name 150" });
    // What is in flight is on three connections, in statements of 32 changes and 16 lookups at most.
    assert.ok(initializer.stats().waiting > 100, JSON.stringify(initializer.stats()));
    await within(10, "the worker is terminated", worker.terminate());
    // Lookups that hold each other up for a second come back: they are not taken in again.
    await eventually(5, "only the call of this thread is left", () => initializer.stats().waiting <= 1);
    return { call };
  });
  await within(20, "the call is answered", own.call);
  await read(adapter, "getUser", 1);
  assert.equal(initializer.stats().waiting, 0);
});

test("a process that exits while its workers are in flight exits with its own code", limit, async () => {
  const { code, signal, stderr } = await runChild(`
    import { Worker } from "node:worker_threads";
    const workerData = { url: process.env.CHILD_URL, job: "read for ever" };
    let ready = 0;
    for (let n = 0; n < 3; n += 1) {
      new Worker(new URL(${JSON.stringify(PROGRAM.href)}), { workerData, execArgv: [] }).once("message", () => {
        ready += 1;
        if (ready === 3) process.exit(7);
      });
    }
    adapter.getUser("u1");
  `, named("worker-main-exits"));
  assert.deepEqual({ code, signal, stderr }, { code: 7, signal: null, stderr: "" });
  await noConnections("worker-main-exits");
});
