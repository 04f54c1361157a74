// Any name works as a table's or a column's, and none can become SQL.
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import fc from "fast-check";
import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { openAdapters, outcome } from "./support/opened.mjs";

const database = await freshDatabase();
const { sql, url } = database;
await createTables(sql);
const adapters = openAdapters(url);
after(async () => {
  await adapters.close();
  await database.drop();
});

const quote = (name) => `"${name.replaceAll('"', '""')}"`;
const canary = { id: "canary", username: "untouched" };

beforeEach(async () => {
  await sql`TRUNCATE auth_user CASCADE`;
  await sql`INSERT INTO auth_user ${sql(canary)}`;
});

async function assertUntouched() {
  assert.deepEqual([...(await sql`SELECT * FROM auth_user`)], [canary]);
}

/** Creates tables under these SQL names, calls every method on them under the names given to the adapter, drops them. */
async function roundTrip(given, [user, key, session]) {
  await sql.unsafe(`
    CREATE TABLE ${user} (id TEXT PRIMARY KEY, name TEXT);
    CREATE TABLE ${key} (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES ${user}, hashed_password TEXT);
    CREATE TABLE ${session} (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES ${user},
      active_expires BIGINT NOT NULL, idle_expires BIGINT NOT NULL, name TEXT);
  `);
  const initialize = postgres(url, { user: given[0], key: given[1], session: given[2] });
  const adapter = initialize(LuciaError);
  try {
    const users = ["a", "b"].map((id) => ({ id, name: `user ${id}` }));
    const keys = users.map(({ id }) => ({ id: `key ${id}`, user_id: id, hashed_password: null }));
    const sessions = users.map(({ id }) =>
      ({ id: `session ${id}`, user_id: id, active_expires: 1, idle_expires: 2, name: `session ${id}` }));
    await adapter.setUser(users[0], keys[0]);
    await adapter.setUser(users[1], null);
    await adapter.setKey(keys[1]);
    for (const row of sessions) await adapter.setSession(row);
    assert.deepEqual(await adapter.getUser("a"), users[0]);
    assert.deepEqual(await adapter.getKey("key a"), keys[0]);
    assert.deepEqual(await adapter.getSession("session a"), sessions[0]);
    assert.deepEqual(await adapter.getKeysByUserId("b"), [keys[1]]);
    assert.deepEqual(await adapter.getSessionsByUserId("b"), [sessions[1]]);
    const pairs = await Promise.all(Array.from({ length: 24 }, (_, n) => adapter.getSessionAndUser(`session ${"ab"[n % 2]}`)));
    assert.deepEqual(pairs, Array.from({ length: 24 }, (_, n) => [sessions[n % 2], users[n % 2]]));
    await assert.rejects(adapter.setKey(keys[0]), new LuciaError("AUTH_DUPLICATE_KEY_ID"));
    await assert.rejects(adapter.setUser({ id: "c" }, { ...keys[0], user_id: "c" }), new LuciaError("AUTH_DUPLICATE_KEY_ID"));
    await assert.rejects(adapter.setKey({ ...keys[0], id: "new", user_id: "x" }), new LuciaError("AUTH_INVALID_USER_ID"));
    await assert.rejects(adapter.setSession({ ...sessions[0], id: "new", user_id: "x" }), new LuciaError("AUTH_INVALID_USER_ID"));
    await adapter.updateUser("a", { name: "new" });
    await adapter.updateKey("key a", { hashed_password: "new" });
    await adapter.updateSession("session a", { name: "new" });
    assert.deepEqual((await adapter.getSessionAndUser("session a")).map(({ name }) => name), ["new", "new"]);
    assert.equal((await adapter.getKey("key a")).hashed_password, "new");
    await adapter.deleteSession("session b");
    await adapter.deleteSessionsByUserId("a");
    await adapter.deleteKey("key b");
    await adapter.deleteKeysByUserId("a");
    await adapter.deleteUser("a");
    const left = await sql.unsafe(`SELECT id FROM ${user} UNION ALL SELECT id FROM ${key} UNION ALL SELECT id FROM ${session}`);
    assert.deepEqual([...left], [{ id: "b" }]);
  } finally {
    await initialize.end();
    await sql.unsafe(`DROP TABLE ${user}, ${key}, ${session}`);
  }
}

