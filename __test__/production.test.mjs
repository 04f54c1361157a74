// What people ask of a driver in production: figures, and housekeeping.
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { openAdapter, terminate, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { runChild } from "./support/child.mjs";
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

const CHANNEL = "lucia-postgres-native:call";

/** The messages of the channel from now on, until the test is over. */
function messagesOf(t) {
  const messages = [];
  const push = (message) => messages.push(message);
  subscribe(CHANNEL, push);
  t.after(() => unsubscribe(CHANNEL, push));
  return messages;
}

/** Everything but the time, which is checked: it is not longer than all the test took. */
function untimed(messages, since) {
  return messages.map(({ duration, ...rest }) => {
    assert.ok(duration > 0 && duration <= performance.now() - since, `${duration} ms`);
    return rest;
  });
}

test("the channel has one message for each call of each method, with the rows that it read or changed", async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url);
  const since = performance.now();
  const messages = messagesOf(t);
  const user = { id: "user of a key", username: "secret name" };
  const key = { id: "secret key", user_id: user.id, hashed_password: "secret hash" };
  const session = { id: "secret session", user_id: user.id, active_expires: 1, idle_expires: 2, country: "secret country" };
  const calls = [
    ["setUser", 2, user, key],
    ["setUser", 1, { id: "user alone" }, null],
    ["setKey", 1, { ...key, id: "second secret key" }],
    ["setSession", 1, session],
    ["setSession", 1, { ...session, id: "second secret session" }],
    ["updateUser", 1, user.id, { username: "other secret name" }],
    ["updateUser", 0, user.id, {}],
    ["updateKey", 1, key.id, { hashed_password: null }],
    ["updateSession", 1, session.id, { active_expires: 5 }],
    ["updateSession", 0, "secret that is not there", { active_expires: 5 }],
    ["getUser", 1, user.id],
    ["getUser", 0, "secret that is not there"],
    ["getKey", 1, key.id],
    ["getKeysByUserId", 2, user.id],
    ["getSession", 1, session.id],
    ["getSessionsByUserId", 2, user.id],
    ["getSessionsByUserId", 0, "secret that is not there"],
    ["getSessionAndUser", 1, session.id],
    ["getSessionAndUser", 0, "secret that is not there"],
    ["deleteSession", 1, session.id],
    ["deleteSession", 0, session.id],
    ["deleteKey", 1, key.id],
    ["deleteKeysByUserId", 1, user.id],
    ["deleteSessionsByUserId", 1, user.id],
    ["deleteUser", 1, user.id],
  ];
  for (const [method, , ...args] of calls) await adapter[method](...args);
  await adapter.setSession({ ...session, user_id: "user alone" });
  await initializer.deleteExpiredSessions();
  const expected = [...calls, ["setSession", 1], ["deleteExpiredSessions", 1]];
  const nothingSent = ([method, , , change]) => method === "updateUser" && Object.keys(change).length === 0;
  assert.deepEqual(untimed(messages, since), expected.map(([method, rows, ...args]) =>
    ({ method, rows, retries: 0, batch: nothingSent([method, rows, ...args]) ? 0 : 1, error: undefined })));
  assert.deepEqual(new Set(messages.map(({ method }) => method)), new Set([...Object.keys(adapter), "deleteExpiredSessions"]));
  assert.doesNotMatch(JSON.stringify(messages), /secret|user of a key|user alone|postgres:/);
});

test("a message is published before its call's caller goes on", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  const messages = messagesOf(t);
  await adapter.getUser("u");
  assert.equal(messages.length, 1);
  const refused = adapter.getUser(5).catch(() => messages.length);
  assert.equal(await refused, 2);
});

test("a message of a call that rejects says the error's code and nothing of its values", async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url);
  const withoutSessions = openAdapter(t, database.url, {}, { ...tableNames, session: null });
  await adapter.setKey({ id: "taken", user_id: "u", hashed_password: null });
  const since = performance.now();
  const messages = messagesOf(t);
  const expected = [];
  const rejects = async (call, method, batch, error) => {
    await assert.rejects(call);
    expected.push({ method, rows: 0, retries: 0, batch, error });
  };
  const key = { id: "taken", user_id: "u", hashed_password: "secret" };
  await rejects(adapter.setKey(key), "setKey", 1, "AUTH_DUPLICATE_KEY_ID");
  await rejects(adapter.setUser({ id: "secret" }, { ...key, user_id: "secret" }), "setUser", 1, "AUTH_DUPLICATE_KEY_ID");
  await rejects(adapter.setKey({ ...key, id: "secret", user_id: "secret" }), "setKey", 1, "AUTH_INVALID_USER_ID");
  await rejects(adapter.setUser({ id: "u", username: "secret" }, null), "setUser", 1, "23505");
  await rejects(adapter.getUser("secret \0"), "getUser", 1, "22021");
  await rejects(adapter.updateUser("u", { secret: "secret" }), "updateUser", 1, "42703");
  await rejects(adapter.getUser(["secret"]), "getUser", 0, "TypeError");
  await rejects(adapter.updateUser("u", { username: undefined }), "updateUser", 0, "UNDEFINED_VALUE");
  await rejects(withoutSessions.adapter.getSession("secret"), "getSession", 0, "Error");
  await rejects(withoutSessions.initializer.deleteExpiredSessions(), "deleteExpiredSessions", 0, "Error");
  await initializer.end();
  await rejects(adapter.getUser("secret"), "getUser", 0, "CONNECTION_ENDED");
  assert.deepEqual(untimed(messages, since), expected);
  assert.doesNotMatch(JSON.stringify(messages), /secret/);
});

