// The ways in which a program that never calls `end` can be over, for any runtime: the argument names one. The user
// `alice` is in the database that `DATABASE_URL` names.
import assert from "node:assert/strict";
import { once } from "node:events";
import process from "node:process";
import { parentPort, Worker, workerData } from "node:worker_threads";

import { LuciaError } from "lucia";
import { postgres } from "lucia-postgres-native";
import connect from "postgres";

import { tableNames } from "./database.mjs";

const startWorker = (ending) => new Worker(new URL(import.meta.url), { workerData: ending });

async function underWay() {
  const { getUser } = postgres(process.env.DATABASE_URL, tableNames)(LuciaError);
  await getUser("alice");
  for (let n = 0; n < 200; n += 1) getUser("alice").catch(() => {});
}

const endings = {
  async "with idle connections"() {
    const { getUser } = postgres(process.env.DATABASE_URL, tableNames)(LuciaError);
    const users = await Promise.all(Array.from({ length: 100 }, () => getUser("alice")));
    const found = users.filter((user) => user?.username === "Alice").length;
    parentPort?.postMessage(found);
    assert.equal(found, 100);
  },

  /** Exits with 7. */
  async "with calls under way"() {
    await underWay();
    process.exit(7);
  },

  async "in a worker"() {
    const worker = startWorker("with idle connections");
    const failed = once(worker, "error").then(([error]) => {
      throw error;
    });
    const over = Promise.all([once(worker, "message"), once(worker, "exit")]);
    assert.deepEqual(await Promise.race([over, failed]), [[100], [0]]);
  },

  /** A worker that does not call `end`. */
  async "as one of many workers"() {
    const { getUser } = postgres(process.env.CHILD_URL, tableNames, { share: false, max: 2 })(LuciaError);
    await Promise.all(Array.from({ length: 8 }, () => getUser("alice")));
  },

  /** Says how many connections are open when all have ended. */
  async "while workers have ended"() {
    for (let n = 0; n < Number(process.env.WORKERS); n += 1) {
      const worker = startWorker("as one of many workers");
      await once(worker, "exit");
    }
    const sql = connect(process.env.DATABASE_URL, { max: 1, onnotice() {} });
    const open = async () => (await sql`SELECT count(*)::int FROM pg_stat_activity WHERE application_name = ${process.env.NAME}`)[0].count;
    let left = await open();
    // A server process takes its time to end.
    for (let tries = 0; tries < 50 && left > 0; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      left = await open();
    }
    await sql.end();
    console.log(`${left} connections are left`);
  },

  /** Of the workers that the next ending terminates. */
  async "as a busy worker"() {
    await underWay();
    parentPort.postMessage("busy");
    const { getUser } = postgres(process.env.DATABASE_URL, tableNames)(LuciaError);
    for (;;) await getUser("alice");
  },

  async "with terminated workers"() {
    for (let n = 0; n < 5; n += 1) {
      const worker = startWorker("as a busy worker");
      await once(worker, "message");
      await worker.terminate();
    }
    await endings["with idle connections"]();
  },
};

await endings[workerData ?? process.argv[2]]();
