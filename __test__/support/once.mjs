// A database for all tests of a file, dropped after the last of them.
import { after } from "node:test";

import { createTables, freshDatabase } from "./database.mjs";

export async function emptyDatabase() {
  const database = await freshDatabase();
  after(() => database.drop());
  return database;
}

/** With Lucia's tables, and what `fill` puts there. */
export async function databaseWith(...fill) {
  const database = await emptyDatabase();
  for (const each of [createTables, ...fill]) await each(database.sql);
  return database;
}
