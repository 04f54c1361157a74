// The functions among the options by themselves, over a native half that notes what it is told. (`passwords` holds them against a server.)
import assert from "node:assert/strict";
import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { createRequire } from "node:module";
import { describe, test } from "node:test";

const require = createRequire(import.meta.url);
const { instance } = require("../lib/completions.js");
const { kinds } = require("../lib/constants.js");
const { createFunctions } = require("../lib/functions.js");

/** Asks as a connection does. */
const askPassword = (reply, handle, { host, port, user, database }, limit) =>
  instance.settle(kinds.Password, reply, handle, host, port, user, database, limit);
const tellNotice = (handle, description) => instance.settle(kinds.Notice, handle, description);

let lastHandle = 1_000_000;
/** Whoever asks by a handle does not keep the functions. */
const kept = [];

/** The functions of an adapter, whose handles are numbered here, and what the native half is told of their answers. */
function functionsOf(...given) {
  const heard = [];
  const answers = new Map();
  const native = {
    functions: given.map((each) => [(lastHandle += 1), each]),
    password(reply, ...answer) {
      heard.push([reply, ...answer]);
      answers.get(reply)?.();
    },
  };
  const handles = native.functions.map(([handle]) => handle);
  const functions = createFunctions(native);
  kept.push(functions);
  const answered = (reply) => new Promise((resolve) => {
    answers.set(reply, resolve);
  });
  return { native, functions, handles, heard, answered };
}

/** The next turn, by which every reaction has run. */
const turn = () => new Promise(setImmediate);
const place = { host: "h", port: 5432, user: "me", database: "d" };

test("options without a function need nothing, and the native half is left with none", () => {
  assert.equal(createFunctions({ functions: [] }), undefined);
  const { native, functions } = functionsOf(() => "secret");
  assert.deepEqual(native.functions, []);
  assert.deepEqual(functions.thrown, new Map());
});

describe("a function that is asked for a password", () => {
  test("is given the place and a signal, and gives the text at once or later", async () => {
    const asked = [];
    const { handles, heard, answered } = functionsOf(
      ({ signal, ...at }) => asked.push([at, signal.aborted, signal instanceof AbortSignal]) && "one",
      async () => await Promise.resolve("two"),
    );
    const both = Promise.all([1, 2].map(answered));
    askPassword(1, handles[0], place, Infinity);
    assert.deepEqual(asked, [], "not while messages are read");
    askPassword(2, handles[1], place, Infinity);
    await both;
    assert.deepEqual(heard.sort(), [[1, "one", null], [2, "two", null]]);
    assert.deepEqual(asked, [[place, false, true]]);
  });

  test("is asked once by those who connect to one place meanwhile, and again by others and later", async () => {
    let count = 0;
    const same = async () => `${(count += 1)}`;
    const { handles: [handle, other], heard } = functionsOf(same, same);
    for (const reply of [1, 2]) askPassword(reply, handle, { ...place }, Infinity);
    askPassword(3, handle, { ...place, host: "elsewhere" }, Infinity);
    askPassword(4, other, place, Infinity);
    await turn();
    assert.deepEqual(heard.sort(), [[1, "1", null], [2, "1", null], [3, "2", null], [4, "3", null]]);
    askPassword(5, handle, place, Infinity);
    await turn();
    assert.deepEqual(heard.at(-1), [5, "4", null]);
  });

  test("fails with the name and the code of what it throws, which is kept as it is for the cause of errors", async () => {
    const unreadable = { get name() {
      throw new Error("read");
    } };
    const coded = Object.assign(new RangeError("the secret"), { code: "ECODE" });
    const thrown = [[coded, "RangeError ECODE"], [new Error("the secret"), "Error"], ["text", "string"], [undefined, "undefined"], [null, "object"],
      [unreadable, "object"], [{ code: 5 }, "object 5"]];
    for (const [value, name] of thrown) {
      const { functions, handles, heard } = functionsOf(() => {
        throw value;
      });
      askPassword(7, handles[0], place, Infinity);
      await turn();
      assert.deepEqual(heard, [[7, null, name]]);
      assert.deepEqual([...functions.thrown], [[7, value]]);
    }
  });

  test("fails when it gives no text", async () => {
    const { functions, handles, heard } = functionsOf(() => 5);
    askPassword(1, handles[0], place, Infinity);
    await turn();
    assert.deepEqual(heard, [[1, null, "TypeError"]]);
    assert.equal(functions.thrown.get(1).message, "the function `password` must give a string");
  });

  test("leaves the last hundred failures", async () => {
    const { functions, handles } = functionsOf(() => {
      throw new Error("no");
    });
    for (let reply = 1; reply <= 102; reply += 1) {
      askPassword(reply, handles[0], { ...place, port: reply }, Infinity);
      await turn();
      assert.equal(functions.thrown.size, Math.min(reply, 100));
    }
    assert.deepEqual([...functions.thrown.keys()], Array.from({ length: 100 }, (_, n) => n + 3));
  });

  test("has its signal aborted when the connection has waited for long enough, and not when it has answered before", async () => {
    const LIMIT = 100;
    const signals = [];
    const { handles: [waits, answers, patient], heard } = functionsOf(
      ({ signal }) => new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
      ({ signal }) => signals.push(signal) && "at once",
      ({ signal }) => signals.push(signal) && new Promise(() => {}),
    );
    askPassword(1, waits, place, LIMIT);
    askPassword(2, answers, place, LIMIT);
    // Longer than a timer can be, which would overflow and fire at once.
    for (const [port, limit] of [[1, 2 ** 31], [2, Infinity]]) askPassword(port, patient, { ...place, port }, limit);
    // No event tells of signals that are not aborted. The timers of signals keep no program awake.
    await new Promise((resolve) => setTimeout(resolve, 3 * LIMIT));
    assert.deepEqual(heard, [[2, "at once", null], [1, null, "TimeoutError 23"]]);
    assert.deepEqual(signals.map(({ aborted }) => aborted), [false, false, false]);
  });
});

