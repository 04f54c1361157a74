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
  // The package's entry, which explains why there is no binary where there is none.
  await import("../index.js");
  const { default: { inspect } } = await import("../binding.js");
  let inspection;
  try {
    inspection = inspect(url, sql, parameter);
  } catch (error) {
    throw new UsageError(error.message);
  }
  return JSON.parse(await inspection);
}
