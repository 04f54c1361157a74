// Reading: every type, through every method that returns rows, against the reference on the same rows.
import assert from "node:assert/strict";
import { test } from "node:test";

import connect from "postgres";

import { arrayExpression } from "./support/arrays.mjs";
import { expression, literal } from "./support/available.mjs";
import { difference, noComplaints } from "./support/compare.mjs";
import { expectedRows } from "./support/expected.mjs";
import { compareReadings, createAttributeTables, everyValue, listColumn, valueColumn } from "./support/reading.mjs";
import { openBoth, readings, settled } from "./support/reference.mjs";
import { databaseOfTypes } from "./support/typed.mjs";
import { differences, types } from "./support/types.mjs";

const { database, available, driver, both } = await databaseOfTypes(openBoth);
const differencesMet = new Set();

/** Runs `work` while new connections to the database begin with these settings. */
async function underSettings(settings, work) {
  const [{ name }] = await database.sql`SELECT current_database() AS name`;
  const changes = Object.entries(settings).map(
    ([setting, value]) => `ALTER DATABASE ${name} SET ${setting} = ${value}`,
  );
  await database.sql.unsafe(changes.join("; "));
  try {
    await work();
  } finally {
    await database.sql.unsafe(`ALTER DATABASE ${name} RESET ALL`);
  }
}

const entryOf = (type) => available.entries.find((entry) => entry.type === type);
test("the table of types leaves out no type that the server brings", async (t) => {
  const found = await database.sql`
    SELECT oid::regtype::text AS type FROM pg_type AS candidate
    WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm', 'e', 'd')
      AND NOT EXISTS (SELECT FROM pg_type WHERE typarray = candidate.oid)`;
  const listed = await database.sql.unsafe(
    available.entries.map(({ type }) => `SELECT ${literal(type)}::regtype::text AS type`).join(" UNION ALL "),
  );
  const known = new Set(listed.map(({ type }) => type));
  const absent = found.map(({ type }) => type).filter((type) => !known.has(type) && !available.missing.has(type));
  assert.deepEqual(absent, []);
  for (const reason of available.missing.values()) t.diagnostic(`not tested: ${reason}`);
});

for (const [index, { type }] of types.entries()) {
  test(`${type}: every value, NULL and every shape of array reads as in the reference`, async (t) => {
    if (available.missing.has(type)) return t.skip(available.missing.get(type));
    const { columns, rows } = everyValue(entryOf(type));
    const tables = await createAttributeTables(database.sql, index, columns, rows);
    await compareReadings(both(tables), await expectedRows(driver, tables.user, columns), differencesMet);
  });
}

test("a row with a column of every type reads as in the reference", async () => {
  const columns = [];
  const cells = {};
  for (const entry of available.entries.filter(({ values }) => values.length > 0)) {
    const value = valueColumn(entry, entry.type);
    columns.push(value);
    cells[value.name] = expression(entry, entry.values[0]);
    if (!entry.hasArrays) continue;
    const list = listColumn(entry, `${entry.type} list`);
    columns.push(list);
    cells[list.name] = arrayExpression(entry, { shape: [0, entry.values.length - 1] });
  }
  const tables = await createAttributeTables(database.sql, "wide", columns, [
    { id: "full", cells },
    { id: "NULL", cells: {} },
  ]);
  await compareReadings(both(tables), await expectedRows(driver, tables.user, columns), differencesMet);
});

test("dates read as in the reference in every local time zone", async () => {
  const moments = [
    "1800-01-01 00:00:00", "1883-11-18 12:03:58", "1900-01-01 00:00:00", "1937-07-01 00:00:10",
    "1945-05-24 01:30:00", "1970-01-01 00:00:00", "2011-12-30 12:00:00", "2024-03-10 02:30:00",
    "2024-03-31 01:30:00", "2024-03-31 02:30:00", "2024-04-07 01:45:00", "2024-10-06 02:15:00",
    "2024-10-27 01:30:00", "2024-10-27 02:30:00", "2024-11-03 01:30:00", "2100-07-01 00:00:00.001",
  ];
  const columns = ["date", "timestamp", "timestamptz"].map((type) => valueColumn(entryOf(type), type));
  columns.push(listColumn(entryOf("timestamp")));
  const rows = moments.map((moment) => {
    const cells = Object.fromEntries(
      ["date", "timestamp", "timestamptz"].map((type) => [type, `${literal(moment)}::${type}`]),
    );
    return { id: moment, cells: { ...cells, list: `ARRAY[${cells.timestamp}, NULL]` } };
  });
  const tables = await createAttributeTables(database.sql, "zones", columns, rows);
  const adapters = both(tables);
  for (const each of [
    "UTC", "Europe/London", "Europe/Amsterdam", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
    "Pacific/Apia", "America/St_Johns", "Africa/Monrovia", "America/Los_Angeles",
  ]) {
    process.env.TZ = each;
    await compareReadings(adapters, await expectedRows(driver, tables.user, columns), differencesMet);
  }
});