const kinds = {
  "reserved words": ["user", "select", "table"],
  "more reserved words": ["session_user", "end", "order"],
  "words with a meaning in data-modifying statements": ["returning", "with", "unnest"],
  "spaces": ["auth user", " leading", "trailing "],
  "single quotes, percent signs and backslashes": ["it's", "50%", "back\\slash"],
  "double quotes inside": ['we"ird', 'two""quotes', 'a"b"c'],
  "upper case": ["AuthUser", "USER_KEY", "userSession"],
  "non-ASCII letters": ["usuário", "用户", "пользователь"],
  "emoji and combining marks": ["😀", "e\u0301", "\u00e9"],
  "punctuation": ["$1", "user;--", "/* key */"],
  "line breaks and tabs": ["auth\nuser", "user\tkey", "user\r\nsession"],
  "digits first": ["1user", "2", "3-session"],
  "brackets and commas": ["a(b)", "c,d", "e[1]"],
  "names that look like properties of objects": ["__proto__", "constructor", "toString"],
};
for (const [kind, names] of Object.entries(kinds)) {
  test(`table names: ${kind}`, () => roundTrip(names, names.map(quote)));
}

test("table names that a statement could use for its own purposes", async () => {
  const names = [..."abcdefghijklmnopqrstuvwxyz", "users", "ids", "wanted", "ordinality", "ordinal", "position", "input",
    "inserted", "new_user", "found", "row", "rows", "value", "values", "param", "given"];
  for (let at = 0; at < names.length; at += 3) {
    const three = [names[at], names[at + 1], names[at + 2]].map((name, index) => name ?? `extra${index}`);
    await roundTrip(three, three.map(quote));
  }
});

test("table names as long as PostgreSQL allows, and longer ones, which it cuts", async () => {
  const longest = ["u", "k", "s"].map((letter) => letter.repeat(63));
  await roundTrip(longest, longest.map(quote));
  const cut = ["u", "k", "s"].map((letter) => letter.repeat(80));
  await roundTrip(cut, cut.map(quote));
  const cutInsideACharacter = ["u", "k", "s"].map((letter) => `${letter}${"é".repeat(40)}`);
  await roundTrip(cutInsideACharacter, cutInsideACharacter.map(quote));
});

test("tables in a schema, which may be the same in each", async () => {
  await sql.unsafe('CREATE SCHEMA app; CREATE SCHEMA "Other App"; CREATE SCHEMA "user"');
  const [{ name }] = await sql`SELECT current_database() AS name`;
  const usual = ["app.auth_user", "app.user_key", "app.user_session"];
  await roundTrip(usual, usual);
  await roundTrip(["app.same", "Other App.same", "user.same"], ["app.same", '"Other App".same', '"user".same']);
  await roundTrip(["app.user", "app.Key", "app.select"], ['app."user"', 'app."Key"', 'app."select"']);
  await roundTrip([1, 2, 3].map((n) => `${name}.app.t${n}`), [1, 2, 3].map((n) => `app.t${n}`));
});

test("parts already in quotes are taken as written, with the dots and quotes inside them", async () => {
  await sql.unsafe('CREATE SCHEMA "my.schema"; CREATE SCHEMA plain; CREATE SCHEMA "q""s"');
  await roundTrip(['"auth user"', '"Key"', '"select"'], ['"auth user"', '"Key"', '"select"']);
  await roundTrip(['"my.schema"."my.table"', '"my.schema".other', 'plain."a.b"'], [
    '"my.schema"."my.table"', '"my.schema".other', 'plain."a.b"']);
  await roundTrip(['"a.b"', '"."', '"x..y"'], ['"a.b"', '"."', '"x..y"']);
  await roundTrip(['"we""ird"', '"""x"""', '"q""s"."a"".""b"'], ['"we""ird"', '"""x"""', '"q""s"."a"".""b"']);
});

test("names that try to become SQL name a table that does not exist", async () => {
  const attempts = [
    'auth_user"; DELETE FROM auth_user; --',
    "auth_user; DELETE FROM auth_user",
    "auth_user WHERE $1 <> '' --",
    'auth_user" WHERE $1 <> \'\' --',
    'auth_user"" WHERE $1 <> \'\' --',
    '"auth_user" WHERE $1 <> \'\' --"',
    '"auth_user" WHERE $1 <> \'\' OR "id" <> "id"',
    '"auth_user" AS "auth_user"',
    '"public"."auth_user" WHERE $1 <> \'\' --"',
    'public."auth_user" WHERE $1 <> \'\' --"',
    'public.auth_user WHERE $1 <> \'\' --',
    '"auth_user"/**/',
    'auth_user"',
    '"auth_user',
    '"',
    '""',
    '"""',
    "public.",
    ".auth_user",
    "public..auth_user",
    '"public"auth_user',
    '"public""auth_user',
    "auth_user\u0000",
    'auth_user\u0000" WHERE true --',
    "U&\"auth_user\"",
  ];
  for (const name of attempts) {
    let adapter;
    try {
      adapter = adapters.open({ ...tableNames, user: name });
    } catch (error) {
      assert.match(error.message, /tableNames\.user/, name);
      continue;
    }
    for (const [method, ...given] of [
      ["getUser", "canary"],
      ["getUser", "unknown"],
      ["deleteUser", "unknown"],
      ["updateUser", "canary", { username: "changed" }],
      ["setUser", { id: "intruder" }, null],
    ]) {
      const { error, value } = await outcome(adapter[method](...given));
      assert.ok(error instanceof Error, `${method} with the table name ${JSON.stringify(name)} gave ${JSON.stringify(value)}`);
    }
    await assertUntouched();
    await adapters.close();
  }
});

