// What has happened since the last time comes as one flat list, so that many answers cost one call across the boundary. Its
// messages are those of `src/js/messages.rs`.
"use strict";

const binding = require("./binding.js");
const { calls, reject, release } = require("./calls.js");
const { kinds } = require("./constants.js");
const { createError, invalidAnswer } = require("./errors.js");
const { askPassword, tellNotice } = require("./functions.js");
const { createShape, give } = require("./rows.js");

const shapes = new Map();

/** A reaction to it runs when the whole list has been received. */
const settled = Promise.resolve();

/** A value that has no meaning is the failure of its call alone. */
const fail = (call, error, number) => {
  call.failure ??= invalidAnswer(error);
  settled.then(() => instance.giveUp(number));
};

/** Only a list has more than one part; else it is the first row that counts. */
const joined = ({ gives, rows }, more) => (gives === give.Rows ? rows.concat(more) : rows);

/** How often the observed calls that the next messages are about were done again, and how many their statement was for. */
let retries = 0;
let batch = 0;

/** Notes what the call came to, for those who observe it. */
const note = ({ trace }, rows) => {
  if (trace === undefined) return;
  trace.rows += rows;
  trace.retries += retries;
  trace.batch = batch;
};

/** By its kind: takes the message whose values are those from `at` on, and gives where the next one begins. */
const receive = {
  [kinds.Done](values, at) {
    const call = release(values[at]);
    note(call, values[at + 1]);
    call.resolve(call.gives === give.Count ? values[at + 1] : undefined);
    return at + 2;
  },
  [kinds.Rows](values, at) {
    const call = release(values[at]);
    const number = values[at + 1];
    const count = values[at + 2];
    note(call, count);
    const shape = shapes.get(number);
    try {
      const rows = call.gives(shape, count, values, at + 3);
      if (call.failure === undefined) call.resolve(call.rows === undefined ? rows : joined(call, rows));
    } catch (error) {
      fail(call, error, number);
    }
    if (call.failure !== undefined) reject(call, () => call.failure);
    return at + 3 + count * shape.width;
  },
  [kinds.Part](values, at) {
    const call = calls[values[at]];
    const number = values[at + 1];
    const count = values[at + 2];
    if (call.trace) call.trace.rows += count;
    const shape = shapes.get(number);
    try {
      const rows = call.gives(shape, count, values, at + 3);
      call.rows = call.rows === undefined ? rows : joined(call, rows);
    } catch (error) {
      fail(call, error, number);
    }
    return at + 3 + count * shape.width;
  },
  [kinds.Forms](values, at) {
    const count = values[at + 1];
    const forms = values.slice(at + 2, at + 2 + count);
    const call = calls[values[at]];
    note(call, 0);
    // The statement was described, and no batch was sent.
    if (call.trace) call.trace.batch = 0;
    // `again` before `release`: an adapter that is ending waits until no call is under way.
    const { again } = call;
    const result = again && !call.isDestroyed ? new Promise((resolve) => resolve(again(call, forms))) : forms;
    release(values[at]).resolve(result);
    return at + 2 + count;
  },
  [kinds.Lucia](values, at) {
    const call = release(values[at]);
    const message = values[at + 1];
    note(call, 0);
    if (call.trace) call.trace.sqlstate = values[at + 2];
    reject(call, () => new call.LuciaError(message));
    return at + 3;
  },
  [kinds.Database](values, at) {
    const call = release(values[at]);
    const description = values[at + 1];
    note(call, 0);
    if (call.trace && description.fields) call.trace.sqlstate = description.code;
    const { PostgresError, thrown } = call.owner;
    reject(call, () => createError(description, { PostgresError, thrown }));
    return at + 2;
  },
  [kinds.Shape](values, at) {
    const [number, split, width] = values.slice(at, at + 3);
    const names = values.slice(at + 3, at + 3 + width);
    shapes.set(number, createShape(names, values.slice(at + 3 + width, at + 3 + 2 * width), split));
    return at + 3 + 2 * width;
  },
  [kinds.Password](values, at) {
    const [reply, handle, host, port, user, database, limit] = values.slice(at, at + 7);
    askPassword(reply, handle, { host, port, user, database }, limit);
    return at + 7;
  },
  [kinds.Notice](values, at) {
    tellNotice(values[at], values[at + 1]);
    return at + 2;
  },
  [kinds.Text](values, at) {
    release(values[at]).resolve(values[at + 1]);
    return at + 2;
  },
  [kinds.Observed](values, at) {
    [retries, batch] = [values[at], values[at + 1]];
    return at + 2;
  },
};

/** The values of the pieces that have come so far. @type {unknown[] | undefined} */
let pieces;

const settle = (...given) => {
  if (given[0] === kinds.Piece) {
    pieces ??= [];
    for (let at = 1; at < given.length; at++) pieces.push(given[at]);
    return;
  }
  const values = pieces?.concat(given) ?? given;
  pieces = undefined;
  let at = 0;
  while (at < values.length) at = receive[values[at]](values, at + 1);
};

// The native side holds `settle` while a call is under way only; whoever makes calls holds it with the instance.
const instance = Object.assign(binding.instance(settle), { settle });

module.exports = { instance };
