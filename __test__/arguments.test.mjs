// What is given wrongly is refused clearly: at once by postgres(), by a rejection in the methods; nothing hangs or crashes.
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { runChild } from "./support/child.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { openAdapters, outcome } from "./support/opened.mjs";

const database = await freshDatabase();
const { sql, url } = database;
await createTables(sql);
await sql`ALTER TABLE auth_user ADD points BIGINT, ADD document JSONB, ADD joined TIMESTAMPTZ, ADD photo BYTEA, ADD tags TEXT[]`;
const adapters = openAdapters(url);
const adapter = adapters.open();
after(async () => {
  await adapters.close();
  await database.drop();
});

const key = { id: "k", user_id: "u", hashed_password: null };
const session = { id: "s", user_id: "u", active_expires: 1, idle_expires: 2 };
const rowCount = async () => (await sql`SELECT (SELECT count(*) FROM auth_user)::int + (SELECT count(*) FROM user_key)::int +
  (SELECT count(*) FROM user_session)::int AS n`)[0].n;

beforeEach(() => sql`TRUNCATE auth_user CASCADE`);

const throwing = (message) => () => {
  throw new RangeError(message);
};
function revokedProxy() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
/** Whether something can be used in a message without failing itself. */
const shown = (value) => {
  try {
    return String(value).slice(0, 40);
  } catch {
    return typeof value;
  }
};

describe("postgres()", { timeout: 300_000 }, () => {
  test("without a URL throws at once and names the argument", () => {
    assert.throws(() => postgres(), /url|connection/i);
    for (const wrong of [undefined, null, "", 0, 5432, 5n, true, false, NaN, Symbol("url")]) {
      assert.throws(() => postgres(wrong, tableNames), (error) => {
        assert.ok(error instanceof TypeError, shown(wrong));
        assert.match(error.message, /url|connection/i);
        return true;
      }, shown(wrong));
    }
  });

  test("with a URL that is not PostgreSQL's throws at once, names the argument and hides the password", () => {
    const wrong = ["mysql://me:hunter2@host/db", "http://me:hunter2@localhost:5432/db", "https://example.com", "redis://host",
      "file:///etc/passwd", "postgress://me:hunter2@host/db", "xpostgres://host/db", "pg://host", "nonsense", "://", "   ",
      "javascript:void(0)"];
    for (const text of wrong) {
      assert.throws(() => postgres(text, tableNames), (error) => {
        assert.ok(error instanceof Error, text);
        assert.match(error.message, /url|connection/i, text);
        assert.doesNotMatch(`${error.message} ${error.stack} ${JSON.stringify(error)}`, /hunter2/);
        return true;
      }, text);
    }
  });

  test("takes both spellings of PostgreSQL's scheme", async () => {
    for (const scheme of ["postgres:", "postgresql:"]) {
      const initialize = postgres(url.replace(/^\w+:/, scheme), tableNames);
      assert.equal(await initialize(LuciaError).getUser("unknown"), null);
      await initialize.end();
    }
  });

  test("without table names throws at once and names the argument", () => {
    for (const wrong of [undefined, null, "auth_user", "", 5, true, Symbol("names"), 5n]) {
      assert.throws(() => postgres(url, wrong), (error) => {
        assert.ok(error instanceof TypeError, shown(wrong));
        assert.match(error.message, /tableNames/);
        return true;
      }, shown(wrong));
    }
    assert.throws(() => postgres(url), /tableNames/);
    assert.throws(() => postgres(url, {}), /tableNames\.user/);
    for (const wrong of [[], () => {}]) assert.throws(() => postgres(url, wrong), /tableNames/);
  });

  test("with a missing, empty or non-string table name throws at once and names it", () => {
    for (const name of ["user", "key", "session"]) {
      const { [name]: _, ...missing } = tableNames;
      const wrongs = ["", undefined, 5, 5n, true, false, Symbol("name"), {}, [], ["auth_user"], new String("auth_user"), () => "auth_user"];
      if (name !== "session") wrongs.push(null);
      for (const given of [missing, ...wrongs.map((wrong) => ({ ...tableNames, [name]: wrong }))]) {
        assert.throws(() => postgres(url, given), (error) => {
          assert.ok(error instanceof TypeError, shown(given[name]));
          assert.ok(error.message.includes(`tableNames.${name}`), error.message);
          return true;
        }, `${name}: ${shown(given[name])}`);
      }
    }
  });

  test("passes on what a getter of the table names throws", () => {
    const names = { ...tableNames, get key() {
      throw new RangeError("the getter failed");
    } };
    assert.throws(() => postgres(url, names), new RangeError("the getter failed"));
    const proxy = new Proxy(tableNames, { get: throwing("the trap failed") });
    assert.throws(() => postgres(url, proxy), new RangeError("the trap failed"));
  });

  test("reads frozen, inherited and prototype-less table names, once", async () => {
    const changing = { ...tableNames };
    const initializers = [Object.freeze({ ...tableNames }), Object.create(tableNames),
      Object.assign(Object.create(null), tableNames), new Proxy(tableNames, {}), changing]
      .map((names) => postgres(url, names));
    Object.assign(changing, { user: "changed", key: "changed", session: null });
    for (const initialize of initializers) {
      const made = initialize(LuciaError);
      assert.equal(await made.getUser("unknown"), null);
      assert.deepEqual(await made.getSessionAndUser("unknown"), [null, null]);
      await initialize.end();
    }
  });

  test("initialized without an error class throws at once, or rejects where the class is needed", async () => {
    const initialize = postgres(url, tableNames);
    await adapter.setUser({ id: "u" }, key);
    for (const wrong of [undefined, null, "LuciaError", {}, 5, () => {}]) {
      let made;
      try {
        made = initialize(wrong);
      } catch (error) {
        assert.ok(error instanceof TypeError, shown(wrong));
        continue;
      }
      const { error } = await outcome(made.setKey(key));
      assert.ok(error instanceof Error, shown(wrong));
      assert.equal((await made.getUser("u")).id, "u");
    }
    await initialize.end();
  });
});

