// A database with every type, for all tests of a file, which both adapters read where local time is not UTC: a value that is
// read or written in the wrong zone shows.
import { after, afterEach } from "node:test";

import connect from "postgres";

import { createTypes } from "./available.mjs";
import { freshDatabase } from "./database.mjs";

export const zone = "America/New_York";

/** @param {typeof import("./reference.mjs").openBoth} openBoth of a version of Lucia */
export async function databaseOfTypes(openBoth) {
  process.env.TZ = zone;
  const database = await freshDatabase();
  const available = await createTypes(database.sql);
  const driver = connect(database.url, { max: 1, onnotice: () => {} });
  const open = [];
  afterEach(async () => {
    process.env.TZ = zone;
    await Promise.all(open.splice(0).map((each) => each.end()));
  });
  after(async () => {
    await driver.end();
    await database.drop();
  });

  /** Both adapters for these tables, until the test is over. */
  function both(tables, options) {
    const opened = openBoth(database.url, tables, { max: 2, ...options });
    open.push(opened);
    return opened;
  }
  return { database, available, driver, both };
}
