// Generated rows, columns and values, read and written by the reference and by this package. LUCIA_CASES: the number of
// values, in all; LUCIA_SEED: the seed that a failure names, to see it again.
import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { arrayExpression } from "./support/arrays.mjs";
import { elementKindOf, expression, kindOf } from "./support/available.mjs";
import { difference, noComplaints } from "./support/compare.mjs";
import { expectedRows } from "./support/expected.mjs";
import { arrayOf, columnName, javascriptValueFor, literalOf } from "./support/generated.mjs";
import { compareReadings, createAttributeTables } from "./support/reading.mjs";
import { inFlight, openBoth } from "./support/reference.mjs";
import { databaseOfTypes } from "./support/typed.mjs";
import { compareWritings, writings } from "./support/writing.mjs";

const wanted = Number(process.env.LUCIA_CASES ?? 10_000);
const seed = Number(process.env.LUCIA_SEED ?? Math.floor(Math.random() * 2 ** 31));
const rowsOfTable = 8;

const { database, available: { entries }, driver } = await databaseOfTypes(openBoth);

/** Columns of any name and type, each with `rowsOfTable` cells. */
const table = (cell) => {
  const column = fc.nat(1_000_000).chain((number) => {
    const entry = entries[number % entries.length];
    const isArray = entry.hasArrays && number % 3 === 0;
    const type = isArray ? `${entry.type}[]` : entry.type;
    const kind = isArray ? elementKindOf(entry) : kindOf(entry);
    return fc.record({
      name: columnName,
      type: fc.constant(type),
      kind: fc.constant(kind),
      isArray: fc.constant(isArray),
      cells: fc.array(cell(entry, isArray), { minLength: rowsOfTable, maxLength: rowsOfTable }),
    });
  });
  return fc.uniqueArray(column, { selector: ({ name }) => name, minLength: 1, maxLength: 30, size: "max" });
};

/** Checks generated tables until their cells are as many as wanted; a failure names the seed. */
async function checkTables(t, cell, check) {
  const goal = Math.ceil(wanted / 2);
  let cases = 0;
  for (let round = 0; cases < goal; round++) {
    const property = fc.asyncProperty(table(cell), async (columns) => {
      const tables = { user: "user random", key: "key random", session: "session random" };
      try {
        await check(columns, tables);
      } finally {
        await database.sql.unsafe(
          Object.values(tables)
            .map((name) => `DROP TABLE IF EXISTS "${name}"`)
            .join(";"),
        );
      }
      cases += columns.length * rowsOfTable;
    });
    // The complaint names the column and the value; a smaller table would not say more.
    const outcome = await fc.check(property, { numRuns: 1, endOnFailure: true, seed: seed + round });
    if (outcome.failed) {
      throw new Error(
        `LUCIA_SEED=${seed}, table ${round}: ${outcome.errorInstance?.message ?? outcome.errorInstance}`,
      );
    }
  }
  t.diagnostic(`${cases} values, LUCIA_SEED=${seed}`);
}

test("generated rows read as in the reference", async (t) => {
  const cell = (entry, isArray) => {
    if (entry.values.length === 0) return fc.constant("NULL");
    const value = isArray
      ? arrayOf(entry).map(({ shape, values }) => arrayExpression({ type: entry.type, values }, { shape }))
      : literalOf(entry).map((each) => expression(entry, each));
    return fc.oneof({ weight: 1, arbitrary: fc.constant("NULL") }, { weight: 9, arbitrary: value });
  };
  await checkTables(t, cell, async (columns) => {
    const rows = Array.from({ length: rowsOfTable }, (_, index) => {
      return {
        id: `row ${index}`,
        cells: Object.fromEntries(columns.map(({ name, cells }) => [name, cells[index]])),
      };
    });
    const tables = await createAttributeTables(database.sql, "random", columns, rows);
    const both = openBoth(database.url, tables, { max: 2 });
    try {
      await compareReadings(both, await expectedRows(driver, tables.user, columns), new Set());
    } finally {
      await both.end();
    }
  });
});

test("generated values are stored or refused, and read back, as by the reference", async (t) => {
  const cell = (entry, isArray) =>
    fc.record({
      value: javascriptValueFor(entry, isArray),
      method: fc.constantFrom(...Object.keys(writings)),
    });
  await checkTables(t, cell, async (columns) => {
    const tables = await createAttributeTables(database.sql, "random", columns, []);
    const both = openBoth(database.url, tables, { max: 4 });
    const context = { sql: database.sql, tables, both, careful: both };
    try {
      for (const method of Object.keys(writings)) {
        const cases = columns.flatMap(({ name, type, cells }) =>
          cells
            .filter((each) => each.method === method)
            .map(({ value }) => ({ column: name, label: `${fc.stringify(value)} as ${type}`, make: () => value })),
        );
        if (cases.length === 0) continue;
        await compareWritings(context, method, cases, new Set());
        const { stored } = writings[method];
        await compareStored(both.ours, stored, await expectedRows(driver, tables[stored], columns));
      }
    } finally {
      await both.end();
    }
  });
});

/** Whatever either of them stored, this package reads it as expected. */
async function compareStored(adapter, stored, rows) {
  const read = { user: adapter.getUser, key: adapter.getKey, session: adapter.getSession }[stored];
  noComplaints(
    await inFlight([...rows], 16, async ([id, { attributes }]) => {
      const row = await read(id);
      return difference(
        Object.fromEntries(Object.keys(attributes).map((name) => [name, row[name]])),
        attributes,
        `${stored} ${id}`,
      );
    }),
  );
}

test("the number of cases is a number", () => {
  assert.ok(Number.isSafeInteger(wanted) && wanted > 0 && Number.isSafeInteger(seed));
});
