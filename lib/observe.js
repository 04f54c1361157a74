// What programs that watch the package are told of each call.
"use strict";

const { channel } = require("node:diagnostics_channel");

const calls = channel("lucia-postgres-native:call");

/** What an error is known by, which says nothing of what the call was about. */
const kindOf = (error, LuciaError) => {
  if (LuciaError && error?.constructor === LuciaError) return error.message;
  return String(error?.code ?? error?.name ?? "Error");
};

/** Calls, and publishes what it came to when it has settled. */
const observe = async (method, LuciaError, call, first, second) => {
  const tally = { rows: 0, retries: 0, batch: 0 };
  const start = performance.now();
  let error;
  try {
    return await call(first, second, tally);
  } catch (reason) {
    error = kindOf(reason, LuciaError);
    throw reason;
  } finally {
    const { retries, batch } = tally;
    const rows = error === undefined ? tally.rows : 0;
    calls.publish({ method, rows, duration: performance.now() - start, retries, batch, error });
  }
};

/** `call`, which is given a tally to keep while somebody has subscribed. */
const observable = (method, LuciaError, call) => (first, second) =>
  (calls.hasSubscribers ? observe(method, LuciaError, call, first, second) : call(first, second));

module.exports = { observable };
