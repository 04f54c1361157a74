// Writing: every kind of JavaScript value into columns of every type, by the reference and by this package; then the
// stored text, or the refusal, must be the same.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createTypes } from "./support/available.mjs";
import { freshDatabase } from "./support/database.mjs";
import { createAttributeTables } from "./support/reading.mjs";
import { openBoth, settled } from "./support/reference.mjs";
import { differences, types } from "./support/types.mjs";
import { compareWritings, writings } from "./support/writing.mjs";
import { arraysThatMatter, javascriptValues, typesThatMatter } from "./support/written.mjs";

// Where local time is not UTC, a value that is written in the wrong zone shows.
process.env.TZ = "America/New_York";

let database;
let available;
let tables;
let both;
let context;
const differencesMet = new Set();

before(async () => {
  database = await freshDatabase();
  available = await createTypes(database.sql);
  const columns = available.entries.flatMap(({ type, hasArrays }) => [
    { name: columnOf(type), type },
    ...(hasArrays ? [{ name: listColumnOf(type), type: `${type}[]` }] : []),
  ]);
  tables = await createAttributeTables(database.sql, "written", columns, []);
  both = openBoth(database.url, tables);
  context = { sql: database.sql, tables, both, careful: openBoth(database.url, tables, { max: 1 }) };
});

after(async () => {
  await both?.end();
  await context?.careful.end();
  await database?.drop();
});

