// The functions among the options. The native side knows each by a number.
"use strict";

const { AsyncResource } = require("node:async_hooks");

/**
 * Kept by the adapter alone: what a function closes over is collected with it.
 *
 * @type {Map<number, WeakRef<Functions>>}
 */
const owners = new Map();

/** What is called next is a reaction, so that nothing it throws or does comes between two messages. */
const settled = Promise.resolve();

/** What was thrown is kept until the calls that waited for the connection are rejected, whose `cause` it is. */
const MOST_THROWN = 100;

/** The name and the code of what was thrown, which may be nothing, and whose getters may throw again. */
const nameOf = (error) => {
  try {
    return [error.name ?? typeof error, error.code].filter((part) => part !== undefined).join(" ");
  } catch {
    return typeof error;
  }
};

/** @typedef {{ answer: Promise<unknown>, controller: AbortController, cancel: () => void }} Asked */

class Functions {
  #functions;
  #native;
  /** Answers that are waited for: nothing is kept of them. @type {Map<string, Asked>} */
  #asked = new Map();
  /**
   * The context of the call of `postgres`, not of whoever has caused a connection to be opened. There is none when the adapter has
   * ended.
   *
   * @type {AsyncResource | undefined}
   */
  #context = new AsyncResource("lucia-postgres-native");
  /** What functions have thrown of late, by the number of the request. @type {Map<number, unknown>} */
  thrown = new Map();

  /** @param {import("../binding.js").NativeAdapter} native @param {[number, Function][]} functions */
  constructor(native, functions) {
    this.#functions = new Map(functions);
    this.#native = native;
    for (const handle of this.#functions.keys()) {
      owners.set(handle, new WeakRef(this));
      collected.register(this, handle);
    }
  }

  call(handle, ...given) {
    return this.#context?.runInAsyncScope(this.#functions.get(handle), undefined, ...given);
  }

  /** The answer of a function that is asked for a password. */
  ask(handle, place, limit) {
    const key = JSON.stringify([handle, place]);
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked.answer;
    const controller = new AbortController();
    const cancel = abortAfter(controller, limit);
    const answer = settled
      .then(() => this.call(handle, { ...place, signal: controller.signal }))
      .finally(() => {
        cancel();
        this.#asked.delete(key);
      });
    this.#asked.set(key, { answer, controller, cancel });
    return answer;
  }

  /** Answers a connection's request for a password. */
  password(reply, text) {
    this.#native.password(reply, text, null);
  }

  /** The same, by an error: its message may hold what the function was given to find the password, and is left to `cause`. */
  noPassword(reply, error) {
    if (this.#context !== undefined) this.thrown.set(reply, error);
    for (const oldest of this.thrown.keys()) {
      if (this.thrown.size <= MOST_THROWN) break;
      this.thrown.delete(oldest);
    }
    this.#native.password(reply, null, nameOf(error));
  }

  /** The adapter has ended, and may be held for long. */
  clear() {
    for (const handle of this.#functions.keys()) owners.delete(handle);
    this.#functions.clear();
    for (const { controller, cancel } of this.#asked.values()) {
      controller.abort();
      // The timer would keep what listens to the signal.
      cancel();
    }
    this.#asked.clear();
    // Not emptied: the errors of the last calls are still to be made of it.
    this.thrown = new Map();
    this.#context?.emitDestroy();
    this.#context = undefined;
  }
}

const collected = new FinalizationRegistry((handle) => owners.delete(handle));

const ownerOf = (handle) => owners.get(handle)?.deref();

/** `AbortSignal.timeout` takes no more milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** Aborts when the connection has waited for so many milliseconds, unless the function that is given is called before. */
const abortAfter = (controller, limit) => {
  if (limit >= LONGEST_TIMEOUT) return () => {};
  const timeout = AbortSignal.timeout(limit);
  const abort = () => controller.abort(timeout.reason);
  timeout.addEventListener("abort", abort);
  return () => timeout.removeEventListener("abort", abort);
};

/** Asks for the password at `place` (host, port, user, database); connections to the same place share the answer meanwhile. */
const askPassword = (reply, handle, place, limit) => {
  const owner = ownerOf(handle);
  if (owner === undefined) return;
  owner.ask(handle, place, limit)
    .then((text) => {
      if (typeof text !== "string") throw new TypeError("the function `password` must give a string");
      owner.password(reply, text);
    })
    .catch((error) => owner.noPassword(reply, error));
};

const tellNotice = (handle, { message, fields }) => {
  const owner = ownerOf(handle);
  if (owner !== undefined) settled.then(() => owner.call(handle, { message, ...fields }));
};

/** `undefined` for options without a function. */
const createFunctions = (native) => {
  const functions = native.functions;
  native.functions = [];
  return functions.length > 0 ? new Functions(native, functions) : undefined;
};

module.exports = { askPassword, createFunctions, tellNotice };
