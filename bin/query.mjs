// Asks a database through the addon itself, whose entry explains why there is none.
import "../index.js";
import binding from "../binding.js";

import { UsageError } from "./tables.mjs";

/**
 * @param {string} url
 * @param {string} sql takes one text, and gives one that is JSON
 * @param {string} parameter
 * @returns {Promise<{ answer: unknown, isPooled: boolean, isLocal: boolean, tls: "none" | "optional" | "encrypted" | "verified" }>}
 */
export async function query(url, sql, parameter) {
  let inspection;
  try {
    inspection = binding.inspect(url, sql, parameter);
  } catch (error) {
    throw new UsageError(error.message);
  }
  return JSON.parse(await inspection);
}
