// A database for each test of the file that imports this, and adapters on it: made anew, and dropped after the test.
import { afterEach, beforeEach } from "node:test";

import { freshDatabase } from "./database.mjs";
import { openAdapters } from "./opened.mjs";

/** @type {Awaited<ReturnType<typeof freshDatabase>>} */
export let database;
/** @type {import("postgres").Sql} */
export let sql;
/** @type {ReturnType<typeof openAdapters>} */
export let adapters;

beforeEach(async () => {
  database = await freshDatabase();
  sql = database.sql;
  adapters = openAdapters(database.url);
});
afterEach(async () => {
  await adapters?.close();
  await database?.drop();
});
