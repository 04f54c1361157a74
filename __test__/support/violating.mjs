// A database with one user, its key and its session, anew for each test, and what is said of the errors of insertions into it.
import assert from "node:assert/strict";
import { after, beforeEach } from "node:test";
import { inspect } from "node:util";

import { LuciaError } from "lucia";

import { postgres } from "../../index.js";
import { createTables, freshDatabase } from "./database.mjs";
import { openAdapters, outcome } from "./opened.mjs";

const database = await freshDatabase();
export const { sql, url } = database;
await createTables(sql);
export const adapters = openAdapters(url);
export const adapter = adapters.open();
after(async () => {
  await adapters.close();
  await database.drop();
});

const alice = { id: "alice", username: "Alice" };
const aliceKey = { id: "email:alice", user_id: "alice", hashed_password: "secret hash" };
export const times = { active_expires: 1, idle_expires: 2 };

beforeEach(async () => {
  await sql`TRUNCATE auth_user CASCADE`;
  await sql`INSERT INTO auth_user ${sql(alice)}`;
  await sql`INSERT INTO user_key ${sql(aliceKey)}`;
  await sql`INSERT INTO user_session ${sql({ id: "session-a", user_id: "alice", ...times })}`;
});

async function assertLuciaError(promise, message) {
  const { error, value } = await outcome(promise);
  assert.ok(error instanceof LuciaError, `expected ${message}, got ${inspect(error ?? value)}`);
  assert.equal(error.message, message);
  assert.equal(error.detail, "");
}
export const assertDuplicate = (promise) => assertLuciaError(promise, "AUTH_DUPLICATE_KEY_ID");
export const assertInvalidUser = (promise) => assertLuciaError(promise, "AUTH_INVALID_USER_ID");

/** The database's own error, with these fields. */
export async function assertDatabaseError(promise, fields) {
  const { error, value } = await outcome(promise);
  assert.ok(error instanceof Error, `expected an error, got ${inspect(value)}`);
  assert.equal(error instanceof LuciaError, false, error.message);
  assert.equal(error.name, "PostgresError");
  assert.deepEqual(Object.fromEntries(Object.keys(fields).map((name) => [name, error[name]])), fields);
  return error;
}

export const stored = async () => ({
  users: (await sql`SELECT id FROM auth_user ORDER BY id`).map(({ id }) => id),
  keys: (await sql`SELECT id FROM user_key ORDER BY id`).map(({ id }) => id),
});
export const before = { users: ["alice"], keys: ["email:alice"] };

/** Tables of their own for one test; the adapter on them is closed and they are dropped with their schema. */
export async function inSchema(ddl, work, names = ["own.auth_user", "own.user_key", "own.user_session"]) {
  await sql.unsafe(`
    CREATE SCHEMA own;
    CREATE TABLE own.auth_user (id TEXT PRIMARY KEY, username TEXT);
    CREATE TABLE own.user_session (id TEXT PRIMARY KEY, user_id TEXT REFERENCES own.auth_user,
      active_expires INT8, idle_expires INT8);
    ${ddl}
    INSERT INTO own.auth_user VALUES ('alice', 'Alice');
    INSERT INTO own.user_key (id, user_id) VALUES ('email:alice', 'alice');
  `);
  const initialize = postgres(url, { user: names[0], key: names[1], session: names[2] });
  try {
    await work(initialize(LuciaError));
  } finally {
    await initialize.end();
    await sql.unsafe("DROP SCHEMA own CASCADE");
  }
}
export const keyTable = (columns) => `CREATE TABLE own.user_key (${columns});`;
export const plainKeyTable = keyTable("id TEXT PRIMARY KEY, user_id TEXT REFERENCES own.auth_user, hashed_password TEXT");
export const newKey = (fields) => ({ id: "new", user_id: "alice", hashed_password: null, ...fields });
export const takenKey = newKey({ id: "email:alice" });

export async function assertBothKeyErrors(own) {
  await assertDuplicate(own.setKey(takenKey));
  await assertDuplicate(own.setUser({ id: "bob" }, { ...takenKey, user_id: "bob" }));
  await assertInvalidUser(own.setKey(newKey({ user_id: "nobody" })));
  assert.deepEqual([...(await sql`SELECT id FROM own.auth_user`)], [{ id: "alice" }]);
}
