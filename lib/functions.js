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

/** The name and the code of what was thrown, whose getters may throw again. */
const nameOf = (error) => {
  try {
    return [error?.name ?? typeof error, error?.code].filter((part) => part !== undefined).join(" ");
  } catch {
    return typeof error;
  }
};

class Functions {
  #functions;
  #native;
  /** Answers that are waited for: nothing is kept of them. @type {Map<string, Promise<unknown>>} */
  #asked = new Map();
  /** The context of the call of `postgres`, not of whoever has caused a connection to be opened. */
  #context = new AsyncResource("lucia-postgres-native", { requireManualDestroy: true });
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
    return this.#context.runInAsyncScope(this.#functions.get(handle), undefined, ...given);
  }

  /** The answer of a function that is asked for a password. */
  ask(handle, place, limit) {
    const key = JSON.stringify([handle, place]);
    const asked = this.#asked.get(key) ?? settled
      .then(() => this.call(handle, { ...place, signal: until(limit) }))
      .finally(() => this.#asked.delete(key));
    this.#asked.set(key, asked);
    return asked;
  }

  /** Answers a connection's request for a password. */
  password(reply, text) {
    this.#native.password(reply, text, null);
  }

  /** The same, by an error: its message may hold what the function was given to find the password, and is left to `cause`. */
  noPassword(reply, error) {
    this.thrown.set(reply, error);
    for (const oldest of this.thrown.keys()) {
      if (this.thrown.size <= MOST_THROWN) break;
      this.thrown.delete(oldest);
    }
    this.#native.password(reply, null, nameOf(error));
  }

  /** The adapter has ended. */
  clear() {
    for (const handle of this.#functions.keys()) owners.delete(handle);
    this.#functions.clear();
    this.#context.emitDestroy();
  }
}

const collected = new FinalizationRegistry((handle) => owners.delete(handle));

const ownerOf = (handle) => owners.get(handle)?.deref();

/** `AbortSignal.timeout` takes no more milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** Aborted when the connection has waited for so many milliseconds. */
const until = (limit) => (limit < LONGEST_TIMEOUT ? AbortSignal.timeout(limit) : new AbortController().signal);

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
