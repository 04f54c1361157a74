// What programs that watch the package are told of each call.
"use strict";

const { channel } = require("node:diagnostics_channel");

/** Those of `tracingChannel("lucia-postgres-native:call")`, a function that Node has since 18.19. */
const [start, end, asyncStart, asyncEnd, failed] = ["start", "end", "asyncStart", "asyncEnd", "error"]
  .map((event) => channel(`tracing:lucia-postgres-native:call:${event}`));

const areObserved = () =>
  start.hasSubscribers || end.hasSubscribers || asyncStart.hasSubscribers || asyncEnd.hasSubscribers || failed.hasSubscribers;

/** What an error is known by, which says nothing of what the call was about. */
const kindOf = (error, LuciaError) => {
  if (LuciaError && error?.constructor === LuciaError) return error.message;
  return String(error?.code ?? error?.name ?? "Error");
};

/** @typedef {{ method: string, table: string | null, database: string, serverAddress: string, serverPort: number | undefined }} Known */

/**
 * What is known in the end is `undefined` until then: V8 takes several microseconds to add properties to a copy.
 *
 * @param {Known} known
 */
const contextOf = ({ method, table, database, serverAddress, serverPort }) => ({
  method,
  table,
  database,
  serverAddress,
  serverPort,
  rows: undefined,
  retries: undefined,
  batch: undefined,
  error: undefined,
  sqlstate: undefined,
});

/** Tells what the call came to. */
const settle = (context, { rows, retries, batch, sqlstate }, error) => {
  context.rows = error === undefined ? rows : 0;
  context.retries = retries;
  context.batch = batch;
  context.error = error;
  context.sqlstate = sqlstate;
  if (error !== undefined) failed.publish(context);
  asyncStart.publish(context);
  asyncEnd.publish(context);
};

/** Not `tracePromise`, which adds rows and errors as they are. */
const followed = (context, LuciaError, call, first, second) => {
  const trace = { rows: 0, retries: 0, batch: 0, sqlstate: undefined };
  const called = call(first, second, trace);
  end.publish(context);
  return called.then(
    (value) => {
      settle(context, trace, undefined);
      return value;
    },
    (reason) => {
      settle(context, trace, kindOf(reason, LuciaError));
      throw reason;
    },
  );
};

/** Calls in the stores that subscribers have bound to the start. */
const observe = (context, LuciaError, call, first, second) => {
  if (start.runStores) return start.runStores(context, followed, undefined, context, LuciaError, call, first, second);
  // Node before 18.19 has no such stores.
  start.publish(context);
  return followed(context, LuciaError, call, first, second);
};

/**
 * `call`, which is given a trace to fill while somebody has subscribed.
 *
 * @param {Known} what is said of the call when it starts
 */
const observable = (what, LuciaError, call) => (first, second) =>
  (areObserved() ? observe(contextOf(what), LuciaError, call, first, second) : call(first, second));

module.exports = { observable };
