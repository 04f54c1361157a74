// Reading and writing with Lucia 3: every type of the table of types, and every JavaScript value, against its official adapter on
// the `postgres` driver.
import assert from "node:assert/strict";
import { test } from "node:test";

import { difference, noComplaints } from "./support/compare.mjs";
import { expectedRows } from "./support/expected.mjs";
import { expiresAt, expiry, openBoth } from "./support/lucia-3.mjs";
import { compareReadings, createAttributeTables, everyValue } from "./support/reading.mjs";
import { refusal, settled } from "./support/reference.mjs";
import { databaseOfTypes, zone } from "./support/typed.mjs";
import { differences, types } from "./support/types.mjs";
import { compareWritings } from "./support/writing.mjs";
import { arraysThatMatter, javascriptValues, typesThatMatter } from "./support/written.mjs";

const { database, available, driver, both } = await databaseOfTypes(openBoth);
const differencesMet = new Set();

for (const [index, { type }] of types.entries()) {
  test(`${type}: every value, NULL and every shape of array reads as with the official adapter of Lucia 3`, async (t) => {
    if (available.missing.has(type)) return t.skip(available.missing.get(type));
    const { columns, rows } = everyValue(available.entries.find((entry) => entry.type === type));
    const tables = await createAttributeTables(database.sql, index, columns, rows, expiry);
    await compareReadings(both(tables), await expectedRows(driver, tables.user, columns), differencesMet);
  });
}

