// Insertions that are called for in one turn of the event loop, and how many transactions stored them.
import { outcome } from "./opened.mjs";
import { refusal } from "./reference.mjs";

/** What became of every call, each made in this turn. */
export async function together(calls) {
  const outcomes = await Promise.all(calls.map((call) => outcome(call())));
  return outcomes.map(({ error }) => (error === undefined ? "stored" : error.message.startsWith("AUTH_") ? error.message : refusal(error)));
}

/** `call(0)`, `call(1)` ... */
export const times = (count, call) => Array.from({ length: count }, (_, n) => () => call(n));

/** How many transactions stored the rows that `where` names. */
export async function transactions(sql, table, where = "true") {
  const [{ count }] = await sql.unsafe(`SELECT count(DISTINCT xmin::text)::int FROM ${table} WHERE ${where}`);
  return count;
}
