// Changes that are called for in one turn of the event loop, and how many statements or transactions made them.
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

/** The code of each call's error, `undefined` where there is none. */
export const errors = async (calls) => (await Promise.all(calls.map(outcome))).map(({ error }) => error?.code);

/** Counts the statements of a kind on a table from now on: the function that it gives tells how many there were. */
export async function countStatements(sql, table, kind) {
  await sql.unsafe(`
    CREATE TABLE statement (of TEXT);
    CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO statement VALUES (TG_TABLE_NAME); RETURN NULL; END $$;
    CREATE TRIGGER count_statement AFTER ${kind} ON ${table} EXECUTE FUNCTION count_statement();
  `);
  return async () => (await sql`SELECT FROM statement`).length;
}
