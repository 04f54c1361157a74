// What an adapter's calls have in common: the native functions, and how many calls are under way.
"use strict";

// Not the global ones, which programs replace.
const { clearTimeout, setTimeout } = require("node:timers");

const { calls, reject, release } = require("./calls.js");
const { instance } = require("./completions.js");
const { bucketsMs, smallestBatch } = require("./constants.js");
const { PostgresError, createError, ofThisRealm, unlessRefused } = require("./errors.js");
const { readConnection } = require("./existing.js");
const { createFunctions } = require("./functions.js");

/**
 * Whom a call belongs to.
 *
 * @typedef {object} Owner
 * @property {new (fields: object) => Error} PostgresError
 * @property {Map<number, unknown> | undefined} thrown what its functions have thrown, by number
 * @property {() => void} started
 * @property {() => void} settled
 */

/** Three arguments of all and two of each call: as many as are sent in one statement when few are in flight. */
const GROUP = 3 + 2 * smallestBatch;

/** `setTimeout` takes no more milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31;

/** @param {number[]} values the sum, then the buckets */
const toTimes = (values) => {
  const counts = values.slice(1);
  const count = counts.reduce((total, each) => total + each, 0);
  return { count, sum: values[0], buckets: { boundaries: bucketsMs.map((bound) => bound / 1000), counts } };
};

/** A reaction to it runs after the present turn. Not `queueMicrotask`, which fake timers replace. */
const settled = Promise.resolve();

/** @implements {Owner} */
class Connection {
  // Declared, not assigned alone: `Object.prototype` may have setters of these names.
  /** Held as long as calls can be made (`completions.js`). */
  instance = instance;
  /** @type {import("../binding.js").NativeAdapter} */
  native;
  /** @type {any} */
  PostgresError;
  /** @type {{ user: string, key?: string, session: string | null }} */
  tables;
  /** What is said of the server while calls are observed (`observe.js`). @type {object} */
  server;
  #underway = 0;
  #isStarting = false;
  /** Calls by id that are yet to be handed over: the arguments of the native function. @type {any} */
  #group = [];
  #functions;
  #start = () => this.#handOverAll();
  /** @type {Promise<void> | undefined} */
  #ending;
  /** @type {(() => void) | undefined} */
  #drained;

  /** @param {2 | 3} version of Lucia */
  constructor(connection, tableNames, options, version) {
    const { url, options: known, PostgresError: Class = PostgresError } = readConnection(connection);
    this.PostgresError = Class;
    this.native = unlessRefused(instance.adapter(url, known, tableNames, options, process.env, version));
    const { user, key, session } = tableNames;
    this.tables = { user, key, session };
    const { database, address, port } = this.native.server;
    this.server = { database, serverAddress: address, serverPort: port ?? undefined };
    this.#functions = createFunctions(this.native);
  }

  get thrown() {
    return this.#functions?.thrown;
  }

  started() {
    this.#underway += 1;
    if (this.#isStarting) return;
    this.#isStarting = true;
    // Answers that came together are followed by calls that can be sent together: one wake-up for all calls of the turn.
    settled.then(this.#start);
  }

  settled() {
    this.#underway -= 1;
    if (this.#underway === 0) this.#drained?.();
  }

  #handOverAll() {
    this.#isStarting = false;
    if (this.#group.length > 0) this.#handOver(true);
    else this.native.start();
  }

  /** @param {boolean} areLast no more calls of this turn follow */
  #handOver(areLast) {
    const handed = /** @type {[number, number, boolean, ...(number | string)[]]} */ (this.#group);
    this.#group = [];
    try {
      this.native.byId(areLast, ...handed);
    } catch (error) {
      for (let at = 3; at < handed.length; at += 2) reject(release(handed[at]), () => ofThisRealm(error));
    }
  }

  /** Keeps the order of calls: those that are still here go before the one that follows. */
  #handOverFirst() {
    if (this.#group.length > 0) this.#handOver(false);
  }

  /** Collects calls of one method, and hands as many over at once as are sent together. */
  byId(index, form, isObserved, slot, id) {
    const group = this.#group;
    if (group.length === 0) {
      group.push(index, form, isObserved, slot, id);
      return;
    }
    if (group[0] === index && group[1] === form && group[2] === isObserved) {
      group.push(slot, id);
      if (group.length >= GROUP) this.#handOver(false);
      return;
    }
    this.#handOver(false);
    this.#group.push(index, form, isObserved, slot, id);
  }

  /**
   * @param {Parameters<import("../binding.js").NativeAdapter["write"]>} what
   * @returns {import("../binding.js").Send}
   */
  write(...what) {
    const send = this.native.write(...what);
    return (...call) => {
      this.#handOverFirst();
      send(...call);
    };
  }

  /** @param {Parameters<import("../binding.js").NativeAdapter["deleteExpired"]>} call */
  deleteExpired(...call) {
    this.#handOverFirst();
    this.native.deleteExpired(...call);
  }

  load() {
    this.#handOverFirst();
    const [max, connections, idle, waiting, ...soFar] = this.native.load();
    const [opened, lost, retried, cancelled, unknown, queryTimeouts, connectTimeouts, ...times] = soFar;
    const each = times.length / 2;
    return {
      max, connections, idle, waiting,
      opened, lost, retried, cancelled, unknown, queryTimeouts, connectTimeouts,
      waitTime: toTimes(times.slice(0, each)),
      useTime: toTimes(times.slice(each)),
    };
  }

  checkOpen() {
    if (this.#ending !== undefined) throw createError({ message: "the adapter has ended", code: "CONNECTION_ENDED" });
  }

  end(options) {
    const timeout = (options && Object.hasOwn(options, "timeout") ? options.timeout : null) ?? null;
    if (timeout !== null && !(typeof timeout === "number" && timeout >= 0)) {
      return Promise.reject(new TypeError("end: `timeout` must be a number of seconds, 0 or more"));
    }
    this.#ending ??= this.#finish();
    const ending = this.#ending;
    // `setTimeout` would overflow with a longer time, and fire at once.
    if (timeout === null || timeout * 1000 >= LONGEST_TIMEOUT) return ending;
    const timer = setTimeout(() => this.#destroy(), timeout * 1000);
    return ending.finally(() => clearTimeout(timer));
  }

  async #finish() {
    await new Promise((resolve) => {
      this.#drained = () => resolve(undefined);
      if (this.#underway === 0) this.#drained();
    });
    this.#functions?.clear();
    this.native.end();
  }

  #destroy() {
    for (const call of calls) {
      if (call?.owner !== this) continue;
      const message = "the connection was destroyed by end({ timeout }) before the answer came";
      reject(call, () => createError({ message, code: "CONNECTION_DESTROYED" }));
      // The slot stays taken until the addon's thread has settled it, too late for the call.
      call.isDestroyed = true;
      call.trace &&= { ...call.trace };
    }
    this.#drained?.();
  }
}

module.exports = { Connection };
