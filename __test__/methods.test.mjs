// The adapters' methods over a native half that the tests answer for: what is handed over, when, and what becomes of the answer.
// (`contract` and `lucia-3-contract` hold them against a server, changes by rows too.)
import assert from "node:assert/strict";
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { createRequire } from "node:module";
import { describe, test } from "node:test";

const require = createRequire(import.meta.url);
const { calls } = require("../lib/calls.js");
const { instance } = require("../lib/completions.js");
const { bucketsMs, conversions, kinds, methods, smallestBatch } = require("../lib/constants.js");
const { postgres } = require("../lib/postgres.js");
const { PostgresAdapter } = require("../lib/v3.js");

const CHANNEL = "tracing:lucia-postgres-native:call";
class LuciaError extends Error {}
const tableNames = { user: "auth_user", key: "user_key", session: "user_session" };
const server = { database: "d", address: "h", port: 5432 };
const indexOf = (name, version = 2) => methods[version].find((method) => method.name === name).index;

/** What `make` makes, over a native half that notes what it is told, and otherwise does what `does` says. */
function over(t, make, does = {}) {
  const heard = [];
  const note = (name) => (...given) => {
    heard.push([name, ...given]);
    return does[name]?.(...given);
  };
  const native = { functions: [], server: does.server ?? server };
  for (const name of ["byId", "deleteExpired", "start", "end", "load"]) native[name] = note(name);
  const { mock } = t.mock.method(instance, "adapter", () => native);
  const made = make();
  mock.restore();
  return { heard, made, told: (name) => heard.filter(([each]) => each === name) };
}

/** An adapter of Lucia 2, and its initializer. */
const open = (t, does, names = tableNames) => {
  const { made: initializer, ...rest } = over(t, () => postgres("postgres://h/d", names), does);
  return { initializer, adapter: initializer(LuciaError), ...rest };
};

let lastShape = 2_000_000;
/** A message that gives a call rows of these columns, which are texts. */
const rowsOf = (slot, names, split, ...values) => {
  lastShape += 1;
  const shape = [kinds.Shape, lastShape, split, names.length, ...names, ...names.map(() => 0)];
  return [...shape, kinds.Rows, slot, lastShape, values.length / names.length, ...values];
};

/** Answers each lookup with the rows that `rows` makes of its id. */
const answering = (names, split, rows) => ({
  byId(areLast, index, form, isObserved, ...pairs) {
    setImmediate(() => {
      for (let at = 0; at < pairs.length; at += 2) instance.settle(...rowsOf(pairs[at], names, split, ...rows(pairs[at + 1])));
    });
  },
});

const turn = () => new Promise(setImmediate);

/** Every event of calls until the test is over, each with a copy of its context as it is then. */
const eventsOf = (t, ...names) => {
  const events = [];
  for (const name of names) {
    const see = (context) => events.push([name, { ...context }]);
    subscribe(`${CHANNEL}:${name}`, see);
    t.after(() => unsubscribe(`${CHANNEL}:${name}`, see));
  }
  return events;
};

