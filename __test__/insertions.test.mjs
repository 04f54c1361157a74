// Insertions that come together are sent in one statement: each call gets its own answer, and stores what it would alone.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { adapters, database, sql } from "./support/anew.mjs";
import { createTypes } from "./support/available.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { createAttributeTables } from "./support/reading.mjs";
import { openBoth } from "./support/reference.mjs";
import { times, together, transactions } from "./support/together.mjs";

const stored = (count) => Array(count).fill("stored");
const user = (n, username = `name ${n}`) => ({ id: `u${n}`, username });
const key = (n, password = null) => ({ id: `k${n}`, user_id: `u${n}`, hashed_password: password });
const session = (n, country = null) => ({ id: `s${n}`, user_id: `u${n}`, active_expires: 1, idle_expires: 2, country });

/** An adapter that has inserted by every method, and knows what types the columns have. */
async function warm(options = undefined, names = tableNames) {
  const adapter = adapters.open(names, undefined, options);
  await adapter.setUser(user("warm"), key("warm"));
  await adapter.setUser(user("warm too"), null);
  await adapter.setKey({ ...key("warm"), id: "another" });
  await adapter.setSession(session("warm"));
  return adapter;
}

describe("insertions that come together", () => {
  beforeEach(() => createTables(sql));

  test("are stored by a few transactions, all of them", async () => {
    const adapter = await warm();
    const methods = {
      auth_user: (n) => adapter.setUser(user(n), null),
      user_key: (n) => adapter.setKey(key(n)),
      user_session: (n) => adapter.setSession(session(n)),
    };
    for (const [table, call] of Object.entries(methods)) {
      assert.deepEqual(await together(times(160, call)), stored(160));
      assert.ok(await transactions(sql, table, "id NOT LIKE '%warm%' AND id <> 'another'") <= 80, table);
    }
    await together(times(160, (n) => adapter.setUser(user(`with ${n}`), key(`with ${n}`))));
    const [{ count }] = await sql`SELECT count(*)::int FROM auth_user AS u, user_key AS k
      WHERE u.id LIKE 'uwith%' AND k.user_id = u.id AND k.id = 'k' || substr(u.id, 2) AND k.xmin = u.xmin`;
    assert.equal(count, 160);
    assert.ok(await transactions(sql, "auth_user", "id LIKE 'uwith%'") <= 80);
  });

  test("get each its own error when the server refuses some, and the others are stored whole", async () => {
    await sql.unsafe(`
      ALTER TABLE user_key ADD CHECK (hashed_password <> 'checked');
      ALTER TABLE auth_user ADD email VARCHAR(5), ADD number INT4, ADD UNIQUE (email) DEFERRABLE INITIALLY DEFERRED;
      INSERT INTO auth_user VALUES ('taken', NULL, 'taken');
      INSERT INTO user_key VALUES ('taken', 'taken');
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.hashed_password = 'raised' THEN RAISE 'no' USING ERRCODE = 'ZZ001'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON user_key FOR EACH ROW EXECUTE FUNCTION refuse();
    `);
    const adapter = await warm();
    await adapter.setUser({ ...user("more"), email: null, number: 1 }, key("more"));
    const calls = [
      [{}, {}, "stored"],
      [{}, { id: "taken" }, "AUTH_DUPLICATE_KEY_ID"],
      [{ id: "taken" }, {}, "23505"],
      [{}, { user_id: "nobody" }, "23503"],
      [{}, { user_id: null }, "23502"],
      [{}, { hashed_password: "checked" }, "23514"],
      [{}, { hashed_password: "raised" }, "ZZ001"],
      [{ number: "many" }, {}, "22P02"],
      [{ number: 3e9 }, {}, "22003"],
      [{ email: "longer" }, {}, "22001"],
      [{ email: "taken" }, {}, "23505"],
      [{ username: "a\0b" }, {}, "22021"],
      [{ email: "first" }, {}, "stored"],
      [{}, { id: null }, "23502"],
      [{ number: 5 }, { hashed_password: "" }, "stored"],
      [{}, {}, "stored"],
    ];
    const row = (n) => [{ ...user(n), email: null, number: n, ...calls[n][0] }, { ...key(n), ...calls[n][1] }];
    const outcomes = await together(times(16, (n) => adapter.setUser(...row(n))));
    assert.deepEqual(outcomes, calls.map(([, , expected]) => expected));
    const rows = await sql`SELECT u.id, k.id AS key FROM auth_user AS u FULL JOIN user_key AS k ON k.user_id = u.id
      WHERE coalesce(u.id, k.id) ~ '^.[0-9]' ORDER BY length(u.id), u.id`;
    assert.deepEqual(rows.map(({ id, key: keyId }) => `${id} ${keyId}`), ["u0 k0", "u12 k12", "u14 k14", "u15 k15"]);
  });

  test("of missing users reject with AUTH_INVALID_USER_ID, keys and sessions", async () => {
    const adapter = await warm();
    await together(times(16, (n) => adapter.setUser(user(n), null)));
    const who = (n) => (n % 5 === 2 ? { user_id: "nobody" } : {});
    const expected = Array.from({ length: 16 }, (_, n) => (n % 5 === 2 ? "AUTH_INVALID_USER_ID" : "stored"));
    assert.deepEqual(await together(times(16, (n) => adapter.setKey({ ...key(n), ...who(n) }))), expected);
    assert.deepEqual(await together(times(16, (n) => adapter.setSession({ ...session(n), ...who(n) }))), expected);
  });

  test("of one name store one of them, and reject the others with AUTH_DUPLICATE_KEY_ID", async () => {
    const adapter = await warm();
    for (let round = 0; round < 20; round += 1) {
      const signUp = (n) => adapter.setUser(user(`${round} ${n}`), { ...key(`${round} ${n}`), id: `name ${round}` });
      const outcomes = await together(times(16, signUp));
      assert.deepEqual(outcomes.sort(), [...Array(15).fill("AUTH_DUPLICATE_KEY_ID"), "stored"]);
    }
    const [counts] = await sql`SELECT count(*)::int AS users, (SELECT count(*)::int FROM user_key WHERE id LIKE 'name%') AS keys
      FROM auth_user WHERE id NOT LIKE 'uwarm%'`;
    assert.deepEqual({ ...counts }, { users: 20, keys: 20 });
  });

  test("meet triggers that rewrite, skip or count rows as they would alone", async () => {
    await sql.unsafe(`
      CREATE TABLE counted (statements INT, rows INT);
      CREATE FUNCTION rewrite() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.username = 'skip' THEN RETURN NULL; END IF; NEW.username := upper(NEW.username); RETURN NEW; END $$;
      CREATE TRIGGER rewrite BEFORE INSERT ON auth_user FOR EACH ROW EXECUTE FUNCTION rewrite();
      CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO counted SELECT 1, count(*) FROM fresh; RETURN NULL; END $$;
      CREATE TRIGGER count_rows AFTER INSERT ON auth_user REFERENCING NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION count_rows();
    `);
    const adapter = await warm();
    const outcomes = await together(times(16, (n) => adapter.setUser(user(n, n === 3 ? "skip" : `e ${n}`), key(n))));
    assert.deepEqual(outcomes, outcomes.map((_, n) => (n === 3 ? "23503" : "stored")));
    assert.deepEqual(await together(times(16, (n) => adapter.setUser(user(16 + n, n === 3 ? "skip" : "x"), null))), stored(16));
    const [{ rows, names }] = await sql`SELECT (SELECT sum(rows)::int FROM counted) AS rows, count(*)::int AS names
      FROM auth_user WHERE username IN ('X', 'E 1', 'E 15') AND id ~ '^u[0-9]'`;
    assert.deepEqual([rows, names], [2 + 15 + 15, 15 + 2]);
  });
});