test("values read as in the reference under the database's own settings", async (t) => {
  const chosen = available.entries.filter(({ values }) => values.length > 0);
  const columns = chosen.map((entry) => valueColumn(entry, entry.type));
  const rows = [0, 1, 2, 3].map((position) => {
    return {
      id: `row ${position}`,
      cells: Object.fromEntries(
        chosen.map((entry) => [entry.type, expression(entry, entry.values[position % entry.values.length])]),
      ),
    };
  });
  rows.push({ id: "old", cells: { timestamptz: "'1800-01-01 00:00:00+00'::timestamptz" } });
  const tables = await createAttributeTables(database.sql, "settings", columns, rows);
  const settings = {
    TimeZone: "'Africa/Monrovia'",
    IntervalStyle: "iso_8601",
    DateStyle: "'ISO, DMY'",
    quote_all_identifiers: "on",
    extra_float_digits: "3",
    standard_conforming_strings: "off",
  };
  await underSettings(settings, async () => {
    const reader = connect(database.url, { max: 1 });
    t.after(() => reader.end());
    await compareReadings(both(tables), await expectedRows(reader, tables.user, columns), differencesMet);
  });
});

test("dates, bytes and numbers keep their values under settings that the reference does not understand", async () => {
  const chosen = ["date", "timestamp", "timestamptz", "bytea", "float4", "float8"];
  const columns = chosen.flatMap((type) => [
    valueColumn(entryOf(type), type),
    listColumn(entryOf(type), `${type} list`),
  ]);
  const rows = [2, 3].map((position) => {
    const cells = chosen.map((type) => [type, expression(entryOf(type), entryOf(type).values[position])]);
    return {
      id: `row ${position}`,
      cells: Object.fromEntries([...cells, ...cells.map(([type, cell]) => [`${type} list`, `ARRAY[${cell}]`])]),
    };
  });
  const tables = await createAttributeTables(database.sql, "styles", columns, rows);
  const expected = await expectedRows(driver, tables.user, columns);
  for (const row of expected.values()) row.met.add("outputSettings");
  await underSettings({ DateStyle: "German", bytea_output: "escape", extra_float_digits: "-3" }, async () => {
    await compareReadings(both(tables), expected, differencesMet);
  });
});

test("active_expires and idle_expires are numbers whatever their type, and only in sessions", async () => {
  for (const [index, [type, ...values]] of [
    ["int8", "0", "1720000000000", "9007199254740993", "-9223372036854775808"],
    ["int4", "7"],
    ["int2", "7"],
    ["numeric", "1.50", "NaN"],
    ["float8", "1e300", "-0"],
    ["text", "12", "", " 7 ", "soon", "0x10"],
    ["timestamptz", "2024-01-01 00:00:00.5+00"],
    ["bool", "true"],
    ["jsonb", '"5"', "null", "{}"],
    ["int4[]", "{}", "{5}"],
    ["positive", "5"],
    ["bytea", "\\x3132"],
  ].entries()) {
    const [user, key, session] = ["users", "keys", "sessions"].map((table) => `${table} expiring ${index}`);
    await database.sql.unsafe(`
      CREATE TABLE "${user}" (id TEXT, active_expires ${type});
      CREATE TABLE "${key}" (id TEXT, user_id TEXT, idle_expires ${type});
      CREATE TABLE "${session}" (idle_expires ${type}, id TEXT, "Active_Expires" INT8, user_id TEXT,
        active_expires ${type}, other INT8)`);
    for (const [position, value] of [null, ...values].entries()) {
      const shown = value === null ? "NULL" : literal(value);
      await database.sql.unsafe(`
        INSERT INTO "${user}" VALUES ('${position}', ${shown});
        INSERT INTO "${key}" VALUES ('${position}', '${position}', ${shown});
        INSERT INTO "${session}" VALUES (${shown}, '${position}', 5, '${position}', ${shown}, 6)`);
    }
    const { reference, ours } = both({ user, key, session });
    for (let position = 0; position <= values.length; position++) {
      for (const [method, read] of Object.entries(readings)) {
        const expected = await read(reference, String(position));
        noComplaints([
          difference(await read(ours, String(position)), expected, `${type}: ${method} of ${values[position - 1]}`),
        ]);
      }
    }
  }
});

test("columns of any name are read, in the order in which the reference has them", async () => {
  const names = [
    "then", "constructor", "toString", "toJSON", "hasOwnProperty", "length", "10", "9", "-1", "1.5", "0", "select",
    "User", "user", "with space", "it's", "$1", "?", "a\\b", "tab\tline\n", "é", "日本語", "🙂", "x".repeat(63),
    "user.id", 'say "hi"', "id ", "ID", "session", "lastvalue", "row", "ordinality",
  ];
  const columns = names.map((name) => ({ name, type: "text", kind: "text", isArray: false }));
  const cells = Object.fromEntries(names.map((name) => [name, literal(`the ${name}`)]));
  const tables = await createAttributeTables(database.sql, "names", columns, [
    { id: "a", cells },
    { id: "b", cells: {} },
  ]);
  await compareReadings(both(tables), await expectedRows(driver, tables.user, columns), differencesMet);
});