const notText = [undefined, null, 0, 5, NaN, 5n, true, false, Symbol("id"), {}, [], ["u"], () => "u", new Date(), new String("u"),
  Object.create(null), { toString: throwing("converted") }, { toString: () => "u" }, new Proxy({}, { get: throwing("trapped") }),
  Proxy.revocable({}, {}).proxy, Buffer.from("u")];
const idMethods = {
  getUser: [], deleteUser: [], updateUser: [{ username: "x" }], getKey: [], deleteKey: [], updateKey: [{ hashed_password: "x" }],
  getKeysByUserId: [], deleteKeysByUserId: [], getSession: [], deleteSession: [], updateSession: [{ country: "x" }],
  getSessionsByUserId: [], deleteSessionsByUserId: [], getSessionAndUser: [],
};
const rowMethods = { setUser: null, setKey: undefined, setSession: undefined };
const notRows = [undefined, null, "row", "", 5, 5n, true, false, Symbol("row"), [], [{ id: "u" }], () => {}];

/** A promise that rejects with a TypeError, not an exception. */
async function assertRefused(call, pattern, label) {
  let promise;
  assert.doesNotThrow(() => {
    promise = call();
  }, label);
  const { error, value } = await outcome(promise);
  assert.ok(error instanceof TypeError, `${label} gave ${error ?? shown(value)}`);
  assert.match(error.message, pattern, label);
  return error;
}

