// What a worker thread of `workers.test.mjs` does: loads the addon again, for itself, and does the job it is given.
import { parentPort, workerData } from "node:worker_threads";

import { LuciaError } from "lucia";

import { postgres } from "../../index.js";
import { tableNames } from "./database.mjs";
import { keepInFlight, Outcome, read, reads, USERS } from "./load.mjs";
import { observed } from "./observed.mjs";

const { url, job, offset = 0 } = workerData;
const initializer = postgres(url, tableNames, { max: 3 });
const adapter = initializer(LuciaError);
const names = Object.keys(reads);
const outcome = new Outcome();
let number = offset;

function next() {
  number += 1;
  return outcome.follow(read(adapter, names[number % names.length], 1 + number % USERS));
}

const jobs = {
  /** Reads until it is terminated; tells when the first answers have come. */
  async "read for ever"() {
    keepInFlight(50, next);
    await outcome.more(20);
    parentPort.postMessage(outcome.counts());
  },

  /** Reads, does not end its adapter, and has nothing more to do. */
  async "read 500 times"() {
    for (let n = 0; n < 500; n += 1) next();
    parentPort.postMessage(await outcome.all());
  },

  /** Calls, and tells so when the calls are queued. */
  async "call"() {
    for (let n = 0; n < 100; n += 1) outcome.follow(adapter.getUser("u1"));
    for (let n = 0; n < 100; n += 1) outcome.follow(adapter.updateUser(`u${1 + n}`, { username: `name ${1 + n}` }));
    setImmediate(() => parentPort.postMessage("called"));
    await outcome.all();
  },

  async "read 500 times and end"() {
    for (let n = 0; n < 500; n += 1) next();
    const ended = initializer.end();
    parentPort.postMessage(await outcome.all());
    await ended;
  },

  /** Leaves in flight. */
  async "exit"() {
    keepInFlight(50, next);
    await outcome.more(20);
    process.exit(7);
  },

  /** Errors are of the class that this thread knows. */
  async "be refused"() {
    const error = await adapter.setKey({ id: "k1", user_id: "u1", hashed_password: null }).catch((reason) => reason);
    parentPort.postMessage({ message: error.message, ownClass: error instanceof LuciaError });
  },

  /** Tells what the channel says of its calls. */
  async "be observed"() {
    const calls = await observed(() => adapter.getUser("u1"));
    parentPort.postMessage(calls.map(({ method, rows }) => ({ method, rows })));
  },
};

await jobs[job]();
