// What people ask of a driver in production: figures, and housekeeping.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";

let database;
before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await database.sql`INSERT INTO auth_user (id) VALUES ('u')`;
});
after(() => database.drop());

test("deleteExpiredSessions deletes the sessions whose idle period is over, and tells how many", async (t) => {
  const initializer = postgres(database.url, tableNames, { share: false });
  t.after(() => initializer.end());
  const adapter = initializer(LuciaError);
  const now = Date.now();
  const sessions = { over: now - 1, long: 0, idle: now + 60_000, active: now + 120_000 };
  for (const [id, idle_expires] of Object.entries(sessions)) {
    await adapter.setSession({ id, user_id: "u", active_expires: idle_expires - 60_000, idle_expires });
  }
  assert.equal(await initializer.deleteExpiredSessions(), 2);
  assert.deepEqual((await adapter.getSessionsByUserId("u")).map(({ id }) => id).sort(), ["active", "idle"]);
  assert.equal(await initializer.deleteExpiredSessions(), 0);
});

test("deleteExpiredSessions rejects without a table of sessions, and after the end", async () => {
  const initializer = postgres(database.url, { ...tableNames, session: null }, { share: false });
  await assert.rejects(initializer.deleteExpiredSessions(), /Session table not defined/);
  await initializer.end();
  await assert.rejects(initializer.deleteExpiredSessions(), { code: "CONNECTION_ENDED" });
});

test("stats tells the connections and the calls that wait", async (t) => {
  const initializer = postgres(database.url, tableNames, { max: 2, share: false });
  t.after(() => initializer.end());
  const adapter = initializer(LuciaError);
  assert.deepEqual(initializer.stats(), { max: 2, connections: 0, idle: 0, waiting: 0 });
  const calls = Array.from({ length: 100 }, () => adapter.getUser("u"));
  assert.equal(initializer.stats().waiting, 100);
  await Promise.all(calls);
  const { connections, waiting } = initializer.stats();
  assert.ok(connections >= 1 && connections <= 2);
  assert.equal(waiting, 0);
});

test("the server plans a lookup once on each connection, for however few calls it is sent", async (t) => {
  let plans = 0;
  const initializer = postgres(database.url, tableNames, {
    max: 1,
    connection: { log_planner_stats: "on", client_min_messages: "log" },
    onnotice: ({ message }) => (plans += message === "PLANNER STATISTICS"),
  });
  t.after(() => initializer.end());
  const { getSessionAndUser } = initializer(LuciaError);
  const lookUp = (count) => Promise.all(Array.from({ length: count }, (_, n) => getSessionAndUser(`session ${n}`)));
  await lookUp(1);
  await lookUp(2);
  const before = plans;
  assert.ok(before > 0, "the server tells when it plans");
  for (let count = 1; count < 30; count += 1) await lookUp(count);
  assert.equal(plans, before);
});