test("columns named __proto__ and __session_id, which the reference loses, are read", async () => {
  const rows = [{ id: "a", cells: { __proto__x: "'p'", __session_id: "'s'" } }];
  const columns = ["__proto__x", "__session_id"].map((name) => ({ name, type: "text" }));
  const tables = await createAttributeTables(database.sql, "lost", columns, rows);
  for (const table of Object.values(tables)) {
    await database.sql.unsafe(`ALTER TABLE "${table}" RENAME "__proto__x" TO "__proto__"`);
  }
  const { reference, ours } = both(tables);
  const expected = JSON.parse('{"id":"a","__proto__":"p","__session_id":"s"}');
  noComplaints([
    difference(await ours.getUser("a"), expected),
    difference((await ours.getSessionAndUser("a"))[1], expected),
  ]);
  assert.equal(Object.hasOwn(await reference.getUser("a"), "__proto__"), false);
  assert.equal(Object.hasOwn((await reference.getSessionAndUser("a"))[1], "__session_id"), false);
  differencesMet.add("lostColumns");
});

test("values of several megabytes and arrays of many elements read as in the reference", async () => {
  const columns = [
    { name: "text", type: "text", kind: "text", isArray: false },
    { name: "bytes", type: "bytea", kind: "bytea", isArray: false },
    { name: "document", type: "jsonb", kind: "jsonb", isArray: false },
    { name: "interval", type: "interval[]", kind: "interval", isArray: true },
    { name: "list", type: "float8[]", kind: "float8", isArray: true },
  ];
  const cells = {
    text: "repeat('é🙂x', 500000)",
    bytes: "decode(repeat('00ff27', 1000000), 'hex')",
    document:
      "(SELECT jsonb_agg(jsonb_build_object('n', n, 'text', repeat('y', 50))) FROM generate_series(1, 5000) AS n)",
    interval: "(SELECT array_agg(n * interval '1 hour') FROM generate_series(1, 5000) AS n)",
    list: "(SELECT array_agg(sqrt(n)) FROM generate_series(1, 5000) AS n)",
  };
  const tables = await createAttributeTables(database.sql, "large", columns, [{ id: "a", cells }]);
  await compareReadings(both(tables), await expectedRows(driver, tables.user, columns), differencesMet);
});

test("ids of any type are found, and refused, as in the reference", async () => {
  for (const [index, [type, stored, ...asked]] of [
    [
      "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
      "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "no uuid", "",
    ],
    ["int8", "9007199254740993", " 9007199254740993 ", "+9007199254740993", "1e3", "99999999999999999999"],
    ["numeric", "1.50", "1.5", "15e-1", "NaN"],
    ["char(5)", "ab", "ab   ", "ab ", "abc"],
    ["varchar(3)", "abc", "abcd", "ABC"],
    ["citext", "MiXed", "mixed", "MIXED", "other"],
    ["inet", "10.0.0.1", "10.0.0.1/32", "10.0.0.1/8", "nowhere"],
    ["mood", "ok", "OK", "sad"],
  ].entries()) {
    if (available.missing.has(type)) continue;
    const [user, key, session] = ["users", "keys", "sessions"].map((table) => `${table} by id ${index}`);
    await database.sql.unsafe(`
      CREATE TABLE "${user}" (id ${type} PRIMARY KEY);
      CREATE TABLE "${key}" (id ${type} PRIMARY KEY, user_id ${type} REFERENCES "${user}");
      CREATE TABLE "${session}" (id ${type} PRIMARY KEY, user_id ${type} REFERENCES "${user}",
        active_expires INT8, idle_expires INT8);
      INSERT INTO "${user}" VALUES (${literal(stored)});
      INSERT INTO "${key}" VALUES (${literal(stored)}, ${literal(stored)});
      INSERT INTO "${session}" VALUES (${literal(stored)}, ${literal(stored)}, 1, 2)`);
    const { reference, ours } = both({ user, key, session });
    // All at once, so that lookups which share a statement settle each for itself.
    const complaints = [stored, ...asked, stored, ...asked].flatMap((id) =>
      Object.entries(readings).map(async ([method, read]) => {
        const [theirs, mine] = await Promise.all([settled(read(reference, id)), settled(read(ours, id))]);
        const seen = ({ value, error }) => (error ? { code: error.code ?? error.constructor.name } : { value });
        return difference(seen(mine), seen(theirs), `${type}: ${method}(${JSON.stringify(id)})`);
      }),
    );
    noComplaints(await Promise.all(complaints));
  }
});

test("every listed difference of reading was met, and the reference did differ", () => {
  const listed = Object.keys(differences).filter((name) => differences[name].of === "reading");
  assert.deepEqual(
    listed.filter((name) => !differencesMet.has(name)),
    [],
  );
});
