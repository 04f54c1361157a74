// The tracing channel of calls: what its subscribers are told, when, and in whose asynchronous context.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { channel, tracingChannel } from "node:diagnostics_channel";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { openAdapter, terminate, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { runChild } from "./support/child.mjs";
import { tableNames } from "./support/database.mjs";
import { CHANNEL, observeTest } from "./support/observed.mjs";
import { databaseWith } from "./support/once.mjs";

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"];

const database = await databaseWith((sql) => sql`INSERT INTO auth_user (id) VALUES ('u')`);

/** Every event from now on, with a copy of its context as it is then, until the test is over. */
function eventsOf(t) {
  const events = [];
  const handlers = Object.fromEntries(EVENTS.map((event) => [event, (context) => events.push({ event, ...context })]));
  tracingChannel(CHANNEL).subscribe(handlers);
  t.after(() => tracingChannel(CHANNEL).unsubscribe(handlers));
  return events;
}

/** What the context says of the server, which is the same for all calls. */
const serverOf = (url) => {
  const { hostname, port, pathname } = new URL(url);
  return { database: pathname.slice(1), serverAddress: hostname, serverPort: Number(port) };
};

test("a call has a start, an end, and an end of what it waited for; what it came to is known at the last", async (t) => {
  const { adapter, url } = openAdapter(t, database.url);
  const events = eventsOf(t);
  await adapter.getUser("u");
  await assert.rejects(adapter.updateUser("u", { secret: 1 }));
  const outcome = { rows: 1, retries: 0, batch: 1, error: undefined, sqlstate: undefined };
  const unknown = Object.fromEntries(Object.keys(outcome).map((name) => [name, undefined]));
  const known = { method: "getUser", table: "auth_user", ...serverOf(url), ...unknown };
  const refused = { ...known, method: "updateUser", rows: 0, retries: 0, batch: 1, error: "42703", sqlstate: "42703" };
  assert.deepEqual(events, [
    { event: "start", ...known },
    { event: "end", ...known },
    { event: "asyncStart", ...known, ...outcome },
    { event: "asyncEnd", ...known, ...outcome },
    { event: "start", ...known, method: "updateUser" },
    { event: "end", ...known, method: "updateUser" },
    { event: "error", ...refused },
    { event: "asyncStart", ...refused },
    { event: "asyncEnd", ...refused },
  ]);
});

test("all events of a call have the same context, and each call has its own", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  const seen = new Map();
  const see = (context) => seen.set(context, (seen.get(context) ?? 0) + 1);
  const handlers = Object.fromEntries(EVENTS.map((event) => [event, see]));
  tracingChannel(CHANNEL).subscribe(handlers);
  t.after(() => tracingChannel(CHANNEL).unsubscribe(handlers));
  await Promise.all(["u", "u", "v"].map((id) => adapter.getUser(id)));
  assert.deepEqual([...seen.values()], [4, 4, 4]);
});

test("each of 256 concurrent requests has its own stores in every subscriber, though their lookups are sent together", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  const requests = new AsyncLocalStorage();
  const spans = new AsyncLocalStorage();
  const ended = [];
  let wrong = 0;
  const isOfRequest = (context) => (wrong += context.request !== requests.getStore());
  const handlers = {
    start(context) {
      context.request = requests.getStore();
    },
    end: isOfRequest,
    asyncStart: isOfRequest,
    asyncEnd(context) {
      isOfRequest(context);
      ended.push({ batch: context.batch, span: spans.getStore() });
    },
  };
  const { start } = tracingChannel(CHANNEL);
  start.bindStore(spans, () => ({ parent: requests.getStore() }));
  tracingChannel(CHANNEL).subscribe(handlers);
  t.after(() => {
    start.unbindStore(spans);
    tracingChannel(CHANNEL).unsubscribe(handlers);
  });
  const names = ["getSessionAndUser", "getUser", "getKey"];
  await Promise.all(Array.from({ length: 256 }, (_, request) => requests.run(request, async () => {
    await adapter[names[request % names.length]](`id ${request}`);
    assert.equal(spans.getStore(), undefined, "the span is the call's, not the caller's");
    assert.equal(requests.getStore(), request);
  })));
  assert.equal(wrong, 0);
  assert.deepEqual(ended.map(({ span }) => span.parent).sort((one, other) => one - other), Array.from({ length: 256 }, (_, n) => n));
  assert.ok(ended.filter(({ batch }) => batch > 1).length > 200, "the lookups are sent together");
});

