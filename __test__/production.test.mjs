// What people ask of a driver in production: housekeeping, and plans.
import assert from "node:assert/strict";
import { test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { runChild } from "./support/child.mjs";
import { tableNames } from "./support/database.mjs";
import { databaseWith } from "./support/once.mjs";

const database = await databaseWith((sql) => sql`INSERT INTO auth_user (id) VALUES ('u')`);

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

test("deleteExpiredSessions leaves a session whose idle period ends in this very millisecond", async (t) => {
  const initializer = postgres(database.url, tableNames, { share: false });
  t.after(() => initializer.end());
  const adapter = initializer(LuciaError);
  const now = 1_700_000_000_000;
  t.mock.method(Date, "now", () => now);
  for (const [id, idle_expires] of Object.entries({ over: now - 1, ends: now })) {
    await adapter.setSession({ id, user_id: "u", active_expires: now - 2, idle_expires });
  }
  assert.equal(await initializer.deleteExpiredSessions(), 1);
  assert.deepEqual(await adapter.getSession("over"), null);
  assert.equal((await adapter.getSession("ends")).idle_expires, now);
  await adapter.deleteSession("ends");
});

test("deleteExpiredSessions rejects without a table of sessions, and after the end", async () => {
  const initializer = postgres(database.url, { ...tableNames, session: null }, { share: false });
  await assert.rejects(initializer.deleteExpiredSessions(), /Session table not defined/);
  await initializer.end();
  await assert.rejects(initializer.deleteExpiredSessions(), { code: "CONNECTION_ENDED" });
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

test("a connection keeps a hundred statements prepared, and no more", async (t) => {
  const names = Array.from({ length: 8 }, (_, n) => `c${n}`);
  await database.sql.unsafe(`
    CREATE TABLE wide (id text PRIMARY KEY, ${names.map((name) => `${name} int`).join(", ")}); INSERT INTO wide VALUES ('u');
    CREATE VIEW counted AS SELECT id, (SELECT count(*)::int FROM pg_prepared_statements) AS prepared FROM wide`);
  // Both have the one connection of equal settings.
  const [wide, counted] = ["wide", "counted"].map((user) => postgres(database.url, { ...tableNames, user }, { max: 1 }));
  t.after(() => Promise.all([wide.end(), counted.end()]));
  const { updateUser } = wide(LuciaError);
  for (let subset = 1; subset < 256; subset += 1) {
    const chosen = names.filter((_, n) => (subset >> n) % 2 === 1);
    await updateUser("u", Object.fromEntries(chosen.map((name) => [name, subset])));
  }
  const { prepared } = await counted(LuciaError).getUser("u");
  assert.ok(prepared > 90 && prepared <= 101, `${prepared} are prepared`);
});

test("a plan_cache_mode that the settings say is left as it is", async (t) => {
  let plans = 0;
  const initializer = postgres(database.url, tableNames, {
    max: 1,
    connection: { log_planner_stats: "on", client_min_messages: "log", plan_cache_mode: "force_custom_plan" },
    onnotice: ({ message }) => (plans += message === "PLANNER STATISTICS"),
  });
  t.after(() => initializer.end());
  const { getUser } = initializer(LuciaError);
  await getUser("u");
  const before = plans;
  for (let call = 0; call < 10; call += 1) await getUser("u");
  assert.equal(plans - before, 10);
});

test("rows are the same in a program that forbids code which is made of strings", async (t) => {
  await database.sql`ALTER TABLE auth_user ADD COLUMN "__proto__" JSONB, ADD COLUMN born DATE`;
  t.after(() => database.sql`ALTER TABLE auth_user DROP COLUMN "__proto__", DROP COLUMN born`);
  await database.sql`INSERT INTO auth_user (id, "__proto__", born) VALUES ('strict', '{"a": 1}', '2001-02-03')`;
  await database.sql`INSERT INTO user_session VALUES ('strict', 'strict', 1, 2)`;
  const text = `
    let isForbidden = false;
    try { eval("0"); } catch { isForbidden = true; }
    const [session, user] = await adapter.getSessionAndUser("strict");
    console.log(isForbidden, JSON.stringify([session, user, await adapter.getSessionsByUserId("strict")]));
    await initializer.end();
  `;
  const free = await runChild(text, database.url);
  const strict = await runChild(text, database.url, { flags: ["--disallow-code-generation-from-strings"] });
  assert.match(free.stdout, /^false .*"__proto__":{"a":1},"born":"2001-02-03T00:00:00.000Z"}/);
  assert.equal(strict.stdout.replace("true", "false"), free.stdout, strict.stderr);
});