describe("what is handed over", () => {
  test("is each run of calls of one method, in the order of the calls, at the end of the turn", async (t) => {
    const { adapter, heard } = open(t);
    for (const id of ["a", "b"]) adapter.getUser(id);
    adapter.getKey("c");
    adapter.getUser("d");
    const shown = () => heard.map(([name, areLast, index, form, isObserved, ...pairs]) => [name, areLast, index, form, isObserved,
      pairs.filter((_, at) => at % 2 === 1).join("")]);
    const [user, key] = [indexOf("getUser"), indexOf("getKey")];
    const handed = [["byId", false, user, 0, false, "ab"], ["byId", false, key, 0, false, "c"]];
    assert.deepEqual(shown(), handed);
    await turn();
    assert.deepEqual(shown(), [...handed, ["byId", true, user, 0, false, "d"]]);
    adapter.getUser("e");
    await turn();
    assert.deepEqual(shown().slice(3), [["byId", true, user, 0, false, "e"]]);
  });

  test("is at once what is sent together in one statement", async (t) => {
    const { adapter, heard } = open(t);
    for (let n = 1; n < smallestBatch; n += 1) adapter.getUser(`${n}`);
    assert.deepEqual(heard, []);
    adapter.getUser("last");
    const [[name, areLast, , , , ...pairs]] = heard;
    assert.deepEqual([name, areLast, pairs.length, pairs.at(-1)], ["byId", false, 2 * smallestBatch, "last"]);
    await turn();
    assert.deepEqual(heard.slice(1), [["start"]]);
  });

  test("are the lookups before a deletion and before the figures that were asked for after them", async (t) => {
    const figures = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, ...Array.from({ length: 2 * (bucketsMs.length + 2) }, () => 0)];
    const { adapter, initializer, heard } = open(t, { load: () => figures });
    const names = () => heard.map(([name]) => name);
    adapter.getUser("a");
    initializer.deleteExpiredSessions();
    assert.deepEqual(names(), ["byId", "deleteExpired"]);
    assert.equal(heard[0][1], false, "more may follow in this turn");
    adapter.getUser("b");
    initializer.stats();
    initializer.stats();
    assert.deepEqual(names().slice(2), ["byId", "load", "load"]);
    await turn();
    assert.deepEqual(names().slice(5), ["start"]);
  });

  test("and is refused rejects each of its calls, by an error of this realm", async (t) => {
    for (const [thrown, name] of [[{ message: "no", code: "InvalidArg" }, "TypeError"], [{ message: "no", code: "GenericFailure" }, "Error"]]) {
      const { adapter } = open(t, { byId() {
        throw thrown;
      } });
      const underway = () => calls.filter((call) => call !== undefined).length;
      const before = underway();
      const refused = ["a", "b", "c"].map((id) => assert.rejects(adapter.getUser(id), { name, message: "no" }));
      assert.equal(underway(), before + 3);
      await Promise.all(refused);
      assert.equal(underway(), before);
    }
  });
});

test("each method by an id has its own number, and gives what the table of methods says", async (t) => {
  const { adapter, told } = open(t, answering(["id"], 1, (id) => (id === "none" ? [] : [`${id}1`, `${id}2`])));
  const [row, rows] = [{ id: "x1" }, [{ id: "x1" }, { id: "x2" }]];
  const given = { getUser: row, getKey: row, getSession: row, getKeysByUserId: rows, getSessionsByUserId: rows };
  for (const [name, result] of Object.entries(given)) {
    assert.deepEqual(await adapter[name]("x"), result, name);
    assert.equal(told("byId").at(-1)[2], indexOf(name));
  }
  assert.deepEqual(await Promise.all([adapter.getUser("none"), adapter.getKeysByUserId("none")]), [null, []]);
  const pair = open(t, answering(["id", "user_id", "id"], 2, (id) => (id === "none" ? [] : ["s", "u", "u"])));
  assert.deepEqual(await pair.adapter.getSessionAndUser("s"), [{ id: "s", user_id: "u" }, { id: "u" }]);
  assert.deepEqual(await pair.adapter.getSessionAndUser("none"), [null, null]);
});

test("a change without a column is done at once, and nothing is handed over", async (t) => {
  const { adapter, heard } = open(t);
  for (const name of ["updateUser", "updateKey", "updateSession"]) assert.equal(await adapter[name]("a", {}), undefined);
  await turn();
  assert.deepEqual(heard, []);
});

test("a change is refused whose id is no text, and an initializer that is given no class", async (t) => {
  const { adapter, initializer } = open(t);
  await assert.rejects(adapter.updateUser(5, {}), { name: "TypeError", message: "updateUser: the id must be a string, not a number" });
  const message = "the initializer must be called with the class LuciaError, as `lucia({ adapter })` does";
  for (const wrong of [undefined, {}]) assert.throws(() => initializer(wrong), { name: "TypeError", message });
});

test("without a table of sessions their methods reject, and those of users and keys do not", async (t) => {
  const { adapter, initializer, told } = open(t, answering(["id"], 1, () => []), { ...tableNames, session: null });
  const wrong = { name: "Error", message: "Session table not defined" };
  for (const { name } of methods[2].filter((method) => method.table === "session")) await assert.rejects(adapter[name]("a", {}), wrong, name);
  await assert.rejects(initializer.deleteExpiredSessions(), wrong);
  assert.deepEqual(await Promise.all([adapter.getUser("a"), adapter.getKey("a")]), [null, null]);
  assert.equal(told("deleteExpired").length, 0);
});