test("the server is named as the settings name it, and nothing else of them is said", async (t) => {
  const { hostname, port, username, password, pathname } = new URL(database.url);
  const tables = { user: "public.auth_user", key: '"user_key"', session: null };
  const contexts = observeTest(t);
  const servers = async (options, expected) => {
    const initializer = postgres({ username, password: password || "secret", database: pathname.slice(1), ...options }, tables,
      { share: false, connect_timeout: 1 });
    await Promise.allSettled([initializer(LuciaError).getUser(5), initializer(LuciaError).getKey(5), initializer(LuciaError).getSession("s")]);
    assert.deepEqual(contexts.map(({ table }) => table), ["public.auth_user", '"user_key"', null]);
    for (const { serverAddress, serverPort } of contexts) assert.deepEqual([serverAddress, serverPort], expected);
    assert.doesNotMatch(JSON.stringify(contexts), /secret/);
    contexts.length = 0;
    await initializer.end();
  };
  await servers({ host: hostname, port }, [hostname, Number(port)]);
  await servers({ host: "localhost" }, ["localhost", 5432]);
  await servers({ host: ["one", "two"], port: 6000 }, ["one,two", 6000]);
  await servers({ host: ["one", "two"], port: [6000, 6001] }, ["one,two", undefined]);
  if (process.platform !== "win32") await servers({ host: "/run/postgresql", port: 5433 }, ["/run/postgresql", 5433]);
});

test("each call of each method is told of once, with its table and the rows that it read or changed", async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url);
  const messages = observeTest(t);
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
  const tableOf = (method) => (/Session/.test(method) ? "user_session" : /Key/.test(method) ? "user_key" : "auth_user");
  assert.deepEqual(messages.map((context) => ({ ...context })), expected.map(([method, rows, ...args]) => ({
    method,
    table: tableOf(method),
    ...serverOf(database.url),
    rows,
    retries: 0,
    batch: nothingSent([method, rows, ...args]) ? 0 : 1,
    error: undefined,
    sqlstate: undefined,
  })));
  assert.deepEqual(new Set(messages.map(({ method }) => method)), new Set([...Object.keys(adapter), "deleteExpiredSessions"]));
  assert.doesNotMatch(JSON.stringify(messages), /secret|user of a key|user alone|postgres:/);
});

test("a call is told of before its caller goes on", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  const messages = observeTest(t);
  await adapter.getUser("u");
  assert.equal(messages.length, 1);
  const refused = adapter.getUser(5).catch(() => messages.length);
  assert.equal(await refused, 2);
});

test("of a call that rejects the error's code is told, the SQLSTATE where the server refused, and nothing of its values", async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url);
  const withoutSessions = openAdapter(t, database.url, {}, { ...tableNames, session: null });
  await adapter.setKey({ id: "taken", user_id: "u", hashed_password: null });
  const messages = observeTest(t);
  const expected = [];
  const rejects = async (call, method, batch, error, sqlstate) => {
    await assert.rejects(call);
    expected.push({ method, rows: 0, retries: 0, batch, error, sqlstate });
  };
  const key = { id: "taken", user_id: "u", hashed_password: "secret" };
  await rejects(adapter.setKey(key), "setKey", 1, "AUTH_DUPLICATE_KEY_ID", "23505");
  await rejects(adapter.setUser({ id: "secret" }, { ...key, user_id: "secret" }), "setUser", 1, "AUTH_DUPLICATE_KEY_ID", "23505");
  await rejects(adapter.setKey({ ...key, id: "secret", user_id: "secret" }), "setKey", 1, "AUTH_INVALID_USER_ID", "23503");
  await rejects(adapter.setUser({ id: "u", username: "secret" }, null), "setUser", 1, "23505", "23505");
  await rejects(adapter.getUser("secret \0"), "getUser", 1, "22021", "22021");
  await rejects(adapter.updateUser("u", { secret: "secret" }), "updateUser", 1, "42703", "42703");
  await rejects(adapter.getUser(["secret"]), "getUser", 0, "TypeError");
  await rejects(adapter.updateUser("u", { username: undefined }), "updateUser", 0, "UNDEFINED_VALUE");
  await rejects(withoutSessions.adapter.getSession("secret"), "getSession", 0, "Error");
  await rejects(withoutSessions.initializer.deleteExpiredSessions(), "deleteExpiredSessions", 0, "Error");
  await initializer.end();
  await rejects(adapter.getUser("secret"), "getUser", 0, "CONNECTION_ENDED");
  assert.deepEqual(messages.map(({ method, rows, retries, batch, error, sqlstate }) => ({ method, rows, retries, batch, error, sqlstate })),
    expected);
  assert.doesNotMatch(JSON.stringify(messages), /secret/);
});

