// The reference adapter on the `postgres` driver and this package's adapter, side by side on one database.
import { postgres as referenceAdapter } from "@lucia-auth/adapter-postgresql";
import { LuciaError } from "lucia";
import connect from "postgres";

import { postgres } from "../../index.js";
import { tableNames } from "./database.mjs";

/**
 * Open it when the database's types exist: the reference learns the array types once, when it connects.
 *
 * @param {string} url
 * @param {{ user: string, key: string, session: string | null }} [tables]
 */
export function openBoth(url, tables = tableNames, options = {}) {
  const sql = connect(url, { onnotice: () => {}, ...options });
  const initializer = postgres(url, tables, options);
  return {
    reference: referenceAdapter(sql, tables)(LuciaError),
    ours: initializer(LuciaError),
    readings,
    rowsWith,
    async end() {
      await Promise.all([sql.end({ timeout: 5 }), initializer.end({ timeout: 5 })]);
    },
  };
}

/** Every method that returns rows, for a user, a key and a session of the same id. */
export const readings = {
  getUser: (adapter, id) => adapter.getUser(id),
  getSession: (adapter, id) => adapter.getSession(id),
  getSessionsByUserId: (adapter, id) => adapter.getSessionsByUserId(id),
  getSessionAndUser: (adapter, id) => adapter.getSessionAndUser(id),
  getKey: (adapter, id) => adapter.getKey(id),
  getKeysByUserId: (adapter, id) => adapter.getKeysByUserId(id),
};

/** What each reading yields when the three tables hold nothing but `id`, their own columns and then `attributes`. */
function rowsWith(id, attributes) {
  const user = { id, ...attributes };
  const session = { id, user_id: id, active_expires: 1, idle_expires: 2, ...attributes };
  const key = { id, user_id: id, hashed_password: null, ...attributes };
  return {
    getUser: user,
    getSession: session,
    getSessionsByUserId: [session],
    getSessionAndUser: [session, user],
    getKey: key,
    getKeysByUserId: [key],
  };
}

/** `{ value }` or `{ error }`. */
export async function settled(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

/**
 * How a refusal compares: by the SQLSTATE or the driver's code, and by the class where JavaScript itself refused.
 *
 * @returns {string}
 */
export function refusal(error) {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  const isCode = /^[0-9A-Z]{5}$|^UNDEFINED_VALUE$/.test(error.code ?? "");
  return isCode ? error.code : error.constructor.name;
}

/** Runs `work` on every item, at most `width` at a time, and returns the results in the items' order. */
export async function inFlight(items, width, work) {
  const results = [];
  let next = 0;
  const walk = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: width }, walk));
  return results;
}