test("a notice is told behind the messages, with its fields beside its text", async () => {
  const notices = [];
  const { handles } = functionsOf((notice) => notices.push(notice));
  tellNotice(handles[0], { message: "hello", fields: { severity: "NOTICE", code: "00000" } });
  assert.deepEqual(notices, []);
  await turn();
  assert.deepEqual(notices, [{ message: "hello", severity: "NOTICE", code: "00000" }]);
});

test("functions are called in the context of the call that has made the adapter", async () => {
  const storage = new AsyncLocalStorage();
  const seen = [];
  const { handles } = storage.run("maker", () => functionsOf(() => seen.push(storage.getStore()) && "text", () => seen.push(storage.getStore())));
  storage.run("caller", () => {
    askPassword(1, handles[0], place, Infinity);
    tellNotice(handles[1], { message: "hello", fields: {} });
  });
  await turn();
  assert.deepEqual(seen, ["maker", "maker"]);
});

test("the context of functions is an asynchronous resource of the package's name until the adapter ends", async () => {
  const resources = new Map();
  const destroyed = [];
  const hook = createHook({ init: (id, type) => resources.set(id, type), destroy: (id) => destroyed.push(resources.get(id)) }).enable();
  const { functions } = functionsOf(() => "text");
  await turn();
  assert.deepEqual([...resources.values()].filter((type) => type === "lucia-postgres-native").length, 1);
  assert.ok(!destroyed.includes("lucia-postgres-native"));
  functions.clear();
  await turn();
  hook.disable();
  assert.ok(destroyed.includes("lucia-postgres-native"));
});

test("an adapter that has ended aborts what it waits for, asks no more, and keeps what was thrown for its last errors alone", async () => {
  let asked = 0;
  let signal;
  const failed = new Error("no");
  const { functions, handles: [fails, waits, notice], heard } = functionsOf(
    () => {
      throw failed;
    },
    (given) => new Promise((_, reject) => {
      asked += 1;
      ({ signal } = given);
      signal.addEventListener("abort", () => reject(signal.reason));
    }),
    () => (asked += 1),
  );
  askPassword(1, fails, place, Infinity);
  askPassword(2, waits, place, Infinity);
  await turn();
  const { thrown } = functions;
  tellNotice(notice, { message: "on its way", fields: {} });
  functions.clear();
  assert.equal(signal.aborted, true);
  await turn();
  assert.deepEqual(heard, [[1, null, "Error"], [2, null, "AbortError 20"]]);
  assert.deepEqual([...thrown], [[1, failed]]);
  assert.equal(functions.thrown.size, 0);
  for (const handle of [fails, waits]) askPassword(3, handle, place, Infinity);
  tellNotice(notice, { message: "late", fields: {} });
  await turn();
  assert.equal(heard.length, 2);
  assert.equal(asked, 1);
  functions.clear();
});