test("every method rejects after the end, whatever it is given", async (t) => {
  const { adapter, initializer, heard } = open(t);
  await initializer.end();
  const ended = { code: "CONNECTION_ENDED", message: "the adapter has ended" };
  for (const { name } of methods[2]) await assert.rejects(adapter[name](), ended, name);
  await assert.rejects(initializer.deleteExpiredSessions(), ended);
  assert.deepEqual(heard, [["end"]]);
});

test("expired sessions are deleted by the time of the call, and counted for Lucia 2 alone", async (t) => {
  const answer = { deleteExpired: (slot) => setImmediate(() => instance.settle(kinds.Done, slot, 5)) };
  const two = open(t, answer);
  const three = over(t, () => new PostgresAdapter("postgres://h/d", { user: "auth_user", session: "user_session" }), answer);
  const before = Date.now();
  assert.equal(await two.initializer.deleteExpiredSessions(), 5);
  assert.equal(await three.made.deleteExpiredSessions(), undefined);
  const [[, , milliseconds, isObserved], [, , text]] = [two, three].map(({ told }) => told("deleteExpired")[0]);
  assert.equal(isObserved, false);
  for (const time of [Number(milliseconds), Date.parse(text)]) assert.ok(time >= before && time <= Date.now(), `${time}`);
  assert.deepEqual([typeof milliseconds, new Date(text).toISOString()], ["string", text]);
});

