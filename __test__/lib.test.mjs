// The JavaScript half by itself: what needs no server. (`contract`, `values` and `errors` hold it against one.)
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { runInNewContext } from "node:vm";

const require = createRequire(import.meta.url);
const { conversions, kinds, methods } = require("../lib/constants.js");
const { PostgresError, createError, describe: shown, invalidAnswer, ofThisRealm, unlessRefused } = require("../lib/errors.js");
const { readConnection } = require("../lib/existing.js");
const { inferType, serialize, undefinedValue } = require("../lib/parameter.js");
const { createShape, give } = require("../lib/rows.js");

test("every number that both languages use is there once", () => {
  for (const numbers of [kinds, conversions]) {
    const values = Object.values(numbers);
    assert.ok(values.length > 5 && values.every(Number.isInteger));
    assert.equal(new Set(values).size, values.length);
  }
  assert.deepEqual(methods[2].map(({ index }) => index), Array.from({ length: 17 }, (_, index) => index));
  assert.equal(methods[3].length, 6);
});

test("a write whose types change each time is given up, and is not sent for ever", async () => {
  const { createWriter } = require("../lib/write.js");
  const { calls, release } = require("../lib/calls.js");
  const form = [25, 1043, 3802, 17, 1184, 16, 20];
  let described = 0;
  const owner = {
    started() {},
    settled() {},
    write: () => (slot) => {
      described += 1;
      release(slot).resolve([form[described % form.length]]);
    },
  };
  const write = createWriter(owner, Error);
  const message = "the server's answer cannot be used: the types of columns change faster than they are written";
  await assert.rejects(write({ index: 1, name: "setUser" }, undefined, [{ columns: ["a"], values: ["1"] }]), { code: "INVALID_ANSWER", message });
  assert.equal(described, 5);
  assert.ok(calls.every((call) => call === undefined));
});

test("of five hundred combinations of columns the statement is made once, and what the server has told of its types remembered", async () => {
  const { createWriter } = require("../lib/write.js");
  const { release } = require("../lib/calls.js");
  const { unknownForm } = require("../lib/constants.js");
  let asked = 0;
  const made = [];
  const owner = {
    started() {},
    settled() {},
    write(index, columns, declared) {
      made.push([index, columns, declared]);
      return (slot, isObserved, texts, forms) => {
        if (forms[0] === unknownForm) asked += 1;
        release(slot).resolve(forms[0] === unknownForm ? [3802] : undefined);
      };
    },
  };
  const write = createWriter(owner, Error);
  const one = (column) => write({ index: 1, name: "setUser" }, undefined, [{ columns: [column], values: [{}] }]);
  for (let n = 0; n < 500; n += 1) await one(`c${n}`);
  assert.equal(asked, 500);
  await one("c0");
  assert.equal(asked, 500);
  assert.deepEqual(made, Array.from({ length: 500 }, (_, n) => [1, [[`c${n}`]], [0]]));
  await one("c500");
  await one("c0");
  assert.equal(asked, 502);
  assert.equal(made.length, 502);
});