describe("the methods", { timeout: 300_000 }, () => {
  test("refuse what is not text where an id belongs, with a TypeError that names the id", async () => {
    for (const [name, rest] of Object.entries(idMethods)) {
      for (const wrong of notText) await assertRefused(() => adapter[name](wrong, ...rest), /id\b/i, `${name}(${shown(wrong)})`);
      await assertRefused(() => adapter[name](), /id\b/i, `${name}()`);
    }
  });

  test("refuse an id that is longer than a value can be, with a TypeError, and no call beside it", async () => {
    const long = "x".repeat(2 ** 28 + 1);
    for (const [name, rest] of Object.entries(idMethods)) {
      const beside = adapter.getUser("nobody");
      await assertRefused(() => adapter[name](long, ...rest), /the id is too long/, name);
      assert.equal(await beside, null);
    }
  });

  test("refuse what is not an object where a row belongs, with a TypeError", async () => {
    for (const name of Object.keys(rowMethods)) {
      for (const wrong of notRows) await assertRefused(() => adapter[name](wrong, null), /./, `${name}(${shown(wrong)})`);
      await assertRefused(() => adapter[name](), /./, `${name}()`);
    }
    for (const name of ["updateUser", "updateKey", "updateSession"]) {
      for (const wrong of notRows) await assertRefused(() => adapter[name]("u", wrong), /./, `${name}("u", ${shown(wrong)})`);
    }
    for (const wrong of ["key", 5, true, [], [key], Symbol("key"), () => {}]) {
      await assertRefused(() => adapter.setUser({ id: "u" }, wrong), /key/, `setUser(user, ${shown(wrong)})`);
    }
    assert.equal(await rowCount(), 0);
  });

  test("refuse rows without any column", async () => {
    for (const name of Object.keys(rowMethods)) {
      const { error } = await outcome(adapter[name]({}, null));
      assert.ok(error instanceof Error, name);
    }
    const { error } = await outcome(adapter.setUser({ id: "u" }, {}));
    assert.ok(error instanceof Error);
    assert.equal(await rowCount(), 0);
  });

  test("refuse undefined as a value, with the code UNDEFINED_VALUE", async () => {
    await adapter.setUser({ id: "stored" }, null);
    const calls = {
      "a user": () => adapter.setUser({ id: "u", username: undefined }, null),
      "a user with a key": () => adapter.setUser({ id: "u", username: undefined }, key),
      "the key of a user": () => adapter.setUser({ id: "u" }, { ...key, hashed_password: undefined }),
      "a key": () => adapter.setKey({ ...key, user_id: "stored", hashed_password: undefined }),
      "a session": () => adapter.setSession({ ...session, user_id: "stored", country: undefined }),
      "an id": () => adapter.setUser({ id: undefined }, null),
      "a partial user": () => adapter.updateUser("stored", { username: undefined }),
      "a partial key": () => adapter.updateKey("stored", { hashed_password: undefined }),
      "a partial session": () => adapter.updateSession("stored", { country: undefined }),
    };
    for (const [kind, call] of Object.entries(calls)) {
      const { error } = await outcome(call());
      assert.equal(error?.code, "UNDEFINED_VALUE", kind);
    }
    assert.equal(await rowCount(), 1);
  });

  test("reject with exactly what a getter or a trap of a row throws", async () => {
    for (const thrown of [new RangeError("failed"), new LuciaError("UNKNOWN_ERROR"), "text", 42, undefined, null, Object.freeze({})]) {
      const row = { id: "u", get username() {
        throw thrown;
      } };
      const rows = [row, new Proxy({ id: "u" }, { ownKeys() {
        throw thrown;
      } }), new Proxy({ id: "u" }, { get() {
        throw thrown;
      } })];
      for (const given of rows) {
        const calls = [() => adapter.setUser(given, null), () => adapter.updateUser("u", given),
          () => adapter.setUser({ id: "u" }, given)];
        for (const call of calls) {
          let rejected = false;
          let promise;
          assert.doesNotThrow(() => {
            promise = call();
          });
          await promise.catch((error) => {
            rejected = true;
            assert.equal(error, thrown);
          });
          assert.equal(rejected, true);
        }
      }
    }
    const { proxy, revoke } = Proxy.revocable({ id: "u" }, {});
    revoke();
    await assertRefused(() => adapter.setUser(proxy, null), /./, "a revoked proxy as a user");
    await assertRefused(() => adapter.updateUser("u", proxy), /./, "a revoked proxy as a partial user");
    assert.equal(await rowCount(), 0);
  });

  test("read own enumerable properties, through getters and proxies, and nothing else", async () => {
    class Row {
      id = "instance";
      username = "of a class";
      get ignored() {
        throw new Error("read a property of the prototype");
      }
    }
    const hidden = Object.defineProperty({ id: "hidden", [Symbol("ignored")]: 1 }, "ignored", { value: 1, enumerable: false });
    const inherited = Object.assign(Object.create({ ignored: 1 }), { id: "inherited" });
    const bare = Object.assign(Object.create(null), { id: "bare" });
    const getter = { id: "getter", get username() {
      return "computed";
    } };
    const frozen = Object.freeze({ id: "frozen", username: "cold" });
    const proxy = new Proxy({ id: "proxy" }, { get: (target, name) => (name === "id" ? `${target.id}!` : target[name]) });
    for (const row of [new Row(), hidden, inherited, bare, getter, frozen, proxy]) await adapter.setUser(row, null);
    const names = (await sql`SELECT id, username FROM auth_user ORDER BY id`).map((row) => [row.id, row.username]);
    assert.deepEqual(names, [["bare", null], ["frozen", "cold"], ["getter", "computed"], ["hidden", null], ["inherited", null],
      ["instance", "of a class"], ["proxy!", null]]);
    await adapter.updateUser("frozen", Object.freeze({ username: "colder" }));
    assert.equal((await adapter.getUser("frozen")).username, "colder");
  });

  test("take rows and ids as they are at the time of the call", async () => {
    const user = { id: "u", username: "before" };
    const ownKey = { ...key };
    const stored = adapter.setUser(user, ownKey);
    user.username = "after";
    ownKey.id = "other";
    delete user.id;
    await stored;
    assert.equal((await adapter.getUser("u")).username, "before");
    assert.equal((await adapter.getKey("k")).user_id, "u");
  });

  test("may be called from a getter of a row", async () => {
    let inner;
    await adapter.setUser({ id: "u", get username() {
      inner = adapter.getUser("unknown");
      return "outer";
    } }, null);
    assert.equal(await inner, null);
    assert.equal((await adapter.getUser("u")).username, "outer");
  });

  test("store bigints, and refuse symbols with a TypeError", async () => {
    await adapter.setUser({ id: "u", points: 9007199254740993n, username: 12n }, null);
    await adapter.updateUser("u", { points: 9007199254740995n });
    const { points, username } = await adapter.getUser("u");
    assert.deepEqual([points, username], ["9007199254740995", "12"]);
    await assertRefused(() => adapter.setUser({ id: "v", username: Symbol("s") }, null), /./, "a symbol");
    await assertRefused(() => adapter.updateUser("u", { username: Symbol("s") }), /./, "a symbol");
  });

  test("settle whatever a value is, in a column of any type", async () => {
    const cyclic = {};
    cyclic.self = cyclic;
    let deep = [];
    for (let level = 0; level < 20_000; level += 1) deep = [deep];
    const values = [new Date(NaN), new Date(8.64e15), NaN, Infinity, -0, new Map([[1, 2]]), cyclic, deep, { big: 1n }, () => {},
      Symbol.iterator, new WeakMap(), new Uint8Array(3), new Float64Array(2), new ArrayBuffer(4), new SharedArrayBuffer(4), new DataView(new ArrayBuffer(2)),
      Promise.resolve(), new Proxy({}, { get: throwing("trapped") }), revokedProxy(), { toString: throwing("converted") },
      { toJSON: throwing("to JSON") }, { [Symbol.toPrimitive]: () => ({}) }, Object.create(null), [undefined], [null], [[1], [2, 3]],
      Object.assign([], { length: 5 }), "\ud800", "\u0000", "x".repeat(1_000_000), /x/, new Error("value"), globalThis, process];
    await adapter.setUser({ id: "u" }, null);
    for (const column of ["username", "points", "document", "joined", "photo", "tags"]) {
      for (const value of values) {
        let promise;
        assert.doesNotThrow(() => {
          promise = adapter.updateUser("u", { [column]: value });
        });
        const { error } = await outcome(promise);
        if (error !== undefined) assert.ok(error instanceof Error, `${column}: ${typeof value}`);
      }
    }
    assert.equal((await adapter.getUser("u")).id, "u");
  });

  test("reject with what the conversion of a value throws", async () => {
    await adapter.setUser({ id: "u" }, null);
    const { error } = await outcome(adapter.updateUser("u", { username: { toString: throwing("converted") } }));
    assert.deepEqual([error?.constructor, error?.message], [RangeError, "converted"]);
    const cyclic = {};
    cyclic.self = cyclic;
    await assertRefused(() => adapter.updateUser("u", { document: cyclic }), /circular|cyclic/i, "a cyclic document");
  });

  test("refuse the name of a column that is none with a TypeError that quotes it", async () => {
    await assertRefused(() => adapter.updateUser("u", { "user\0name": "x" }), /"user\\0name" is not the name of a column: it holds U\+0000/, "NUL");
    await assertRefused(() => adapter.setUser({ id: "v", "": "x" }, null), /"" is not the name of a column: a part of it is empty/, "empty");
  });

  test("take ids of any length and content", async () => {
    for (const id of ["", " ", "'", '"', "\\", "$1", "%s", "null", "💥", "\ud800", "x".repeat(5_000_000), "a\nb"]) {
      assert.equal(await adapter.getUser(id), null);
      assert.equal(await adapter.deleteUser(id), undefined);
      assert.deepEqual(await adapter.getSessionAndUser(id), [null, null]);
    }
    for (const id of ["", "'; --", "💥", "\\x41", "{a,b}", '"quoted"', "NULL"]) {
      await adapter.setUser({ id, username: id }, null);
      assert.deepEqual({ ...(await adapter.getUser(id)) }.username, id);
    }
  });

  test("reject an id with a NUL, which PostgreSQL cannot store, and no call beside it", async () => {
    await adapter.setUser({ id: "a" }, null);
    const asked = Array.from({ length: 60 }, (_, n) => (n % 7 === 3 ? "a\u0000b" : "a"));
    const results = await Promise.all(asked.map((id) => outcome(adapter.getUser(id))));
    for (const [n, { value, error }] of results.entries()) {
      if (n % 7 === 3) assert.equal(error?.code, "22021");
      else assert.deepEqual([value?.id, error], ["a", undefined]);
    }
    const { error } = await outcome(adapter.setUser({ id: "b", username: "x\u0000y" }, null));
    assert.equal(error?.code, "22021");
  });

  test("reject a row with more columns than a statement can have parameters", async () => {
    for (const columns of [2000, 65_535, 65_536, 70_000]) {
      const row = Object.fromEntries(Array.from({ length: columns }, (_, n) => [`column${n}`, "x"]));
      const { error } = await outcome(adapter.setUser({ id: "u", ...row }, null));
      assert.ok(error instanceof Error, `${columns} columns`);
      const updated = await outcome(adapter.updateUser("u", row));
      assert.ok(updated.error instanceof Error, `${columns} columns`);
    }
    assert.equal(await adapter.getUser("u"), null);
  });

  test("let the program end by itself after calls that were refused", async () => {
    const { code, stdout, stderr } = await runChild(`
      const fails = { get username() { throw new Error("getter"); } };
      const wrongs = [undefined, null, 5, Symbol("x"), "text", [], {}, { id: undefined }, { id: Symbol("x") }, { "": "x" }, { "a.": "x" },
        { "a\\0": "x" }, { id: { toString() { throw new Error("converted"); } } }, fails];
      let refused = 0;
      for (const wrong of wrongs) {
        const calls = [adapter.getUser(wrong), adapter.setUser(wrong, null), adapter.setUser({ id: "x" }, wrong || 5),
          adapter.setKey(wrong), adapter.updateUser("x", wrong), adapter.setSession(wrong)];
        for (const { status } of await Promise.allSettled(calls)) refused += status === "rejected" ? 1 : 0;
      }
      console.log(refused);
    `, url);
    assert.deepEqual([code, stderr], [0, ""]);
    // All but getUser("text") and updateUser("x", {}).
    assert.equal(Number(stdout), 14 * 6 - 2);
  });

  test("work as ever after all of that", async () => {
    await Promise.all(notText.flatMap((wrong) => Object.keys(idMethods).map((name) => outcome(adapter[name](wrong, {})))));
    await adapter.setUser({ id: "u", username: "User" }, key);
    await adapter.setSession(session);
    const [storedSession, user] = await adapter.getSessionAndUser("s");
    assert.deepEqual([storedSession.user_id, user.username], ["u", "User"]);
  });
});
