// The official test suite of adapters for Lucia 2.
import assert from "node:assert/strict";

import { Database, testAdapter } from "@lucia-auth/adapter-test";
import { LuciaError } from "lucia";

const expires = (row) => ({ ...row, active_expires: Number(row.active_expires), idle_expires: Number(row.idle_expires) });

/** Runs it on an adapter whose tables are those of `createTables`; `sql` reads and writes them beside it. */
export async function officialSuite(adapter, sql) {
  const table = (name, read = (row) => row) => ({
    get: async () => (await sql`SELECT * FROM ${sql(name)}`).map((row) => read({ ...row })),
    insert: async (row) => {
      await sql`INSERT INTO ${sql(name)} ${sql(row)}`;
    },
    clear: async () => {
      await sql`DELETE FROM ${sql(name)}`;
    },
  });
  // The suite compares instances of LuciaError deeply. V8 makes the `message` of the first ten enumerable and that of
  // later ones not: get past that point, so that both sides of a comparison are made alike.
  for (let made = 0; made < 100; made += 1) assert.ok(new LuciaError("UNKNOWN_ERROR"));
  await testAdapter(
    adapter,
    new Database({ user: table("auth_user"), key: table("user_key"), session: table("user_session", expires) }),
  );
}
