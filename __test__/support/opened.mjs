// Adapters under test, closed together.
import { LuciaError } from "lucia";

import { postgres } from "../../index.js";
import { within } from "./bounded.mjs";
import { tableNames } from "./database.mjs";

/** @param {string} url of the database that the adapters use */
export function openAdapters(url) {
  const initializers = [];
  return {
    /** The adapter for these tables, with its own connections. */
    open(names = tableNames, ErrorClass = LuciaError, options = undefined) {
      const initialize = options ? postgres(url, names, options) : postgres(url, names);
      initializers.push(initialize);
      return initialize(ErrorClass);
    },
    async close() {
      const ends = initializers.splice(0).map((initialize) => initialize.end({ timeout: 5 }));
      await within(20, "the adapters end", Promise.all(ends));
    },
  };
}

/** What a promise came to, without throwing: `{ value }` or `{ error }`. Throws when it comes to nothing. */
export function outcome(promise) {
  const settled = Promise.resolve(promise).then((value) => ({ value }), (error) => ({ error }));
  return within(20, "the call settles", settled);
}
