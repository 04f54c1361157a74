import { UsageError } from "./tables.mjs";

/**
 * Asks a database through the addon itself.
 *
 * @param {string} url
 * @param {string} sql takes one text, and gives one that is JSON
 * @param {string} parameter
 * @returns {Promise<{ answer: unknown, isPooled: boolean, isLocal: boolean, tls: "none" | "optional" | "encrypted" | "verified" }>}
 */
export async function query(url, sql, parameter) {
  const { default: { inspect } } = await import("../lib/inspect.js");
  try {
    return JSON.parse(await inspect(url, sql, parameter));
  } catch (error) {
    // An argument that cannot be used.
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}