test("batch says how many calls were sent together, and retries that one was done again apart from them", async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url, { max: 1 });
  const messages = observeTest(t);
  const nobodyIsServed = () => eventually(10, "the connection is idle", () => initializer.stats().idle === 1);
  await Promise.all(["u", "u", "u", "u", "u"].map(adapter.getUser));
  const told = () => messages.splice(0).map(({ batch, retries, error }) => ({ batch, retries, error }));
  assert.deepEqual(told(), Array(5).fill({ batch: 5, retries: 0, error: undefined }));
  await nobodyIsServed();
  await Promise.allSettled(["u", "\0", "u"].map(adapter.getUser));
  const apart = { batch: 1, retries: 1, error: undefined };
  // One that rejects settles a little later than those beside it.
  const answeredFirst = told().sort((one, other) => Number(one.error !== undefined) - Number(other.error !== undefined));
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
  const messages = observeTest(t);
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

test("a call that end({ timeout }) gives up is told of once, with its code", async (t) => {
  const { adapter, initializer, name } = openAdapter(t, database.url);
  const messages = observeTest(t);
  await database.sql.begin(async (other) => {
    await other`LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE`;
    const call = adapter.getUser("u").catch(({ code }) => code);
    await eventually(10, "the lookup waits for the lock", async () => await waitingStatements(database.sql, name) === 1);
    await initializer.end({ timeout: 0 });
    assert.equal(await call, "CONNECTION_DESTROYED");
  });
  assert.deepEqual(messages.map(({ method, error }) => ({ method, error })), [{ method: "getUser", error: "CONNECTION_DESTROYED" }]);
});

test("a call that has begun before the first subscriber came is not told of", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  const call = adapter.getUser("u");
  const events = eventsOf(t);
  await call;
  assert.deepEqual(events, []);
  await adapter.getUser("u");
  assert.equal(events.length, 4);
});

test("a subscriber that comes in the middle of a turn is told of the calls that follow, and of these alone", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  await adapter.getUser("u");
  const ask = (ids) => ids.map((id) => adapter.getUser(id));
  const before = ask(["u", "none"]);
  const events = eventsOf(t);
  const after = ask(["none", "u", "u"]);
  const users = await Promise.all([...before, ...after]);
  assert.deepEqual(users.map((user) => user?.id), ["u", undefined, undefined, "u", "u"]);
  const ends = events.filter(({ event }) => event === "asyncEnd");
  assert.deepEqual(ends.map(({ rows }) => rows).sort(), [0, 1, 1]);
  assert.ok(ends.every(({ batch }) => batch >= 1), "each knows how many calls its statement was for");
  assert.equal(events.length, 4 * 3);
});

test("a subscriber to any one of the channels is told of its event alone", async (t) => {
  const { adapter } = openAdapter(t, database.url);
  for (const event of EVENTS) {
    const told = [];
    const push = (context, name) => told.push([name, context.method]);
    const one = channel(`tracing:${CHANNEL}:${event}`);
    one.subscribe(push);
    await assert.rejects(adapter.getUser(5));
    one.unsubscribe(push);
    await assert.rejects(adapter.getUser(5));
    assert.deepEqual(told, [[`tracing:${CHANNEL}:${event}`, "getUser"]]);
  }
});

test("a Node that has channels without stores publishes the same", async () => {
  const { stdout, stderr } = await runChild(`
    import { Channel, channel } from "node:diagnostics_channel";
    delete Channel.prototype.runStores;
    const events = [];
    for (const event of ["start", "end", "asyncStart", "asyncEnd", "error"]) {
      const one = channel("tracing:${CHANNEL}:" + event);
      one.subscribe(({ rows }) => events.push(event, rows));
      Object.defineProperty(one, "runStores", { value: undefined });
    }
    await adapter.getUser("u");
    console.log(events.join(" "));
    await initializer.end();
  `, database.url);
  assert.equal(stdout.trim(), "start  end  asyncStart 1 asyncEnd 1", stderr);
});

test("a subscriber that throws does not disturb the call: the error is an uncaught exception of the process", async () => {
  const { code, stdout } = await runChild(`
    import { subscribe } from "node:diagnostics_channel";
    subscribe("tracing:${CHANNEL}:asyncEnd", () => {
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

test("an error that nobody handles stays an unhandled one, and its stack names the caller, while a subscriber listens", async () => {
  const { code, stdout } = await runChild(`
    import { subscribe } from "node:diagnostics_channel";
    subscribe("tracing:${CHANNEL}:asyncEnd", () => {});
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
  const messages = observeTest(t);
  const worker = new Worker(new URL("support/worker.mjs", import.meta.url), { workerData: { url, job: "be observed" } });
  const exited = once(worker, "exit");
  const [report] = await within(20, "the worker reports", once(worker, "message"));
  assert.deepEqual(report, [{ method: "getUser", rows: 0 }]);
  await exited;
  assert.deepEqual(messages, []);
});