describe("values of insertions that come together", () => {
  const texts = [
    "", " ", "NULL", "null", "a,b", "{a,b}", "{}", '"', "\\", '\\"', "it's", "(a,b)", "a;b", "\r\n\t", "𝒳 é\u202e", null,
  ];

  test("are stored as the reference stores them one by one, in columns of every type", { timeout: 180_000 }, async () => {
    const { entries } = await createTypes(sql);
    const known = entries.map(({ type, values, hasArrays }) => (
      { type, hasArrays, name: type.replaceAll(/[".]/g, ""), values: values.filter((value) => typeof value === "string") }
    ));
    const columns = [
      ...known.map(({ type, name, values }) => ({ type, name, values: [...values, null] })),
      ...known.filter(({ hasArrays }) => hasArrays)
        .map(({ type, name, values }) => ({ type: `${type}[]`, name: `${name} list`, values: [values, [null], [], null] })),
      ...["text", "varchar(9)", "char(9)", "bpchar", "name"].map((type) => ({ type, name: `any ${type}`, values: texts })),
      { type: "jsonb", name: "objects", values: [{ a: 'b,"c\\' }, [1, null], "a string", 5, true, null] },
      { type: "bytea", name: "bytes", values: [Buffer.from([0, 34, 92, 255]), Buffer.alloc(0), null] },
      { type: "timestamptz", name: "moments", values: [new Date(0), new Date(-1), null] },
      { type: "text", name: "booleans", values: [true, false] },
      { type: "numeric(20,3)", name: "numbers", values: [0.1, -0, 1e12, NaN, "1e3", null] },
    ];
    const tables = await createAttributeTables(sql, "of values", columns, []);
    const both = openBoth(database.url, tables);
    try {
      for (const { name, values } of columns) {
        const row = (side, n) => ({ id: `${side} ${n}`, [name]: values[n % values.length] });
        await together([() => both.ours.setUser(row("ours", 0), null)]);
        const count = Math.max(16, values.length);
        const mine = await together(times(count, (n) => both.ours.setUser(row("ours", n + 1), null)));
        const theirs = [];
        for (let n = 1; n <= count; n += 1) theirs.push(...await together([() => both.reference.setUser(row("reference", n), null)]));
        assert.deepEqual(mine, theirs, name);
        const table = `"${tables.user}"`;
        const kept = (side) => sql.unsafe(`SELECT substr(id, length($1) + 2) AS n, "${name}"::text AS text FROM ${table}
          WHERE id LIKE $1 || '%' AND id <> 'ours 0' ORDER BY id`, [side]);
        assert.deepEqual([...await kept("ours")], [...await kept("reference")], name);
        await sql.unsafe(`TRUNCATE ${table}`);
      }
    } finally {
      await both.end();
    }
  });

  test("are stored in columns of any name, in parts of columns, and where the server makes up the rest", async () => {
    await sql.unsafe(`
      CREATE SCHEMA "the ""schema""";
      CREATE TYPE pair AS (number int4, label text);
      CREATE TABLE "the ""schema"""."u" (id TEXT PRIMARY KEY, g1 TEXT, call TEXT, u TEXT, "odd ""name" TEXT, "a.b" TEXT,
        pair pair, number INT GENERATED ALWAYS AS IDENTITY, late TEXT DEFAULT 'late', long TEXT GENERATED ALWAYS AS (id || u) STORED);
      CREATE TABLE call (id TEXT PRIMARY KEY, user_id TEXT REFERENCES "the ""schema"""."u", hashed_password TEXT, k TEXT);
      CREATE TABLE i (id TEXT PRIMARY KEY, user_id TEXT, active_expires INT8, idle_expires INT8, i TEXT, g1 TEXT);
    `);
    const adapter = adapters.open({ user: 'the "schema".u', key: "call", session: "public.i" });
    const values = (n) => {
      const text = texts[n % texts.length];
      return [
        { id: `u${n}`, g1: text, call: text, u: `${n}`, 'odd "name': text, '"a.b"': text, "pair.number": n, "pair.label": text },
        { id: `k${n}`, user_id: `u${n}`, hashed_password: text, k: text },
      ];
    };
    const own = (n) => ({ ...session(n), country: undefined, i: texts[n % texts.length], g1: `${n}` });
    const ownSession = (n) => Object.fromEntries(Object.entries(own(n)).filter(([, value]) => value !== undefined));
    await adapter.setUser(...values(0));
    await adapter.setSession(ownSession(0));
    assert.deepEqual(await together(times(15, (n) => adapter.setUser(...values(n + 1)))), stored(15));
    assert.deepEqual(await together(times(15, (n) => adapter.setSession(ownSession(n + 1)))), stored(15));
    const rows = await sql`SELECT u.id, g1, call, u, "odd ""name" AS odd, "a.b" AS dotted, (pair).number AS n, (pair).label, late,
        long, (SELECT k FROM call AS c WHERE user_id = u.id AND c.hashed_password IS NOT DISTINCT FROM k) AS key,
        (SELECT i FROM i WHERE i.id = 's' || (pair).number AND i.g1 = (pair).number::text) AS session
      FROM "the ""schema"""."u" AS u ORDER BY (pair).number`;
    assert.deepEqual(rows.map((row) => ({ ...row })), Array.from({ length: 16 }, (_, n) => {
      const text = texts[n % texts.length];
      const same = { g1: text, call: text, odd: text, dotted: text, label: text, key: text, session: text };
      return { id: `u${n}`, u: `${n}`, n, late: "late", long: `u${n}${n}`, ...same };
    }));
    const [{ numbers }] = await sql`SELECT count(DISTINCT number)::int AS numbers FROM "the ""schema"""."u"`;
    assert.equal(numbers, 16);
    assert.ok(await transactions(sql, '"the ""schema"""."u"') <= 8);
  });
});