// As with tables: a name with dots, or one that begins with a quote, is written in quotes.
const written = (column) => (/^"|\./.test(column) ? quote(column) : column);

/** Creates a user and a session table with these columns and takes values through every one. */
async function columnsRoundTrip(columns) {
  const definitions = columns.map((column) => `${quote(column)} TEXT`).join(", ");
  await sql.unsafe(`
    CREATE TABLE wide_user (id TEXT PRIMARY KEY, ${definitions});
    CREATE TABLE wide_session (id TEXT PRIMARY KEY, user_id TEXT, active_expires INT8, idle_expires INT8, ${definitions});
  `);
  const initialize = postgres(url, { user: "wide_user", key: "user_key", session: "wide_session" });
  const adapter = initialize(LuciaError);
  const write = (row) => Object.fromEntries(Object.entries(row).map(([column, value]) => [written(column), value]));
  const row = (base, prefix) => Object.fromEntries([...Object.entries(base), ...columns.map((name) => [name, prefix + name])]);
  try {
    const user = row({ id: "u" }, "user ");
    const session = row({ id: "s", user_id: "u", active_expires: 1, idle_expires: 2 }, "session ");
    await adapter.setUser(write(user), null);
    await adapter.setSession(write(session));
    assert.deepEqual(await adapter.getUser("u"), user);
    assert.deepEqual(await adapter.getSessionAndUser("s"), [session, user]);
    const changed = row({}, "changed ");
    await adapter.updateUser("u", write(changed));
    await adapter.updateSession("s", write(changed));
    assert.deepEqual(await adapter.getUser("u"), { ...user, ...changed });
    assert.deepEqual(await adapter.getSession("s"), { ...session, ...changed });
  } finally {
    await initialize.end();
    await sql`DROP TABLE wide_user, wide_session`;
  }
}

for (const [kind, names] of Object.entries(kinds).filter(([name]) => !name.includes("objects"))) {
  test(`attribute names: ${kind}`, () => columnsRoundTrip(names));
}

test("attribute names with dots or outer quotes are written in quotes", () =>
  columnsRoundTrip(["a.b", ".", "auth_user.id", '"quoted"', '"', '"a"."b"', "$1", "$2::text"]));

test("an attribute name with a dot reaches a field of a composite column", async () => {
  await sql.unsafe(`
    CREATE TYPE place AS ("City" TEXT, "zip.code" TEXT);
    CREATE TABLE place_user (id TEXT PRIMARY KEY, "Home" place);
  `);
  const adapter = adapters.open({ ...tableNames, user: "place_user" });
  await adapter.setUser({ id: "u", "Home.City": "Porto" }, null);
  await adapter.updateUser("u", { 'Home."zip.code"': "4000" });
  assert.deepEqual(await adapter.getUser("u"), { id: "u", Home: "(Porto,4000)" });
});

test("names with backslashes and quotes in a session that takes backslashes for escapes", async () => {
  const odd = "back\\slash 'and \"quotes\\";
  await sql.unsafe(`CREATE TABLE ${quote(odd)} (id TEXT PRIMARY KEY, waits INTERVAL, "co\\l'umn" TEXT)`);
  const escaping = new URL(url);
  escaping.searchParams.set("options", "-c standard_conforming_strings=off -c escape_string_warning=off");
  const initialize = postgres(escaping.href, { ...tableNames, user: odd });
  try {
    const adapter = initialize(LuciaError);
    const user = { id: "back\\slash", waits: "01:00:00", "co\\l'umn": "va\\l'ue" };
    await adapter.setUser(user, null);
    assert.deepEqual(await Promise.all([adapter.getUser(user.id), adapter.getUser(user.id)]), [user, user]);
    await sql.unsafe(`ALTER TABLE ${quote(odd)} ADD more TEXT DEFAULT 'more'`);
    assert.deepEqual(await adapter.getUser(user.id), { ...user, more: "more" });
  } finally {
    await initialize.end();
    await sql.unsafe(`DROP TABLE ${quote(odd)}`);
  }
});

test("attribute names that differ only in case or in spaces", () => columnsRoundTrip(["name", "Name", "NAME", "name "]));

test("attribute names that statements and results could use for their own purposes", () =>
  columnsRoundTrip(["__session_id", "session", "user", "session_id", "ordinality", "n", "i", "u", "s", "t", "ids", "0", "1",
    "length", "constructor", "toString", "hasOwnProperty", "then", "ctid_", "key", "value", "row_number"]));

test("a column called __proto__ is a property like any other", async () => {
  await sql.unsafe('CREATE TABLE proto_user (id TEXT PRIMARY KEY, "__proto__" JSON)');
  const adapter = adapters.open({ ...tableNames, user: "proto_user" });
  await adapter.setUser(JSON.parse('{"id": "u", "__proto__": {"admin": true}}'), null);
  const user = await adapter.getUser("u");
  assert.equal(Object.getPrototypeOf(user), Object.prototype);
  assert.equal(user.admin, undefined);
  assert.equal(JSON.stringify(user), '{"id":"u","__proto__":{"admin":true}}');
  assert.equal({}.admin, undefined);
});

test("attribute names as long as PostgreSQL allows, and longer ones, which it cuts", async () => {
  await columnsRoundTrip(["x".repeat(63)]);
  await sql.unsafe(`CREATE TABLE long_user (id TEXT PRIMARY KEY, ${quote("y".repeat(80))} TEXT)`);
  const adapter = adapters.open({ ...tableNames, user: "long_user" });
  await adapter.setUser({ id: "u", ["y".repeat(80)]: "value" }, null);
  assert.deepEqual(await adapter.getUser("u"), { id: "u", ["y".repeat(63)]: "value" });
});

test("attribute names that try to become SQL name a column that does not exist", async () => {
  const adapter = adapters.open();
  const attempts = [
    "username = 'changed' --",
    "username\" = 'changed' --",
    "username\" = 'changed' WHERE true; --",
    '"username" = \'changed\' --"',
    '"username" = "id", "username"',
    "username) VALUES ('intruder') --",
    'username") VALUES (\'intruder\', $1, $2) --',
    'id", "username") SELECT \'intruder\', $1, $2 --',
    "username\u0000",
    "username\u0000\" = 'changed' --",
    "",
  ];
  for (const name of attempts) {
    for (const [method, ...given] of [
      ["updateUser", "canary", { [name]: "changed" }],
      ["setUser", { id: "intruder", [name]: "x" }, null],
      ["setUser", { id: "intruder" }, { id: "k", user_id: "intruder", [name]: "x" }],
    ]) {
      const { error } = await outcome(adapter[method](...given));
      assert.ok(error instanceof Error, `${method} with the attribute ${JSON.stringify(name)}`);
    }
    await assertUntouched();
  }
  assert.deepEqual(await adapter.getUser("canary"), canary);
});

// Any text that PostgreSQL accepts as a name: no NUL, no half of a surrogate pair, at most 63 bytes.
const alphabet = fc.oneof(fc.constantFrom('"', '""', ".", " ", "'", "\\", "$1", "--", "/*", ";", "A", "a", "é"),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }));
const name = fc.array(alphabet, { minLength: 1, maxLength: 8 }).map((parts) => parts.join("").replaceAll("\u0000", ""))
  .filter((text) => text.length > 0 && !/\p{Surrogate}/u.test(text) && Buffer.byteLength(text) <= 60);

test("random names in quotes reach exactly their tables", async () => {
  await fc.assert(fc.asyncProperty(name, name, async (first, second) => {
    const names = [first, `${second}k`, `${second}s`].map(quote);
    fc.pre(new Set(names).size === 3);
    await roundTrip(names, names);
  }), { numRuns: 25 });
});

test("random names without dots or outer quotes need no quotes", async () => {
  await fc.assert(fc.asyncProperty(name, async (text) => {
    const bare = `t${text.replaceAll(".", "")}t`;
    const names = [bare, `${bare}k`, `${bare}s`];
    await roundTrip(names, names.map(quote));
  }), { numRuns: 25 });
});

test("random attribute names reach exactly their columns", async () => {
  const taken = new Set(["id", "user_id", "active_expires", "idle_expires", "__proto__"]);
  await fc.assert(fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 6 }), async (columns) => {
    fc.pre(!columns.some((column) => taken.has(column)));
    await columnsRoundTrip(columns);
  }), { numRuns: 25 });
});
