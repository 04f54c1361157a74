// From Lucia 2 to Lucia 3, by the statements of docs/migrating.md on a database that Lucia 2 has filled.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";

import { lucia } from "lucia";
import { LegacyScrypt, Lucia, TimeSpan } from "lucia-3";
import { PostgresAdapter } from "lucia-postgres-native/v3";

import { postgres } from "../index.js";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { openBoth } from "./support/lucia-3.mjs";

const DAY = 86_400_000;
const text = readFileSync(new URL("../docs/migrating.md", import.meta.url), "utf8");
const [, section] = text.split("## From Lucia 2 to Lucia 3\n");
const statements = /^```sql\n([^]*?)^```$/m.exec(section)[1].split(/(?<=;)\n/).filter(Boolean);

let database;
let sql;
let adapter;
let auth;
let user;
/** What Lucia 2 has stored, by the sessions' ids. */
let stored;

before(async () => {
  database = await freshDatabase();
  sql = database.sql;
  await createTables(sql);
  const initialize = postgres(database.url, tableNames);
  const before2 = lucia({ adapter: initialize, env: "DEV", getUserAttributes: ({ username }) => ({ username }) });
  user = await before2.createUser({
    key: { providerId: "username", providerUserId: "ada", password: "correct horse" }, attributes: { username: "Ada" },
  });
  // Active, in its idle period, dead, and to the millisecond.
  const sessions = await Promise.all(Array.from({ length: 5 }, () => (
    before2.createSession({ userId: user.userId, attributes: { country: "PT" } })
  )));
  const [active, idle, dead, ...exact] = sessions.map(({ sessionId }) => sessionId);
  await sql`UPDATE user_session SET active_expires = ${Date.now() - DAY}, idle_expires = ${Date.now() + DAY} WHERE id = ${idle}`;
  await sql`UPDATE user_session SET active_expires = ${Date.now() - DAY}, idle_expires = ${Date.now() - 1} WHERE id = ${dead}`;
  for (const [index, id] of exact.entries()) {
    await sql`UPDATE user_session SET idle_expires = ${[4_102_444_799_999, 1_893_456_789_001][index]} WHERE id = ${id}`;
  }
  assert.equal((await before2.validateSession(active)).state, "active");
  stored = new Map((await sql`SELECT id, idle_expires FROM user_session`).map((row) => [row.id, Number(row.idle_expires)]));
  await assert.rejects(before2.validateSession(dead), { message: "AUTH_INVALID_SESSION_ID" });
  await initialize.end();

  assert.equal(statements.length, 3);
  await sql.begin(async (transaction) => {
    for (const statement of statements) await transaction.unsafe(statement);
  });
  adapter = new PostgresAdapter(database.url, { user: "auth_user", session: "user_session" });
  auth = new Lucia(adapter, {
    sessionExpiresIn: new TimeSpan(15, "d"), getUserAttributes: ({ username }) => ({ username }), getSessionAttributes: ({ country }) => ({ country }),
  });
});
after(async () => {
  await adapter?.end();
  await database?.drop();
});

describe("the migration from Lucia 2 to Lucia 3", () => {
  test("keeps every session for as long as its idle period had been", async () => {
    assert.equal(stored.size, 5);
    for (const [id, idleExpires] of stored) {
      const [session] = await adapter.getSessionAndUser(id);
      assert.equal(session.expiresAt.getTime(), idleExpires);
    }
    for (const [id, idleExpires] of stored) {
      const { session, user: found } = await auth.validateSession(id);
      if (idleExpires <= Date.now()) {
        assert.equal(session, null);
        continue;
      }
      assert.deepEqual([found, session.country], [{ id: user.userId, username: "Ada" }, "PT"]);
    }
    assert.equal((await auth.getUserSessions(user.userId)).length, 4);
  });

  test("keeps passwords, which LegacyScrypt verifies", async () => {
    const [{ hashed_password: hash }] = await sql`SELECT hashed_password FROM user_key WHERE id = 'username:ada'`;
    assert.equal(await new LegacyScrypt().verify(hash, "correct horse"), true);
    assert.equal(await new LegacyScrypt().verify(hash, "wrong"), false);
  });

  test("makes tables that the official adapter of Lucia 3 reads too", async () => {
    const both = openBoth(database.url);
    const created = await auth.createSession(user.userId, { country: "DE" });
    assert.deepEqual(await both.ours.getSessionAndUser(created.id), await both.reference.getSessionAndUser(created.id));
    await both.end();
  });
});