// The reference cannot write columns whose names have dots or quotes.
const columnOf = (type) => type.replaceAll(/[".]/g, "");
const listColumnOf = (type) => `${columnOf(type)} list`;

/** A table with a column of every type. */
const writable = async (suffix) => {
  const columns = available.entries.flatMap(({ type, hasArrays }) => [
    { name: columnOf(type), type },
    ...(hasArrays ? [{ name: listColumnOf(type), type: `${type}[]` }] : []),
  ]);
  return createAttributeTables(database.sql, suffix, columns, [], expiry);
};

const setSession = {
  setSession: {
    stored: "session",
    write: (adapter, id, attributes) => adapter.setSession({ id, userId: "u", expiresAt, attributes: attributes() }),
  },
};

test("setSession of Lucia 3 stores and refuses every JavaScript value as the official adapter does", async () => {
  const tables = await writable("written");
  const cases = available.entries.flatMap(({ type, hasArrays }) => javascriptValues.flatMap((value) => [
    ...(typesThatMatter.includes(type) || value.everywhere ? [{ ...value, alone: false, type, column: columnOf(type) }] : []),
    ...(hasArrays && arraysThatMatter.includes(type) ? [{ ...value, alone: false, type, column: listColumnOf(type) }] : []),
  ]));
  const context = { sql: database.sql, tables, both: both(tables, { max: 4 }) };
  await compareWritings(context, "setSession", cases, differencesMet, setSession);
});

test("setSession of Lucia 3 stores attributes in place of its own columns, and of any name, as the official adapter does", async () => {
  const { sql } = database;
  await sql`CREATE TABLE own_user (id TEXT PRIMARY KEY)`;
  await sql`CREATE TABLE own_session (id TEXT PRIMARY KEY, user_id TEXT, expires_at TIMESTAMPTZ, "userId" TEXT, "10" TEXT, "a b" TEXT)`;
  const { reference, ours } = both({ user: "own_user", session: "own_session" });
  for (const [index, attributes] of [
    { user_id: "other" }, { expires_at: new Date(0) }, { id: "own" }, { userId: "attribute", 10: "ten", "a b": "c" }, { user_id: undefined },
    { id: null }, null, undefined, [], "ab", 5, Object.create({ "a b": "inherited" }),
    Object.defineProperty({}, "a b", { enumerable: true, get: () => "from a getter" }),
  ].entries()) {
    const rows = [];
    for (const adapter of [reference, ours]) {
      const { error } = await settled(adapter.setSession({ id: `id ${index}`, userId: "u", expiresAt, attributes }));
      rows.push([error && refusal(error), ...await sql`DELETE FROM own_session RETURNING to_jsonb(own_session)::text AS text`]);
    }
    assert.deepEqual(rows[1], rows[0], `attributes ${index}`);
  }
});

const said = ({ error }) => error && refusal(error);

for (const type of ["timestamptz", "timestamptz(3)", "timestamp", "timestamp(0)", "date", "instant", "text", "int8"]) {
  test(`expires_at of type ${type} is written, read, compared and refused as by the official adapter, in every time zone`, async () => {
    const { sql } = database;
    const name = type.replace(/\W/g, "_");
    await sql.unsafe(`CREATE TABLE "users ${name}" (id TEXT PRIMARY KEY); INSERT INTO "users ${name}" VALUES ('u');
      CREATE TABLE "sessions ${name}" (id TEXT PRIMARY KEY, user_id TEXT, expires_at ${type})`);
    const tables = { user: `users ${name}`, session: `sessions ${name}` };
    for (const [server, process_] of [["UTC", "UTC"], ["UTC", "Asia/Kolkata"], ["America/St_Johns", "America/St_Johns"], ["Asia/Tokyo", zone]]) {
      process.env.TZ = process_;
      const { reference, ours } = both(tables, { connection: { TimeZone: server } });
      const minutes = (count) => new Date(Date.now() + count * 60_000);
      const moments = [
        new Date(0), expiresAt, new Date("2024-03-31T01:30:00Z"), new Date("2024-02-29T23:59:59.999Z"), new Date(NaN), new Date(253370764800000),
        minutes(-2000), minutes(-1), minutes(1), minutes(200), minutes(2000),
      ];
      const seen = [];
      for (const adapter of [reference, ours]) {
        const steps = [];
        for (const [index, moment] of moments.entries()) {
          steps.push(said(await settled(adapter.setSession({ id: `s${index}`, userId: "u", expiresAt: moment, attributes: {} }))));
          steps.push(said(await settled(adapter.updateSessionExpiration(`s${(index + 1) % moments.length}`, moment))));
          steps.push(await adapter.getSessionAndUser(`s${index}`));
        }
        const times = async () => (await adapter.getUserSessions("u")).sort((one, other) => (one.id < other.id ? -1 : 1));
        steps.push(await times());
        steps.push(said(await settled(adapter.deleteExpiredSessions())));
        steps.push((await times()).map(({ id }) => id));
        await adapter.deleteUserSessions("u");
        steps.push(await times());
        seen.push(steps);
      }
      noComplaints([difference(seen[1], seen[0], `${server}, ${process_}`)]);
    }
  });
}

test("a session without its user, and one of none, is given as by the official adapter", async () => {
  const { sql } = database;
  await sql`CREATE TABLE lone_user (id TEXT, name TEXT)`;
  await sql`CREATE TABLE lone_session (id TEXT, user_id TEXT, expires_at TIMESTAMPTZ)`;
  await sql`INSERT INTO lone_user VALUES ('u', NULL), (NULL, 'nobody')`;
  await sql`INSERT INTO lone_session VALUES ('of nobody', 'nobody', now()), ('of none', NULL, now()), ('of u', 'u', NULL)`;
  const { reference, ours } = both({ user: "lone_user", session: "lone_session" });
  for (const id of ["of nobody", "of none", "of u", "none"]) {
    noComplaints([difference(await ours.getSessionAndUser(id), await reference.getSessionAndUser(id), id)]);
  }
  for (const id of ["nobody", "u", "none"]) {
    noComplaints([difference(await ours.getUserSessions(id), await reference.getUserSessions(id), id)]);
  }
});

test("every listed difference of reading but those of columns and settings was met with Lucia 3 too", () => {
  const elsewhere = ["lostColumns", "outputSettings", "secondsOfOffset"];
  const listed = Object.keys(differences).filter((name) => differences[name].of === "reading" && !elsewhere.includes(name));
  assert.deepEqual(listed.filter((name) => !differencesMet.has(name)), []);
});