// The reference cannot write columns whose names have dots or quotes.
const columnOf = (type) => type.replaceAll(/[".]/g, "");
const listColumnOf = (type) => `${columnOf(type)} list`;

const columnsOfEveryMethod = [
  "text", "int4", "bool", "jsonb", "bytea", "timestamptz", "text list", "jsonb list", "timestamptz list",
];
const matters = (type) => typesThatMatter.includes(type);
const matterCases = (entries) =>
  entries.flatMap(({ type, hasArrays }) =>
    javascriptValues.flatMap((value) => [
      ...(matters(type) || value.everywhere ? [{ ...value, type, column: columnOf(type) }] : []),
      ...(hasArrays && arraysThatMatter.includes(type) ? [{ ...value, type, column: listColumnOf(type) }] : []),
    ]),
  );

test("the table of values names only types that are in the table of types", () => {
  const known = types.map(({ type }) => type);
  assert.deepEqual(
    [...typesThatMatter, ...arraysThatMatter].filter((type) => !known.includes(type)),
    [],
  );
});

test("every JavaScript value is stored, or refused, in a column of every type as by the reference", async () => {
  await compareWritings(context, "setUser", matterCases(available.entries), differencesMet);
});

for (const method of Object.keys(writings).filter((name) => name !== "setUser")) {
  test(`${method} stores and refuses values as the reference does`, async () => {
    // The serialisers are the same in every method: a few columns see every value, the others those that matter most.
    const cases = matterCases(available.entries).filter(({ column, everywhere, type }) => {
      return columnsOfEveryMethod.includes(column) || (everywhere && matters(type));
    });
    await compareWritings(context, method, cases, differencesMet);
  });
}

for (const method of Object.keys(writings)) {
  test(`${method} stores the text of every value of every type, and arrays of them, as the reference does`, async () => {
    const cases = available.entries.flatMap(({ type, values, hasArrays }) => {
      const texts = values.filter((value) => typeof value === "string");
      if (texts.length === 0) return [];
      const lists = [
        { label: "a list of all", make: () => [...texts, null] },
        {
          label: "a matrix",
          make: () => [
            [texts[0], null],
            [texts.at(-1), texts[0]],
          ],
        },
        { label: "an empty literal", make: () => "{}" },
        { label: "a literal of NULLs", make: () => "[3:4]={NULL,NULL}" },
      ];
      return [
        ...texts.map((text) => ({
          column: columnOf(type),
          label: JSON.stringify(text.slice(0, 60)),
          make: () => text,
        })),
        ...(hasArrays ? lists.map((each) => ({ column: listColumnOf(type), ...each })) : []),
      ];
    });
    await compareWritings(context, method, cases, differencesMet);
  });
}

test("one call writes attributes of every type at once", async () => {
  await database.sql.unsafe(`TRUNCATE "${tables.user}", "${tables.key}", "${tables.session}"`);
  const attributes = Object.fromEntries(
    available.entries.flatMap(({ type, values, hasArrays }) => {
      if (typeof values[0] !== "string") return [];
      return [[columnOf(type), values[0]], ...(hasArrays ? [[listColumnOf(type), [values[0], null]]] : [])];
    }),
  );
  for (const [name, { stored, exists, write }] of Object.entries(writings)) {
    const ids = ["reference", "ours"].map((side) => `${side} ${name}`);
    if (exists) await database.sql.unsafe(`INSERT INTO "${tables[stored]}" (id) SELECT unnest($1::text[])`, [ids]);
    await write(both.reference, ids[0], () => attributes);
    await write(both.ours, ids[1], () => attributes);
    const [theirs, mine] = await database.sql.unsafe(
      `SELECT (to_jsonb(written) - 'id' - 'user_id')::text AS text FROM "${tables[stored]}" AS written
        WHERE id = ANY ($1) ORDER BY id DESC`,
      [ids],
    );
    assert.equal(mine.text, theirs.text, name);
  }
});

test("values of several megabytes are written", async () => {
  const attributes = () => ({
    text: "é🙂x".repeat(500_000),
    bytea: Buffer.alloc(3_000_000, 171),
    jsonb: Array.from({ length: 20_000 }, (_, n) => ({ n, text: "y".repeat(50) })),
    "float8 list": Array.from({ length: 50_000 }, (_, n) => Math.sqrt(n)),
  });
  for (const [side, adapter] of [
    ["reference", both.reference],
    ["ours", both.ours],
  ]) {
    await adapter.setUser({ id: `large ${side}`, ...attributes() }, null);
  }
  const [theirs, mine] = await database.sql
    .unsafe(`SELECT md5(text) AS text, md5(bytea) AS bytea, md5(jsonb::text) AS jsonb,
    md5("float8 list"::text) AS list FROM "${tables.user}" WHERE id LIKE 'large %' ORDER BY id DESC`);
  assert.deepEqual({ ...mine }, { ...theirs });
});

test("attributes are the object's own enumerable string keys, getters included", async () => {
  class Attributes {
    #text = "from a getter";
    text = "of a class";
    get varchar() {
      return this.#text;
    }
  }
  const objects = {
    "of a class": () => new Attributes(),
    "a getter": () => ({
      get text() {
        return "got";
      },
    }),
    "a symbol": () => ({ text: "a", [Symbol("varchar")]: "b" }),
    inherited: () => Object.assign(Object.create({ varchar: "inherited" }), { text: "own" }),
    "not enumerable": () => Object.defineProperty({ text: "a" }, "varchar", { value: "hidden", enumerable: false }),
    "a proxy": () =>
      new Proxy({ text: "a" }, { get: (target, key) => (key === "id" ? target.id : `${key} of ${target.text}`) }),
    "no prototype": () => Object.assign(Object.create(null), { text: "a" }),
    "in any order": () => ({ varchar: "1", text: "2", int4: 3 }),
  };
  const { sql } = database;
  for (const [name, make] of Object.entries(objects)) {
    for (const [side, adapter] of [
      ["reference", both.reference],
      ["ours", both.ours],
    ]) {
      const id = { value: `${side} ${name}`, enumerable: true, configurable: true, writable: true };
      const user = Object.defineProperty(make(), "id", id);
      await adapter.setUser(user, null);
    }
    const rows = await sql.unsafe(`SELECT text, "varchar", int4 FROM "${tables.user}" WHERE id LIKE $1 ORDER BY id`, [
      `%${name}`,
    ]);
    assert.deepEqual({ ...rows[0] }, { ...rows[1] }, name);
  }
});

test("what a value throws while it is written reaches the caller as it was thrown", async () => {
  const thrown = [new SyntaxError("mine"), "a string", undefined, null, { code: "MINE" }];
  for (const [index, error] of thrown.entries()) {
    const fail = () => {
      throw error;
    };
    const values = {
      text: { toString: fail },
      jsonb: { toJSON: fail },
      json: {
        get a() {
          return fail();
        },
      },
      "text list": ["a", { toString: fail }],
    };
    for (const [column, value] of Object.entries(values)) {
      const outcome = await settled(both.ours.setUser({ id: `thrown ${index}`, [column]: value }, null));
      assert.deepEqual(Object.keys(outcome), ["error"], column);
      assert.equal(outcome.error, error, column);
    }
    const outcome = await settled(
      both.ours.setUser(Object.defineProperty({ id: "thrown" }, "text", { get: fail, enumerable: true }), null),
    );
    assert.deepEqual(outcome, { error });
  }
});

test("columns of any name are written", async () => {
  const names = [
    "then", "constructor", "toString", "__proto__", "10", "select", "User", "user", "with space", "it's", "$1", "?",
    "%s", "a\\b", "--", "/*", "tab\tline\n", "é", "日本語", "🙂", "x".repeat(63), "ID", "lastvalue", "new", "old",
    "excluded", "u", "value", "default",
  ];
  const made = await createAttributeTables(
    database.sql,
    "named",
    names.map((name) => ({ name, type: "text" })),
    [],
  );
  const named = openBoth(database.url, made, { max: 1 });
  for (const [method, { stored, exists, write }] of Object.entries(writings)) {
    const { sql } = database;
    await sql.unsafe(`TRUNCATE "${made.user}", "${made.key}", "${made.session}"`);
    if (exists) await sql.unsafe(`INSERT INTO "${made[stored]}" (id) VALUES ('reference'), ('ours')`);
    for (const side of ["reference", "ours"]) {
      const attributes = Object.fromEntries(names.map((name) => [name, `the ${name}`]));
      // A spread would lose no key; a literal's __proto__ would set the prototype.
      await write(named[side], side, () => attributes);
    }
    const rows = await sql.unsafe(
      `SELECT (to_jsonb(written) - 'id' - 'user_id')::text AS text FROM "${made[stored]}" AS written`,
    );
    assert.equal(rows.length, 2, method);
    assert.equal(rows[0].text, rows[1].text, method);
    assert.equal(
      Object.values(JSON.parse(rows[0].text)).filter((value) => value?.startsWith?.("the ")).length,
      names.length,
      method,
    );
  }
  await named.end();
});

test("every listed difference of writing was met", () => {
  const listed = Object.keys(differences).filter(
    (name) => differences[name].of === "writing" && !(differences[name].since > available.major),
  );
  const standIns = javascriptValues.flatMap(({ difference }) => difference ?? []);
  assert.deepEqual(
    listed.filter((name) => !differencesMet.has(name) && !standIns.includes(name)),
    [],
  );
});