test("batch says how many calls travelled together, and retries that one was done again apart from them", async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url, { max: 1 });
  const messages = messagesOf(t);
  const nobodyIsServed = () => eventually(10, "the connection is idle", () => initializer.stats().idle === 1);
  await Promise.all(["u", "u", "u", "u", "u"].map(adapter.getUser));
  const journeys = () => messages.splice(0).map(({ batch, retries, error }) => ({ batch, retries, error }));
  assert.deepEqual(journeys(), Array(5).fill({ batch: 5, retries: 0, error: undefined }));
  await nobodyIsServed();
  await Promise.allSettled(["u", "\0", "u"].map(adapter.getUser));
  const apart = { batch: 1, retries: 1, error: undefined };
  // One that rejects settles a little later than those beside it.
  const answeredFirst = journeys().sort((one, other) => Number(one.error !== undefined) - Number(other.error !== undefined));
  assert.deepEqual(answeredFirst, [apart, apart, { ...apart, error: "22021" }]);

  const signUp = (name) => adapter.setUser({ id: name }, { id: `key of ${name}`, user_id: name, hashed_password: null });
  await signUp("first");
  await nobodyIsServed();
  await Promise.all(["second", "third", "fourth"].map(signUp));
  assert.deepEqual(messages.splice(0).map(({ rows, batch, retries }) => ({ rows, batch, retries })),
    [{ rows: 2, batch: 1, retries: 0 }, ...Array(3).fill({ rows: 2, batch: 3, retries: 0 })]);
});

test("retries says that a lookup was sent again when its connection was lost", async (t) => {
  const { adapter, name } = openAdapter(t, database.url);
  const messages = messagesOf(t);
  const waits = () => eventually(10, "the lookup waits for the lock", async () => await waitingStatements(database.sql, name) === 1);
  const lookup = await database.sql.begin(async (other) => {
    await other`LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE`;
    const call = adapter.getUser("u");
    await waits();
    assert.equal(await terminate(database.sql, name), 1);
    await waits();
    return { call };
  });
  assert.equal((await lookup.call).id, "u");
  assert.deepEqual(messages.map(({ rows, retries, batch }) => ({ rows, retries, batch })), [{ rows: 1, retries: 1, batch: 1 }]);
});

test("a call that end({ timeout }) gives up is published once, with its code", async (t) => {
  const { adapter, initializer, name } = openAdapter(t, database.url);
  const messages = messagesOf(t);
  await database.sql.begin(async (other) => {
    await other`LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE`;
    const call = adapter.getUser("u").catch(({ code }) => code);
    await eventually(10, "the lookup waits for the lock", async () => await waitingStatements(database.sql, name) === 1);
    await initializer.end({ timeout: 0 });
    assert.equal(await call, "CONNECTION_DESTROYED");
  });
  assert.deepEqual(messages.map(({ method, error }) => ({ method, error })), [{ method: "getUser", error: "CONNECTION_DESTROYED" }]);
});

test("without a subscriber nothing is published and no time is taken", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  const now = t.mock.method(performance, "now");
  const calls = () => Promise.all([adapter.getUser("u"), adapter.updateUser("u", { username: "name" }), adapter.getUser("u")]);
  await calls();
  assert.equal(now.mock.callCount(), 0);
  const messages = [];
  const push = (message) => messages.push(message);
  subscribe(CHANNEL, push);
  await calls();
  unsubscribe(CHANNEL, push);
  assert.deepEqual([messages.length, now.mock.callCount()], [3, 6]);
  await calls();
  assert.deepEqual([messages.length, now.mock.callCount()], [3, 6]);
});

test("a subscriber that throws does not disturb the call: the error is an uncaught exception of the process", async () => {
  const { code, stdout } = await runChild(`
    import { subscribe } from "node:diagnostics_channel";
    subscribe("${CHANNEL}", () => {
      throw new Error("of the subscriber");
    });
    process.on("uncaughtException", ({ message }) => console.log("uncaught", message));
    console.log((await adapter.getUser("u")).id);
    console.log(await adapter.getUser(5).catch(({ name }) => name));
    await initializer.end();
  `, database.url);
  assert.equal(code, 0);
  assert.deepEqual(stdout.trim().split("\n").sort(), ["TypeError", "u", "uncaught of the subscriber", "uncaught of the subscriber"]);
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

test("an error that nobody handles stays an unhandled one, and its stack names the caller, while a subscriber listens", async () => {
  const { code, stdout } = await runChild(`
    import { subscribe } from "node:diagnostics_channel";
    subscribe("${CHANNEL}", () => {});
    async function theCaller() {
      await adapter.updateUser("u", { nonsense: 1 });
    }
    console.log((await theCaller().catch((error) => error)).stack.includes("theCaller"));
    process.on("unhandledRejection", (error) => console.log("unhandled", error.code));
    adapter.updateUser("u", { nonsense: 1 });
    await adapter.getUser("u");
  `, database.url);
  assert.equal(code, 0);
  assert.deepEqual(stdout.trim().split("\n"), ["true", "unhandled 42703"]);
});

test("each worker has a channel of its own", async (t) => {
  const { url } = openAdapter(t, database.url);
  const messages = messagesOf(t);
  const worker = new Worker(new URL("support/worker.mjs", import.meta.url), { workerData: { url, job: "be observed" } });
  const exited = once(worker, "exit");
  const [report] = await within(20, "the worker reports", once(worker, "message"));
  assert.deepEqual(report, [{ method: "getUser", rows: 0 }]);
  await exited;
  assert.deepEqual(messages, []);
});