describe("who observes", () => {
  const known = { table: "auth_user", database: "d", serverAddress: "h", serverPort: 5432 };
  const unknown = { rows: undefined, retries: undefined, batch: undefined, error: undefined, sqlstate: undefined };

  const isTold = async (t) => {
    const { adapter, told } = open(t, { byId(areLast, index, form, isObserved, slot, id) {
      setImmediate(() => instance.settle(kinds.Observed, 1, 7,
        ...(id === "a" ? rowsOf(slot, ["id"], 1, "a") : [kinds.Database, slot, { message: "no", code: "42P01", fields: { code: "42P01" } }])));
    } });
    const events = eventsOf(t, "start", "end", "asyncStart", "asyncEnd", "error");
    await adapter.getUser("a");
    await assert.rejects(adapter.getUser("b"), { code: "42P01" });
    assert.deepEqual(told("byId").map(([, , , , isObserved]) => isObserved), [true, true]);
    const start = { method: "getUser", ...known, ...unknown };
    const good = { ...start, rows: 1, retries: 1, batch: 7 };
    const bad = { ...start, rows: 0, retries: 1, batch: 7, error: "42P01", sqlstate: "42P01" };
    assert.deepEqual(events, [["start", start], ["end", start], ["asyncStart", good], ["asyncEnd", good],
      ["start", start], ["end", start], ["error", bad], ["asyncStart", bad], ["asyncEnd", bad]]);
  };

  test("is told of each call what it is, and in the end what it came to", isTold);

  test("is told the same by a Node whose channels have no stores", async (t) => {
    const start = channel(`${CHANNEL}:start`);
    Object.defineProperty(start, "runStores", { value: undefined, configurable: true });
    try {
      await isTold(t);
    } finally {
      delete start.runStores;
    }
    assert.equal(typeof start.runStores, "function");
  });

  test("of one event is told of it, whichever it is, and of none is not asked for", async (t) => {
    const { adapter, told } = open(t, answering(["id"], 1, () => []));
    for (const event of ["start", "end", "asyncStart", "asyncEnd"]) {
      const see = () => {};
      subscribe(`${CHANNEL}:${event}`, see);
      await adapter.getUser("a");
      unsubscribe(`${CHANNEL}:${event}`, see);
      assert.equal(told("byId").at(-1)[4], true, event);
    }
    const events = eventsOf(t, "error");
    await assert.rejects(adapter.getUser(5));
    assert.deepEqual(events, [["error", { method: "getUser", ...known, ...unknown, rows: 0, retries: 0, batch: 0, error: "TypeError" }]]);
  });

  test("is told of an error what says nothing of the call: Lucia's message, a code, or a name", async (t) => {
    const events = eventsOf(t, "error");
    const failures = [
      [(slot) => [kinds.Lucia, slot, "AUTH_INVALID_KEY_ID", "23505"], "AUTH_INVALID_KEY_ID"],
      [(slot) => [kinds.Database, slot, { message: "late", code: "QUERY_TIMEOUT" }], "QUERY_TIMEOUT"],
    ];
    for (const [answer, told] of failures) {
      const { adapter } = open(t, { byId: (areLast, index, form, isObserved, slot) => setImmediate(() => instance.settle(...answer(slot))) });
      await assert.rejects(adapter.getUser("a"));
      assert.equal(events.at(-1)[1].error, told);
    }
    const { adapter } = open(t);
    const thrown = [[null, "Error"], [undefined, "Error"], ["text", "Error"], [{ code: 5 }, "5"], [new RangeError("secret"), "RangeError"],
      [new LuciaError("AUTH_INVALID_USER_ID"), "AUTH_INVALID_USER_ID"], [new (class extends LuciaError {})("secret"), "Error"]];
    for (const [value, told] of thrown) {
      const row = { get id() {
        throw value;
      } };
      assert.equal(await adapter.setKey(row).catch((reason) => reason), value);
      assert.equal(events.at(-1)[1].error, told);
    }
    const { initializer } = open(t, undefined, { ...tableNames, session: null });
    await assert.rejects(initializer.deleteExpiredSessions());
    assert.deepEqual([events.at(-1)[1].method, events.at(-1)[1].table, events.at(-1)[1].error], ["deleteExpiredSessions", null, "Error"]);
  });

  test("is told of no rows where the answer cannot be used", async (t) => {
    const { adapter } = open(t, { byId(areLast, index, form, isObserved, slot) {
      lastShape += 1;
      const shape = [kinds.Shape, lastShape, 1, 1, "document", conversions.Json];
      setImmediate(() => instance.settle(...shape, kinds.Rows, slot, lastShape, 1, "{"));
    } });
    const giveUp = t.mock.method(instance, "giveUp", () => {});
    const events = eventsOf(t, "error");
    await assert.rejects(adapter.getUser("a"), { code: "INVALID_ANSWER" });
    assert.deepEqual([events[0][1].rows, events[0][1].error, giveUp.mock.callCount()], [0, "INVALID_ANSWER", 1]);
  });

  test("is told of no port where there is none", async (t) => {
    const { adapter } = open(t, { server: { database: "d", address: "/run", port: null } });
    const events = eventsOf(t, "start");
    adapter.getUser("a");
    assert.deepEqual([events[0][1].serverAddress, events[0][1].serverPort], ["/run", undefined]);
  });
});

describe("an end with a time", () => {
  test("rejects what is still under way when it is over, and what comes later changes nothing", async (t) => {
    const events = eventsOf(t, "asyncEnd");
    let late;
    const { adapter, initializer, told } = open(t, { end: () => late() });
    const other = open(t);
    const beside = other.adapter.getUser("b");
    const [answered, ...destroyed] = ["answered", "a", "b", "c"].map((id) => adapter.getUser(id));
    await turn();
    const [, , , , , answeredSlot, , rowsSlot, , errorSlot, , formsSlot] = told("byId")[0];
    instance.settle(...rowsOf(answeredSlot, ["id"], 1, "answered"));
    assert.deepEqual(await answered, { id: "answered" });
    late = () => instance.settle(kinds.Observed, 3, 9, ...rowsOf(rowsSlot, ["id"], 1, "a"), kinds.Observed, 0, 0,
      kinds.Database, errorSlot, { message: "late", code: "QUERY_TIMEOUT" }, kinds.Forms, formsSlot, 1, 17);
    const why = { code: "CONNECTION_DESTROYED", message: /^the connection was destroyed by end\({ timeout }\)/ };
    const rejected = Promise.all(destroyed.map((call) => assert.rejects(call, why)));
    assert.equal(await initializer.end({ timeout: 0.001 }), undefined);
    await rejected;
    await turn();
    assert.equal(told("byId").length, 1);
    const { rows, retries, batch, error } = events[1][1];
    assert.deepEqual([events.length, rows, retries, batch, error], [4, 0, 0, 0, "CONNECTION_DESTROYED"]);
    instance.settle(...rowsOf(other.told("byId")[0][5], ["id"], 1, "b"));
    assert.deepEqual(await beside, { id: "b" });
  });

  test("waits for it alone while calls are under way, and keeps no timer when they are answered before", async (t) => {
    const { adapter, initializer } = open(t, answering(["id"], 1, (id) => [id]));
    const call = adapter.getUser("a");
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    const LONGEST = 2 ** 31 / 1000;
    const ends = [20, LONGEST - 1, LONGEST, null].map((timeout) => initializer.end({ timeout }));
    assert.equal(timers(), before + 2);
    assert.deepEqual(await call, { id: "a" });
    assert.deepEqual(await Promise.all(ends), ends.map(() => undefined));
    assert.equal(timers(), before);
  });

  test("is an own property of the options", async (t) => {
    const { initializer, heard } = open(t);
    await initializer.end(Object.create({ timeout: "soon" }));
    assert.deepEqual(heard, [["end"]]);
  });
});

