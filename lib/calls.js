// What is under way, by the slot that the native side knows it by.
"use strict";

/** @type {Call[]} */
const calls = [];
/** @type {number[]} */
const free = [];

/** In a slot that is free. @type {any} */
const nothing = undefined;

/**
 * @typedef {object} Call
 * @property {(value: unknown) => void} resolve
 * @property {import("./connection.js").Owner} owner
 * @property {any} LuciaError the class of Lucia's errors
 * @property {any} gives what is made of the answer (`rows.js`)
 * @property {any} trace rows, retries, batch and SQLSTATE: kept while somebody observes
 * @property {((call: Call, forms: number[]) => unknown) | undefined} again sends it anew, with parameters in these forms
 * @property {string | undefined} id of a call that is sent anew
 * @property {number | undefined} attempt of a call that is sent anew
 * @property {unknown} rows that have come so far
 * @property {Error | undefined} failure
 * @property {boolean} isDestroyed
 */

/** The slot of a new call, which `settle` will resolve. */
const take = (resolve, owner, LuciaError, gives, trace, again, id, attempt) => {
  const slot = free.pop() ?? calls.length;
  calls[slot] = { resolve, owner, LuciaError, gives, trace, again, id, attempt, rows: undefined, failure: undefined, isDestroyed: false };
  owner.started();
  return slot;
};

const release = (slot) => {
  const call = calls[slot];
  calls[slot] = nothing;
  free.push(slot);
  call.owner.settled();
  return call;
};

/**
 * The error is made two turns later, when the engine knows who awaits the promise: its stack then names the caller, at no
 * cost to a call that succeeds.
 */
const reject = ({ resolve, isDestroyed }, makeError) => {
  if (isDestroyed) return;
  resolve(Promise.resolve().then(() => {}).then(() => {
    throw makeError();
  }));
};

module.exports = { calls, reject, release, take };