describe("a list of messages", () => {
  const { calls, take } = require("../lib/calls.js");
  const { instance } = require("../lib/completions.js");
  const { Date: DATE, Json } = conversions;
  class LuciaError extends Error {}
  class OwnError extends Error {}
  const TEXTS = 1_000_001;
  const JSONS = 1_000_002;
  let released = 0;
  const owner = { PostgresError: OwnError, started() {}, settled() { released += 1; } };

  const call = (gives, { trace, again } = {}) => {
    let slot;
    const promise = new Promise((resolve) => {
      slot = take(resolve, owner, LuciaError, gives, trace, again, "id");
    });
    return { slot, promise };
  };
  const shapes = [kinds.Shape, TEXTS, 1, 1, "id", 0, kinds.Shape, JSONS, 2, 2, "data", "at", Json, DATE];
  const newTrace = () => ({ rows: 0, retries: 0, batch: 0, sqlstate: undefined });

  test("gives each call its rows, in whatever pieces it comes", async () => {
    const [rows, row, none] = [call(give.Rows), call(give.Row), call(give.Row)];
    instance.settle(...shapes, kinds.Rows, rows.slot, TEXTS, 2, "a", "b", kinds.Rows, none.slot, TEXTS, 0);
    assert.deepEqual(await Promise.all([rows.promise, none.promise]), [[{ id: "a" }, { id: "b" }], null]);
    instance.settle(kinds.Piece, kinds.Rows);
    instance.settle(kinds.Piece, row.slot);
    instance.settle(kinds.Piece, JSONS, 1);
    instance.settle('{"b":1}', 5000);
    assert.deepEqual(await row.promise, { data: { b: 1 }, at: new Date(5000) });
    const next = call(give.Rows);
    instance.settle(kinds.Rows, next.slot, TEXTS, 1, "c");
    assert.deepEqual(await next.promise, [{ id: "c" }]);
  });

  test("joins the parts of a call's rows, of which a method for one row takes the first", async () => {
    const trace = newTrace();
    const [rows, row] = [call(give.Rows, { trace }), call(give.Row)];
    for (const { slot } of [rows, row]) {
      instance.settle(kinds.Part, slot, TEXTS, 2, "a", "b", kinds.Part, slot, TEXTS, 1, "c");
      assert.ok(calls[slot]);
      instance.settle(kinds.Rows, slot, TEXTS, 1, "d");
    }
    assert.deepEqual(await rows.promise, ["a", "b", "c", "d"].map((id) => ({ id })));
    assert.deepEqual(await row.promise, { id: "a" });
    assert.deepEqual(trace, { ...newTrace(), rows: 4 });
  });

  test("fails the call alone whose value has no meaning, and has its columns described again", async (t) => {
    const given = [];
    t.mock.method(instance, "giveUp", (number) => given.push(number));
    const [bad, part, good] = [call(give.Row), call(give.Rows), call(give.Row)];
    const twice = call(give.Rows);
    instance.settle(kinds.Part, twice.slot, JSONS, 1, "first", 0, kinds.Rows, twice.slot, JSONS, 1, "second", 0);
    await assert.rejects(twice.promise, { code: "INVALID_ANSWER", message: /first/ });
    given.length = 0;
    instance.settle(kinds.Rows, bad.slot, JSONS, 1, "{", 0, kinds.Part, part.slot, JSONS, 1, "[", 0, kinds.Rows, part.slot, JSONS, 1, "1", 0,
      kinds.Rows, good.slot, TEXTS, 1, "a");
    await assert.rejects(bad.promise, { code: "INVALID_ANSWER", message: /^the server's answer cannot be used: .*JSON/ });
    await assert.rejects(part.promise, { code: "INVALID_ANSWER" });
    assert.deepEqual(await good.promise, { id: "a" });
    assert.deepEqual(given, [JSONS, JSONS]);
  });

  test("tells of a change that it is done, and how many rows it has changed where they are counted", async () => {
    const [nothing, count] = [call(give.Nothing), call(give.Count)];
    instance.settle(kinds.Done, nothing.slot, 3, kinds.Done, count.slot, 4);
    assert.deepEqual(await Promise.all([nothing.promise, count.promise]), [undefined, 4]);
    const text = call(undefined);
    const last = call(give.Count);
    instance.settle(kinds.Text, text.slot, "{}", kinds.Done, last.slot, 1);
    assert.deepEqual(await Promise.all([text.promise, last.promise]), ["{}", 1]);
  });

  test("rejects with Lucia's errors, the server's and the package's own", async () => {
    const traces = [newTrace(), newTrace(), newTrace()];
    const [lucia, server, own] = traces.map((trace) => call(give.Row, { trace }));
    instance.settle(
      kinds.Observed, 2, 5, kinds.Lucia, lucia.slot, "AUTH_DUPLICATE_KEY_ID", "23505",
      kinds.Database, server.slot, { message: "no", code: "42P01", fields: { code: "42P01" } },
      kinds.Database, own.slot, { message: "late", code: "QUERY_TIMEOUT" }, kinds.Observed, 0, 0,
    );
    await assert.rejects(lucia.promise, (error) => error.constructor === LuciaError && error.message === "AUTH_DUPLICATE_KEY_ID");
    await assert.rejects(server.promise, (error) => error.constructor === OwnError);
    await assert.rejects(own.promise, (error) => error.constructor === Error && error.code === "QUERY_TIMEOUT");
    const unobserved = call(give.Row);
    instance.settle(kinds.Lucia, unobserved.slot, "AUTH_INVALID_USER_ID", "23503");
    await assert.rejects(unobserved.promise, LuciaError);
    assert.deepEqual(traces, ["23505", "42P01", undefined].map((sqlstate) => ({ rows: 0, retries: 2, batch: 5, sqlstate })));
  });

  test("tells those who observe how often calls were done again, and how many were sent together", async () => {
    const traces = [newTrace(), newTrace(), newTrace()];
    const [done, rows, described] = [call(give.Nothing, { trace: traces[0] }), call(give.Rows, { trace: traces[1] }), call(give.Row, { trace: traces[2] })];
    instance.settle(kinds.Observed, 2, 5, kinds.Done, done.slot, 3, kinds.Observed, 0, 4, kinds.Rows, rows.slot, TEXTS, 1, "a", kinds.Observed, 1, 3,
      kinds.Forms, described.slot, 1, 17, kinds.Observed, 0, 0);
    await Promise.all([done.promise, rows.promise, described.promise]);
    assert.deepEqual(traces.map(({ rows: count, retries, batch }) => [count, retries, batch]), [[3, 2, 5], [1, 0, 4], [0, 1, 0]]);
  });

  test("goes on behind what is for the functions of an adapter that is gone", async () => {
    const NOBODY = 4_000_000_000;
    const counts = [call(give.Count), call(give.Count)];
    const password = [kinds.Password, 1, NOBODY, "host", 5432, "me", "d", 1000];
    instance.settle(...password, kinds.Done, counts[0].slot, 1, kinds.Notice, NOBODY, { message: "m", fields: {} }, kinds.Done, counts[1].slot, 2);
    assert.deepEqual(await Promise.all(counts.map(({ promise }) => promise)), [1, 2]);
  });

  test("gives the types of parameters to what sends the call anew, before the call counts as settled", async () => {
    const seen = [];
    const again = ({ id }, forms) => {
      seen.push([id, forms, released]);
      return "sent anew";
    };
    const [plain, anew, destroyed] = [call(), call(give.Row, { again }), call(give.Row, { again })];
    calls[destroyed.slot].isDestroyed = true;
    released = 0;
    instance.settle(kinds.Forms, anew.slot, 1, 17, kinds.Forms, plain.slot, 2, 0, 1184, kinds.Forms, destroyed.slot, 0);
    assert.deepEqual(seen, [["id", [17], 0]]);
    assert.equal(released, 3);
    assert.deepEqual(await Promise.all([plain.promise, anew.promise, destroyed.promise]), [[0, 1184], "sent anew", []]);
  });
});

test("a call has a slot that no other call has, and that is used again when it is settled", () => {
  const { calls, release, take } = require("../lib/calls.js");
  const owner = { started() {}, settled() {} };
  const slots = [take(() => {}, owner), take(() => {}, owner)];
  assert.notEqual(slots[0], slots[1]);
  const { length } = calls;
  slots.forEach(release);
  const again = [take(() => {}, owner), take(() => {}, owner)];
  assert.deepEqual(again.sort(), slots.sort());
  assert.equal(calls.length, length);
  again.forEach(release);
});

/** The methods over a connection that gives `hand` the calls by id, each with its slot. */
const methodsOver = (hand) => {
  const { createMethods } = require("../lib/adapter.js");
  const owner = {
    tables: { user: "auth_user", key: "user_key", session: "user_session" },
    server: {},
    started() {},
    settled() {},
    checkOpen() {},
    byId: (index, form, isObserved, slot, id) => hand(slot, id, form),
  };
  return createMethods(owner, Error, methods[2], give);
};

const byId = (hand) => methodsOver(hand).getUser;

describe("an id", () => {
  const { calls, release } = require("../lib/calls.js");
  /** What the server's telling of the forms does (`completions.js`). */
  const tell = (slot, forms) => {
    const call = calls[slot];
    const again = new Promise((resolve) => resolve(call.again(call, forms)));
    release(slot).resolve(again);
  };

  test("is written anew as the server's type is told, and from then on at once", async () => {
    const BYTEA = 17;
    const sent = [];
    const getUser = byId((slot, id, form) => {
      sent.push([id, form]);
      if (form === BYTEA) release(slot).resolve("found");
      else tell(slot, [BYTEA]);
    });
    assert.equal(await getUser("ab"), "found");
    assert.deepEqual(sent, [["ab", 0], ["\\x6162", BYTEA]]);
    assert.equal(await getUser("c"), "found");
    assert.deepEqual(sent.slice(2), [["\\x63", BYTEA]]);
  });

  test("is given up when its type changes each time, or when its statement has no single parameter", async () => {
    let sent = 0;
    const changing = byId((slot) => tell(slot, [(sent += 1)]));
    await assert.rejects(changing("a"), { code: "INVALID_ANSWER", message: /changes faster/ });
    assert.equal(sent, 5);
    for (const forms of [[], [0, 0]]) {
      const odd = byId((slot) => tell(slot, forms));
      await assert.rejects(odd("a"), { code: "INVALID_ANSWER", message: new RegExp(`one parameter has ${forms.length}$`) });
    }
  });

  test("that is no date is left to the server as it is where a date is wanted", async () => {
    const DATE = 1082;
    const sent = [];
    const getUser = byId((slot, id, form) => {
      sent.push(id);
      if (form === DATE) release(slot).resolve(null);
      else tell(slot, [DATE]);
    });
    await getUser("never");
    assert.deepEqual(sent, ["never", "never"]);
  });

  test("may have as many characters as a value of PostgreSQL holds in any case", async () => {
    const getUser = byId((slot) => release(slot).resolve(null));
    assert.equal(await getUser("a".repeat(2 ** 28)), null);
    await assert.rejects(getUser("a".repeat(2 ** 28 + 1)), { name: "TypeError", message: /^getUser: the id is too long/ });
    await assert.rejects(getUser(1), { name: "TypeError", message: "getUser: the id must be a string, not a number" });
  });
});

test("a row of the wrong kind is refused before anything is sent, by the name of the argument", async () => {
  const { setUser, setKey, updateUser } = methodsOver(() => assert.fail("nothing is to be sent"));
  const wrong = { name: "TypeError", message: "setKey: the argument must be an object of column names and values, not undefined" };
  await assert.rejects(setKey(), wrong);
  await assert.rejects(setUser(null, {}), { message: /^setUser: the user must be .* not null$/ });
  await assert.rejects(setUser({}, 1), { message: /^setUser: the key must be .* not a number$/ });
  await assert.rejects(updateUser("a", []), { message: /^updateUser: the second argument must be .* not an array$/ });
});

test("an inspection comes to the text that the server has given, or to the server's error", async (t) => {
  const { inspect } = require("../lib/inspect.js");
  const { instance } = require("../lib/completions.js");
  const given = [];
  const answers = [(slot) => [kinds.Text, slot, "{}"], (slot) => [kinds.Database, slot, { message: "no", code: "42P01", fields: { code: "42P01" } }]];
  t.mock.method(instance, "inspect", (slot, ...rest) => {
    given.push(rest);
    const message = answers[given.length - 1](slot);
    setImmediate(() => instance.settle(...message));
    return {};
  });
  assert.equal(await inspect("postgres://h/d", "SELECT $1", "p"), "{}");
  await assert.rejects(inspect("postgres://h/d", "SELECT $1", "p"), { name: "PostgresError", code: "42P01" });
  assert.deepEqual(given[0], ["postgres://h/d", "SELECT $1", "p", process.env]);
});

test("an inspection that cannot begin leaves no call under way", async () => {
  const { inspect } = require("../lib/inspect.js");
  const { calls } = require("../lib/calls.js");
  await assert.rejects(inspect("postgres://localhost/d?sslmode=perhaps", "SELECT $1", ""), { name: "TypeError", message: /sslmode/ });
  assert.ok(calls.every((call) => call === undefined));
});

/** An owner that answers each writing with what `answer` gives for its forms: the server's forms, or nothing when it is done. */
const answering = (answer) => {
  const { release } = require("../lib/calls.js");
  const sent = [];
  const owner = {
    started() {},
    settled() {},
    write: () => (slot, isObserved, texts, forms) => {
      sent.push({ texts, forms });
      release(slot).resolve(answer(forms));
    },
  };
  const write = require("../lib/write.js").createWriter(owner, Error);
  return { sent, write: (...values) => write({ index: 1, name: "setUser" }, undefined, [{ columns: values.map((_, at) => `c${at}`), values }]) };
};

test("a text, a number, a bigint and null are sent at once, and what the server's type decides over is asked about first", async () => {
  const { unknownForm } = require("../lib/constants.js");
  const { sent, write } = answering((forms) => (forms.includes(unknownForm) ? forms.map(() => 0) : undefined));
  await write("a", 1, 1n, null);
  assert.deepEqual(sent, [{ texts: ["a", "1", "1", null], forms: [0, 0, 0, 0] }]);
  await write({ toString: () => "b" });
  assert.deepEqual(sent.slice(1), [{ texts: [null], forms: [unknownForm] }, { texts: ["b"], forms: [0] }]);
});

test("a value that cannot be written as the type that is remembered is asked about, and refused when the type is the same", async () => {
  const JSONB = 3802;
  const { unknownForm } = require("../lib/constants.js");
  let type = JSONB;
  const { sent, write } = answering((forms) => (forms[0] === unknownForm ? [type] : undefined));
  const noJson = { toJSON: () => { throw new Error("no JSON"); }, toString: () => "a text" };
  await write({});
  await assert.rejects(write(noJson), { message: "no JSON" });
  type = 0;
  await write(noJson);
  assert.deepEqual(sent.slice(-2), [{ texts: [null], forms: [unknownForm] }, { texts: ["a text"], forms: [0] }]);
});

test("what a native function throws rejects the change with an error of this realm, and leaves no call behind", async () => {
  const { calls } = require("../lib/calls.js");
  const fails = () => {
    throw Object.assign(new Error("a defect"), { code: "InvalidArg" });
  };
  for (const native of [fails, () => fails]) {
    const write = require("../lib/write.js").createWriter({ started() {}, settled() {}, write: native }, Error);
    const rejected = write({ index: 1, name: "setUser" }, undefined, [{ columns: ["a"], values: ["1"] }]);
    await assert.rejects(rejected, (error) => error.constructor === TypeError && error.message === "a defect");
    assert.ok(calls.every((call) => call === undefined));
  }
});

test("an answer that tells of another number of parameters than there are is refused", async () => {
  const { sent, write } = answering(() => [25, 25]);
  const message = "the server's answer cannot be used: a statement of 1 parameters has 2";
  await assert.rejects(write("a"), { code: "INVALID_ANSWER", message });
  assert.equal(sent.length, 1);
});

test("a date is written by its own method, as the postgres driver does", async () => {
  class Whole extends Date {
    toISOString() {
      return super.toISOString().replace(/\.\d+/, "");
    }
  }
  const { sent, write } = answering(() => undefined);
  await write(new Date(1500), new Whole(1500));
  assert.deepEqual(sent, [{ texts: ["1970-01-01T00:00:01.500Z", "1970-01-01T00:00:01Z"], forms: [1184, 1184] }]);
});

test("a statement has as many values as the protocol can count, and one at least", async () => {
  const { sent, write } = answering(() => undefined);
  await write(...Array.from({ length: 65_534 }, () => "a"));
  assert.equal(sent.length, 1);
  const message = "MAX_PARAMETERS_EXCEEDED: setUser: a statement takes 65534 values at most";
  await assert.rejects(write(...Array.from({ length: 65_535 }, () => "a")), { message, code: "MAX_PARAMETERS_EXCEEDED" });
  await assert.rejects(write(), { name: "TypeError", message: "setUser: a row must have a column at least" });
  assert.equal(sent.length, 1);
});

test("the figures of an adapter are those that the binary counts, each under its name", () => {
  const { Connection } = require("../lib/connection.js");
  const { bucketsMs } = require("../lib/constants.js");
  const connection = new Connection("postgres://me@localhost:1/d", { user: "u", key: "k", session: "s" }, undefined, 2);
  const counts = (first) => Array.from({ length: bucketsMs.length + 1 }, (_, bucket) => first + bucket);
  const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
  connection.native = { load: () => [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 0.25, ...counts(1), 0.5, ...counts(20)] };
  const boundaries = bucketsMs.map((bound) => bound / 1000);
  assert.deepEqual(connection.load(), {
    max: 10, connections: 9, idle: 8, waiting: 7,
    opened: 6, lost: 5, retried: 4, cancelled: 3, unknown: 2, queryTimeouts: 1, connectTimeouts: 11,
    waitTime: { count: total(counts(1)), sum: 0.25, buckets: { boundaries, counts: counts(1) } },
    useTime: { count: total(counts(20)), sum: 0.5, buckets: { boundaries, counts: counts(20) } },
  });
});

test("an adapter ends once, however often it is told to", async () => {
  const { Connection } = require("../lib/connection.js");
  const connection = new Connection("postgres://me@localhost:1/d", { user: "u", key: "k", session: "s" }, undefined, 2);
  let ended = 0;
  connection.native = { end: () => (ended += 1) };
  await Promise.all([connection.end(), connection.end({ timeout: 1 }), connection.end()]);
  assert.equal(ended, 1);
});

test("an end waits for the last call that is under way, and for no call where there is none", async () => {
  const { Connection } = require("../lib/connection.js");
  const open = () => new Connection("postgres://me@localhost:1/d", { user: "u", key: "k", session: "s" }, undefined, 2);
  const heard = [];
  const connection = open();
  connection.native = { start() {}, end: () => heard.push("end") };
  connection.started();
  connection.started();
  const ended = connection.end().then((value) => heard.push(value));
  connection.settled();
  await new Promise(setImmediate);
  assert.deepEqual(heard, []);
  connection.settled();
  await ended;
  assert.deepEqual(heard, ["end", undefined]);
  await open().end();
});

test("an end takes a number of seconds, and another value does not end the adapter", async () => {
  const { postgres } = require("../lib/postgres.js");
  const adapter = postgres("postgres://me@localhost:1/d", { user: "u", key: "k", session: null });
  for (const timeout of [-1, Number.NaN, "1", true]) {
    await assert.rejects(adapter.end({ timeout }), { name: "TypeError", message: "end: `timeout` must be a number of seconds, 0 or more" });
  }
  const open = await adapter.deleteExpiredSessions().catch(({ message }) => message);
  assert.equal(open, "Session table not defined");
  await adapter.end({ timeout: 0 });
  for (const again of [adapter.end(), adapter.end({ timeout: null }), adapter.end({ timeout: 2 ** 31 })]) {
    assert.ok(again instanceof Promise);
    assert.equal(await again, undefined);
  }
  await assert.rejects(adapter.deleteExpiredSessions(), { code: "CONNECTION_ENDED", message: "the adapter has ended" });
});

describe("a row", () => {
  const one = (number, value) => {
    const shape = createShape(["a"], [number], 1);
    return give.Row(shape, 1, [value], 0).a;
  };
  const { Json, Date: DATE, LocalDate, Float, Array: ARRAY, Number: NUMBER } = conversions;

  test("has what the text of a JSON column says, and null for NULL", () => {
    assert.deepEqual(one(Json, '{"a":[1,null]}'), { a: [1, null] });
    assert.equal(one(Json, "null"), null);
    for (const conversion of [Json, DATE, LocalDate, Float]) assert.equal(one(conversion, null), null);
  });

  test("has dates as far as a date reaches, and the number beyond", () => {
    assert.deepEqual(one(DATE, 5000), new Date(5000));
    assert.deepEqual(one(DATE, 8.64e15), new Date(8.64e15));
    for (const time of [8.64e15 + 1, Infinity, -Infinity]) assert.equal(one(DATE, time), time);
    assert.equal(one(LocalDate, -Infinity), -Infinity);
    assert.ok(one(LocalDate, 8.64e15) instanceof Date);
    assert.deepEqual(one(LocalDate, Date.UTC(99, 1, 3, 4, 5, 6, 7)), new Date(1999, 1, 3, 4, 5, 6, 7));
    assert.equal(one(LocalDate, new Date(Date.UTC(2000, 0, 1)).setUTCFullYear(50)).getFullYear(), 50);
  });

  test("has arrays made anew, whose elements are converted at any depth", () => {
    const given = runInNewContext('[["1.5", null], ["2"]]');
    const made = one(ARRAY | Float, given);
    assert.ok(Array.isArray(made) && made instanceof Array && made[0] instanceof Array);
    assert.deepEqual(made, [[1.5, null], [2]]);
    assert.deepEqual(one(ARRAY, []), []);
    assert.deepEqual(one(ARRAY, ["a", null]), ["a", null]);
    assert.equal(one(ARRAY | DATE, null), null);
  });

  test("has a number where Lucia wants one, of NULL too", () => {
    assert.equal(one(NUMBER, "12"), 12);
    assert.equal(one(NUMBER, null), 0);
    assert.equal(one(NUMBER | DATE, 5000), 5000);
    assert.equal(one(NUMBER | Json, '"5"'), 5);
  });

  test("of more columns than a table can have is made as any other, and a column may have any name", () => {
    const names = ["a", "__proto__", 'quo"te', "toString"];
    for (const width of [names.length, 1600, 1601]) {
      const more = Array.from({ length: width - names.length }, (_, n) => `c${n}`);
      const shape = createShape([...names, ...more], [Json, 0, Float, 0, ...more.map(() => 0)], width);
      const row = shape.first(["before", "[1]", "p", "2.5", null, ...more], 1);
      assert.deepEqual(Object.keys(row), [...names, ...more]);
      assert.deepEqual(Object.values(row), [[1], "p", 2.5, null, ...more]);
      assert.equal(Object.getPrototypeOf(row), Object.prototype);
      assert.equal(shape.width, width);
    }
  });

  test("is made by code for its columns, unless there are more than a table can have, where that code is slow to compile", () => {
    const isLoop = (width) => {
      const { first } = createShape(Array.from({ length: width }, (_, n) => `c${n}`), [], width);
      return String(first).includes("fromEntries");
    };
    assert.deepEqual([1, 1600, 1601].map(isLoop), [false, false, true]);
    const { first } = createShape(["plain", "__proto__", "converted"], [0, 0, Json], 3);
    assert.equal(String(first), '(values, at) => ({ "plain": values[at + 0], ["__proto__"]: values[at + 1], "converted": convert[2](values[at + 2]) })');
  });

  test("of a session and its user is two objects, or two nulls", () => {
    const shape = createShape(["id", "id", "name"], [0, 0, 0], 1);
    assert.deepEqual(give.Pair(shape, 1, ["s", "u", "n"], 0), [{ id: "s" }, { id: "u", name: "n" }]);
    assert.deepEqual(give.Pair(shape, 0, [], 0), [null, null]);
    assert.deepEqual(give.Rows(createShape(["id"], [0], 1), 2, ["x", "a", "b"], 1), [{ id: "a" }, { id: "b" }]);
    assert.deepEqual(give.Rows(createShape(["id", "n"], [0, 0], 2), 2, ["a", 1, "b", 2], 0), [{ id: "a", n: 1 }, { id: "b", n: 2 }]);
  });
});

test("a parameter declares the type of a date, of bytes, of a boolean and of a bigint, whatever realm they are of", () => {
  const values = { "new Date(0)": 1184, "new Uint8Array(1)": 17, true: 16, "1n": 20, '"text"': 0, 1: 0, "[1n]": 20, "[]": 0, "({})": 0 };
  for (const [source, type] of Object.entries(values)) {
    // oxlint-disable-next-line no-eval
    assert.equal(inferType((0, eval)(source)), type, source);
    assert.equal(inferType(runInNewContext(source)), type, `${source} of another realm`);
  }
});

test("a parameter's text is made by the type that the server has told", () => {
  assert.equal(serialize({ a: 1 }, 3802), '{"a":1}');
  assert.equal(serialize(1, 16), "f");
  assert.equal(serialize(true, 16), "t");
  assert.equal(serialize([], -25), "{}");
  assert.equal(serialize("{a}", -25), "{a}");
  assert.equal(serialize("1970-01-01", 1082), "1970-01-01T00:00:00.000Z");
  assert.equal(serialize(new Date(0), 1082), "1970-01-01T00:00:00.000Z");
  assert.equal(serialize(new Uint8Array([1, 255]), 17), String.raw`\x01ff`);
  assert.equal(serialize(["a", null, 'q"\\'], -25), String.raw`{"a",null,"q\"\\"}`);
  assert.equal(serialize([["a"], ["b"]], -25), '{{"a"},{"b"}}');
  assert.equal(serialize(["(1,1)", "(2,2)"], -603), '{"(1,1)";"(2,2)"}');
  for (const form of [1082, 1114, 1184]) assert.equal(serialize(0, form), "1970-01-01T00:00:00.000Z");
  for (const form of [114, 3802]) assert.equal(serialize("a", form), '"a"');
  assert.equal(serialize([["a"], "b"], -25), '{{"a"},"b"}');
  assert.equal(serialize(["a", ["b", "c"]], -25), '{"a","b,c"}');
  assert.equal(serialize(["a", "b"], 0), "a,b");
  assert.equal(serialize({ toString: () => "a string", valueOf: () => 5 }, 0), "5");
  const message = "UNDEFINED_VALUE: Undefined values are not allowed";
  assert.throws(() => serialize([undefined], -25), { code: "UNDEFINED_VALUE", message });
  const { message: ofColumn, code } = undefinedValue("c");
  assert.deepEqual([code, ofColumn], ["UNDEFINED_VALUE", `${message} (column c)`]);
  assert.throws(() => serialize(() => {}, 114), { name: "TypeError", message: "a function cannot be written as JSON" });
});

test("an error has the fields of the server's, under the names of both drivers", () => {
  const error = createError({ message: "m", code: "23505", fields: { code: "23505", constraint_name: "c", table_name: "t" }, port: 5432 });
  assert.deepEqual([error.name, error.code, error.constraint, error.constraint_name, error.table, error.port],
    ["PostgresError", "23505", "c", "c", "t", 5432]);
  assert.equal(createError({ message: "m", code: "X", cause: { message: "inner", code: "Y" } }).cause.code, "Y");
  const both = {
    schema_name: "schema", table_name: "table", column_name: "column", constraint_name: "constraint", "data type_name": "dataType",
    internal_position: "internalPosition", internal_query: "internalQuery",
  };
  for (const [name, alias] of Object.entries(both)) {
    const own = { ...createError({ message: "m", code: "X", fields: { [name]: "value" } }) };
    assert.deepEqual(own, { message: "m", name: "PostgresError", [name]: "value", [alias]: "value" });
  }
  assert.deepEqual({ ...createError({ message: "m", code: "X", fields: Object.create(both) }) }, { message: "m", name: "PostgresError" });
});

test("an error that is not the server's has its code, its cause, and the place that could not be reached where there is one", () => {
  const plain = createError({ message: "m", code: "X" });
  assert.deepEqual([plain.constructor, plain.message, { ...plain }, "cause" in plain], [Error, "m", { code: "X" }, false]);
  assert.deepEqual({ ...createError({ message: "m", code: "X", address: "/run", port: null }) }, { code: "X", address: "/run" });
  assert.deepEqual({ ...createError({ message: "m", code: "X", address: "::1", port: 1 }) }, { code: "X", address: "::1", port: 1 });
  const thrown = new Map([[7, undefined], [8, "text"]]);
  const causes = [7, 8, 9].map((number) => createError({ message: "m", code: "X", thrown: number }, { PostgresError, thrown }));
  assert.deepEqual(causes.map((error) => ["cause" in error, error.cause]), [[true, undefined], [true, "text"], [false, undefined]]);
  const inner = { message: "inner", code: "Y", fields: { code: "Y" } };
  class OwnError extends Error {}
  const { cause } = createError({ message: "m", code: "X", cause: inner, thrown: 8 }, { PostgresError: OwnError, thrown });
  assert.equal(cause.constructor, OwnError);
});

test("an error's properties are its own, and can be changed", () => {
  const set = [];
  Object.defineProperty(Error.prototype, "port", {
    set(value) {
      set.push(value);
    },
    configurable: true,
  });
  try {
    const error = createError({ message: "m", code: "X", port: 5 });
    assert.deepEqual(Object.getOwnPropertyDescriptor(error, "port"), { value: 5, writable: true, enumerable: true, configurable: true });
  } finally {
    delete Error.prototype.port;
  }
  assert.deepEqual(set, []);
});

test("an answer that cannot be used is told with what is wrong with it", () => {
  const cause = new RangeError("too long");
  const told = (error) => [error.message, error.code, error.cause];
  assert.deepEqual(told(invalidAnswer(cause)), ["the server's answer cannot be used: too long", "INVALID_ANSWER", cause]);
  assert.deepEqual(told(invalidAnswer("odd")), ["the server's answer cannot be used: odd", "INVALID_ANSWER", "odd"]);
  assert.deepEqual(told(invalidAnswer(null)), ["the server's answer cannot be used: null", "INVALID_ANSWER", null]);
});

test("what a native function refuses or throws is an error of this realm: of a wrong argument a TypeError", () => {
  assert.equal(unlessRefused(kinds), kinds);
  assert.throws(() => unlessRefused({ refused: { message: "m" } }), { name: "TypeError", message: "m" });
  assert.throws(() => unlessRefused({ refused: { message: "m", code: "X" } }), { name: "Error", message: "m", code: "X" });
  const realms = [{ message: "m", code: "InvalidArg" }, { message: "m", code: "GenericFailure" }].map(ofThisRealm);
  assert.deepEqual(realms.map(({ name, message }) => [name, message]), [["TypeError", "m"], ["Error", "m"]]);
});

test("what is not what it should be is named for what it is", () => {
  const names = { null: null, undefined, "an array": [], "an object": {}, "a bigint": 1n, "a symbol": Symbol("s"), "a function": () => {} };
  for (const [name, value] of Object.entries(names)) assert.equal(shown(value), name);
  assert.throws(() => readConnection(5n), /not a bigint$/);
  assert.throws(() => readConnection([]), /not an array$/);
  assert.throws(() => readConnection(new Map()), /not an instance of Map$/);
});
