// A program in surroundings of its own: fake timers, spies, a polluted `Object.prototype`, options that refer to themselves.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { openAdapter, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { runChild } from "./support/child.mjs";
import { tableNames } from "./support/database.mjs";
import { databaseWith } from "./support/once.mjs";

const database = await databaseWith();
const { sql } = database;
await sql`ALTER TABLE auth_user ADD meta JSONB DEFAULT '{}'`;
await sql`INSERT INTO auth_user (id, username) SELECT 'u' || n, 'name' || n FROM generate_series(1, 50) n`;
await sql`INSERT INTO user_session (id, user_id, active_expires, idle_expires) VALUES ('s1', 'u1', 1, 2)`;
await sql`CREATE VIEW asleep_user AS SELECT id, username, pg_sleep(60)::text AS slept FROM auth_user`;

const cyclic = () => {
  const value = {};
  value.self = value;
  return value;
};
const deep = () => {
  let value = {};
  for (let level = 0; level < 100_000; level += 1) value = { value };
  return value;
};
const cyclicList = [];
cyclicList.push(cyclicList);
for (const [what, options, message] of [
  ["refers to itself", { logger: cyclic() }, /option `logger` is not known/],
  ["is the global object", { g: globalThis }, /option `g` is not known/],
  ["has a getter that throws", { logger: { get level() { throw new Error("read"); } } }, /option `logger` is not known/],
  ["refers to itself inside `ssl`", { ssl: { ca: "x", context: cyclic() } }, /option `ssl\.context` is not known/],
  ["is a list of itself", { host: cyclicList }, /option `host`/],
  ["is very deep", { connection: deep() }, /option `connection\.value`/],
]) {
  test(`an option that ${what} is refused with a TypeError that names it`, () => {
    assert.throws(() => postgres(database.url, tableNames, options), (error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("a conversion that throws rejects its own call, and the others that were answered with it are served", async (t) => {
  const { adapter, initializer } = openAdapter(t, database.url);
  const ids = Array.from({ length: 40 }, (_, n) => `u${n + 1}`);
  await Promise.all(ids.map((id) => adapter.getUser(id)));
  const { parse } = JSON;
  let count = 0;
  JSON.parse = (...given) => {
    count += 1;
    if (count === 4) throw new Error("a spy");
    return parse(...given);
  };
  let outcomes;
  try {
    outcomes = await within(10, "every call settles", Promise.allSettled(ids.map((id) => adapter.getUser(id))));
  } finally {
    JSON.parse = parse;
  }
  const rejected = outcomes.filter(({ status }) => status === "rejected");
  assert.deepEqual(rejected.map(({ reason }) => reason.code), ["INVALID_ANSWER"]);
  assert.match(rejected[0].reason.message, /a spy/);
  assert.equal((await adapter.getUser("u1")).username, "name1");
  await within(5, "the adapter ends", initializer.end());
});

test("a text that is longer than a string can be rejects its own call, and no other one", async (t) => {
  await sql`CREATE TABLE big_user (id TEXT PRIMARY KEY, bio TEXT)`;
  await sql`INSERT INTO big_user VALUES ('big', repeat('x', 540000000)), ('small', 'y')`;
  await sql`CREATE VIEW late_user AS SELECT id, username, pg_sleep(2)::text AS slept FROM auth_user`;
  t.after(() => sql`DROP TABLE big_user; DROP VIEW late_user`.simple());
  const { adapter, initializer } = openAdapter(t, database.url, {}, { ...tableNames, user: "big_user" });
  const [other, late] = ["auth_user", "late_user"].map((user) => openAdapter(t, database.url, {}, { ...tableNames, user }).adapter);
  const small = { id: "small", bio: "y" };
  assert.deepEqual(await adapter.getUser("small"), small);

  const ids = ["small", "nobody", "big", "small", "nobody"];
  const calls = ids.map((id) => adapter.getUser(id));
  const others = [other.getUser("u5"), late.getUser("u6"), other.updateUser("u7", { username: "seven" }), late.getUser("nobody")];
  const settled = Promise.allSettled([...calls, ...others]);
  // Answers that come while this thread does nothing land together: those before the long one, the long one, and those behind it.
  await new Promise(setImmediate);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4000);
  const outcomes = await within(60, "every call settles", settled);
  const { reason } = outcomes[2];
  assert.equal(reason?.code, "INVALID_ANSWER");
  assert.match(reason.message, /longer than a string/);
  const values = outcomes.map(({ status, value }) => (status === "fulfilled" ? value : status));
  assert.deepEqual(values, [small, null, "rejected", small, null, { id: "u5", username: "name5", meta: {} }, { id: "u6", username: "name6", slept: "" }, undefined, null]);
  assert.deepEqual(await within(10, "a later call settles", adapter.getUser("small")), small);
  assert.equal((await within(10, "another adapter's call settles", other.getUser("u7"))).username, "seven");
  await within(10, "the adapter ends", initializer.end());
});

describe("queueMicrotask", () => {
  const real = globalThis.queueMicrotask;
  afterEach(() => {
    globalThis.queueMicrotask = real;
  });
  for (const [what, fake] of [
    ["is faked", () => {}],
    ["throws", () => { throw new Error("no"); }],
    ["is missing", undefined],
  ]) {
    test(`that ${what} while a call begins keeps no call from being answered`, async (t) => {
      const { adapter, initializer } = openAdapter(t, database.url);
      globalThis.queueMicrotask = fake;
      const begun = adapter.getUser("u2");
      globalThis.queueMicrotask = real;
      assert.equal((await within(10, "the call settles", begun)).username, "name2");
      await within(10, "a change settles", adapter.updateUser("u3", { username: "changed" }));
      await within(10, "the adapter ends", initializer.end());
    });
  }
});

describe("what schedules, in this program or by a polyfill,", () => {
  for (const [what, fake] of [
    ["does nothing", "() => {}"],
    ["throws", '() => { throw new Error("no"); }'],
    ["is missing", "undefined"],
  ]) {
    test(`that ${what} keeps no call from being answered, meanwhile or later, and no adapter from ending`, async () => {
      // In a process of its own: Node's own streams need what is faked.
      const { stdout, stderr } = await runChild(`
        const names = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "clearTimeout", "clearInterval", "clearImmediate"];
        const real = {};
        const { nextTick } = process;
        const each = (change) => names.forEach(change);
        const fake = () => (each((name) => { globalThis[name] = ${fake}; }), process.nextTick = ${fake});
        const restore = () => (each((name) => { globalThis[name] = real[name]; }), process.nextTick = nextTick);
        for (const name of names) real[name] = globalThis[name];
        const url = process.env.CHILD_URL;
        const password = async () => new URL(url).password;
        const asked = postgres(url, tableNames, { password, onnotice() {} });
        const asleep = postgres(url, { ...tableNames, user: "asleep_user" });
        const nameOf = async (one) => (await one).username;
        const codeOf = (one) => one.then(String, ({ code }) => code);

        fake();
        const during = await Promise.all([nameOf(adapter.getUser("u1")), nameOf(asked(LuciaError).getUser("u2"))]);
        await adapter.updateUser("u4", { username: "changed" });
        during.push(await nameOf(adapter.getUser("u4")), await codeOf(adapter.getUser(4)));
        const begun = nameOf(adapter.getUser("u5"));
        restore();
        const later = [await begun, ...await Promise.all(["u1", "u2"].map((id) => nameOf(adapter.getUser(id)))), await nameOf(asked(LuciaError).getUser("u5"))];
        fake();
        const stopped = codeOf(asleep(LuciaError).getUser("u1"));
        await Promise.all([initializer.end(), asked.end(), asleep.end({ timeout: 0.2 })]);
        const ended = [await stopped, await codeOf(adapter.getUser("u1"))];
        restore();
        console.log(JSON.stringify([during, later, ended]));
      `, database.url);
      assert.equal(stderr, "");
      assert.deepEqual(JSON.parse(stdout), [
        ["name1", "name2", "changed", null],
        ["name5", "name1", "name2", "name5"],
        ["CONNECTION_DESTROYED", "CONNECTION_ENDED"],
      ]);
    });
  }
});

const onLinux = { skip: process.platform === "linux" ? false : "descriptors are limited by bash" };
for (const [when, earlier] of [
  ["at the first call of `postgres`", ""],
  ["when a later connection is opened", 'await adapter.getUser("u1");'],
]) {
  test(`a lack of descriptors ${when} is EMFILE, and passes: later calls are served`, onLinux, async () => {
    const { stdout, stderr } = await runChild(`
      import { closeSync, openSync } from "node:fs";
      ${earlier}
      const held = [];
      try {
        for (;;) held.push(openSync("/dev/null"));
      } catch {
        // None is left.
      }
      const attempt = async () => {
        try {
          const own = postgres(process.env.CHILD_URL, tableNames, { share: false });
          const user = await own(LuciaError).getUser("u1");
          await own.end();
          return user.username;
        } catch ({ code }) {
          return code;
        }
      };
      const short = await attempt();
      for (const descriptor of held) closeSync(descriptor);
      console.log(short, await attempt(), await attempt());
      await initializer.end();
    `, database.url, { descriptors: 60 });
    assert.equal(stdout.trim(), "EMFILE name1 name1", stderr);
  });
}

test("a program that closes the descriptor by which the system tells of sockets loses what is in flight, and nothing later", onLinux, async () => {
  // A program that becomes a daemon closes all that it finds. What it opens then has the same number.
  const polls = `
    import { readdirSync, readlinkSync } from "node:fs";
    const isPoll = (descriptor) => {
      try {
        return readlinkSync("/proc/self/fd/" + descriptor) === "anon_inode:[eventpoll]";
      } catch {
        return false;
      }
    };
    export const polls = () => readdirSync("/proc/self/fd").filter(isPoll);
    export const before = polls();
  `;
  const { code, stdout, stderr } = await runChild(`
    import { closeSync, openSync } from "node:fs";
    import { before, polls } from ${JSON.stringify(`data:text/javascript,${encodeURIComponent(polls)}`)};
    await adapter.getUser("u1");
    for (const descriptor of polls().filter((descriptor) => !before.includes(descriptor))) {
      closeSync(Number(descriptor));
      openSync("/dev/null");
    }
    const attempt = () => adapter.getUser("u1").then(({ username }) => username, ({ code }) => code);
    console.log(await attempt(), await attempt());
    await initializer.end();
  `, database.url);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /unexpected error when polling/);
  // The thread may have noticed before it was called.
  assert.match(stdout, /^(name1|CONNECTION_DESTROYED) name1\n$/);
});

test("a small RUST_MIN_STACK does not matter", async () => {
  const text = 'console.log((await adapter.getUser("u1")).username); await initializer.end();';
  const { code, stdout } = await runChild(text, database.url, { environment: { RUST_MIN_STACK: "16384" } });
  assert.deepEqual([code, stdout.trim()], [0, "name1"]);
});

test("properties of `Object.prototype` are no options, no variables and no values", async () => {
  const { stdout, stderr } = await runChild(`
    const settings = { host: "127.0.0.9", port: 1, extra: 1, PGHOST: "127.0.0.9", timeout: 0 };
    for (const [name, value] of Object.entries(settings)) {
      Object.defineProperty(Object.prototype, name, { __proto__: null, value, configurable: true, enumerable: true });
    }
    const other = postgres(process.env.CHILD_URL, tableNames, { max: 2 });
    const user = await other(LuciaError).getUser("u1");
    await other.end();
    console.log(user.username);
  `, database.url);
  assert.equal(stdout.trim(), "name1", stderr);
});

test("setters on `Object.prototype`, and a frozen `Error.prototype`, keep nothing from rows and errors", async () => {
  const { stdout, stderr } = await runChild(`
    const called = [];
    for (const name of ["id", "username", "then", "message", "code", "fields", "native", "handles", "name", "index", "gives", "takes"]) {
      Object.defineProperty(Object.prototype, name, { __proto__: null, configurable: true, get() {}, set() { called.push(name); } });
    }
    Object.freeze(Error.prototype);
    const other = postgres(process.env.CHILD_URL, { ...tableNames, key: "nowhere" });
    const user = await other(LuciaError).getUser("u1");
    const { code, name } = await other(LuciaError).getKey("k").catch((error) => error);
    await other.end();
    console.log(JSON.stringify([user.username, code, name, called]));
  `, database.url);
  assert.equal(stdout.trim(), '["name1","42P01","PostgresError",[]]', stderr);
});

test("a table that is one adapter's keys and another's sessions has numbers where it holds sessions", async (t) => {
  const keys = postgres(database.url, { ...tableNames, key: "user_session" });
  const sessions = postgres(database.url, tableNames);
  t.after(() => Promise.all([keys.end(), sessions.end()]));
  assert.equal((await keys(LuciaError).getKey("s1")).active_expires, "1");
  assert.equal((await sessions(LuciaError).getSession("s1")).active_expires, 1);
});

test("a later `end` with a timeout does not wait longer than that", async (t) => {
  const { adapter, initializer, name } = openAdapter(t, database.url);
  const outcome = await sql.begin(async (transaction) => {
    await transaction`SELECT FROM auth_user WHERE id = 'u9' FOR UPDATE`;
    const change = assert.rejects(adapter.updateUser("u9", { username: "x" }), { code: "CONNECTION_DESTROYED" });
    await eventually(10, "the change waits", async () => await waitingStatements(sql, name) === 1);
    const ended = initializer.end();
    await within(5, "the adapter ends", initializer.end({ timeout: 0.1 }));
    await change;
    return await ended;
  });
  assert.equal(outcome, undefined);
});

test("an id whose column has become another type is looked up as that", async (t) => {
  await sql`CREATE TABLE dated_user (id DATE PRIMARY KEY)`;
  await sql`INSERT INTO dated_user VALUES ('2020-01-02')`;
  t.after(() => sql`DROP TABLE dated_user`);
  const { adapter } = openAdapter(t, database.url, {}, { ...tableNames, user: "dated_user" });
  assert.ok((await adapter.getUser("2020-01-02")).id instanceof Date);
  await sql`ALTER TABLE dated_user ALTER id TYPE TEXT`;
  await sql`INSERT INTO dated_user VALUES ('no date')`;
  assert.deepEqual(await adapter.getUser("no date"), { id: "no date" });
  assert.deepEqual(await adapter.getUser("2020-01-02"), { id: "2020-01-02" });
});