describe("the adapter of Lucia 3", () => {
  const names = { user: "auth_user", session: "user_session" };
  const make = () => new PostgresAdapter("postgres://h/d", names);

  test("gives sessions and users with their attributes apart", async (t) => {
    const columns = ["id", "user_id", "expires_at", "country", "id", "name"];
    const rows = { s: ["s", "u", "soon", "de", "u", "n"], orphan: ["o", "v", "later", "fr", null, null], none: [] };
    const { made } = over(t, make, answering(columns, 4, (id) => rows[id]));
    const session = { id: "s", userId: "u", expiresAt: "soon", attributes: { country: "de" } };
    assert.deepEqual(await made.getSessionAndUser("s"), [session, { id: "u", attributes: { name: "n" } }]);
    assert.deepEqual(await made.getSessionAndUser("orphan"),
      [{ id: "o", userId: "v", expiresAt: "later", attributes: { country: "fr" } }, null]);
    assert.deepEqual(await made.getSessionAndUser("none"), [null, null]);
    const list = over(t, make, answering(columns.slice(0, 4), 4, () => rows.s.slice(0, 4)));
    assert.deepEqual(await list.made.getUserSessions("u"), [session]);
  });

  test("takes an id of a user that is a number as its text, and no other number", async (t) => {
    const { made, told } = over(t, make, { byId: (areLast, index, form, isObserved, slot) => setImmediate(() => instance.settle(kinds.Done, slot, 1)) });
    assert.equal(await made.deleteUserSessions(5), undefined);
    assert.equal(await made.deleteSession("s"), undefined);
    const sent = told("byId").map(([, , index, , , , id]) => [index, id]);
    assert.deepEqual(sent, [[indexOf("deleteUserSessions", 3), "5"], [indexOf("deleteSession", 3), "s"]]);
    await assert.rejects(made.deleteSession(5), TypeError);
    await assert.rejects(made.deleteUserSessions(5n), TypeError);
  });

  test("refuses what is no session by what it is", async (t) => {
    const { made, heard } = over(t, make);
    for (const [wrong, what] of [[5, "a number"], [null, "null"], [undefined, "undefined"], ["s", "a string"]]) {
      const message = `setSession: the argument must be an object of column names and values, not ${what}`;
      await assert.rejects(made.setSession(wrong), { name: "TypeError", message });
    }
    await assert.rejects(made.setSession({}), { name: "TypeError", message: "setSession: a row must have a column at least" });
    await assert.rejects(made.updateSessionExpiration(5, new Date(0)), { name: "TypeError", message: /^updateSessionExpiration: the id must be a string/ });
    assert.deepEqual(heard, []);
  });

  test("ends, and tells its figures", async (t) => {
    const figures = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, ...Array.from({ length: 2 * (bucketsMs.length + 2) }, () => 0)];
    const { made, heard } = over(t, make, { load: () => figures });
    assert.equal(made.stats().max, 10);
    assert.equal(await made.end({ timeout: 1 }), undefined);
    await assert.rejects(made.setSession(null), { code: "CONNECTION_ENDED" });
    assert.deepEqual(heard, [["load"], ["end"]]);
  });
});
