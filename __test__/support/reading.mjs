// Three tables with the same attributes, and the comparison of everything that is read from them.
import { arrayExpression, arrayShapes } from "./arrays.mjs";
import { elementKindOf, expression, kindOf, literal } from "./available.mjs";
import { difference, noComplaints } from "./compare.mjs";
import { inFlight, settled } from "./reference.mjs";

const quoted = (name) => `"${name.replaceAll('"', '""')}"`;

export const valueColumn = (entry, name = "value") => ({ name, type: entry.type, kind: kindOf(entry), isArray: false });
export const listColumn = (entry, name = "list") => ({
  name,
  type: `${entry.type}[]`,
  kind: elementKindOf(entry),
  isArray: true,
});

/** A column of the type and one of arrays of it, and rows with every value, NULL and every shape of array. */
export function everyValue(entry) {
  const columns = [valueColumn(entry)];
  const rows = [{ id: "NULL", cells: {} }];
  rows.push(
    ...entry.values.map((value) => {
      const shown = typeof value === "string" ? value.slice(0, 60) : value.sql;
      return { id: `value ${shown}`, cells: { value: expression(entry, value) } };
    }),
  );
  if (entry.hasArrays) {
    columns.push(listColumn(entry));
    rows.push(
      ...arrayShapes(entry.values.length).map(({ shape, bounds = "" }) => {
        return {
          id: `list ${bounds}${JSON.stringify(shape)}`,
          cells: { list: arrayExpression(entry, { shape, bounds }) },
        };
      }),
    );
  }
  return { columns, rows };
}

/** Columns of a session that Lucia 2 has of its own, and their values. */
const expiry = { columns: "active_expires BIGINT, idle_expires BIGINT", values: "1, 2" };

/**
 * Creates a user's, a key's and a session's table with these columns and fills all three with the same rows.
 *
 * @param {import("postgres").Sql} sql
 * @param {string} suffix of the tables' names
 * @param {{ name: string, type: string }[]} columns
 * @param {{ id: string, cells: Record<string, string> }[]} rows SQL expressions by column; NULL where there is none
 * @param {{ columns: string, values: string }} [own] columns of a session that are Lucia's own
 */
export async function createAttributeTables(sql, suffix, columns, rows, own = expiry) {
  const tables = { user: `user ${suffix}`, key: `key ${suffix}`, session: `session ${suffix}` };
  const declared = columns.map(({ name, type }) => `${quoted(name)} ${type}`).join(", ");
  const names = columns.map(({ name }) => quoted(name)).join(", ");
  const cell = (cells, name) => (Object.hasOwn(cells, name) ? cells[name] : "NULL");
  const values = ({ id, cells }) => [literal(id), ...columns.map(({ name }) => cell(cells, name))].join(", ");
  await sql.unsafe(`
    CREATE TABLE "${tables.user}" (id TEXT PRIMARY KEY, ${declared});
    CREATE TABLE "${tables.session}"
      (id TEXT PRIMARY KEY, user_id TEXT, ${own.columns}, ${declared});
    CREATE TABLE "${tables.key}" (id TEXT PRIMARY KEY, user_id TEXT, hashed_password TEXT, ${declared});
    ${rows.map((row) => `INSERT INTO "${tables.user}" (id, ${names}) VALUES (${values(row)});`).join("\n")}
    INSERT INTO "${tables.session}" SELECT id, id, ${own.values}, ${names} FROM "${tables.user}";
    INSERT INTO "${tables.key}" SELECT id, id, NULL, ${names} FROM "${tables.user}";
  `);
  return tables;
}

/**
 * Reads every id by every method through both adapters. Ours must return what is expected; so must the reference, unless
 * a listed difference is in the row.
 *
 * @param {object} both of `openBoth`
 * @param {Map<string, { attributes: Record<string, unknown>, met: Set<string> }>} rows of `expectedRows`
 * @param {Set<string>} differencesMet gains the differences that the reference really showed
 */
export async function compareReadings({ reference, ours, readings, rowsWith }, rows, differencesMet) {
  const cases = [...rows].flatMap(([id, row]) => Object.keys(readings).map((name) => ({ id, name, ...row })));
  const complaints = await inFlight(cases, 16, async ({ id, name, attributes, met }) => {
    const expected = rowsWith(id, attributes)[name];
    const [theirs, mine] = await Promise.all([
      settled(readings[name](reference, id)),
      settled(readings[name](ours, id)),
    ]);
    const call = `${name}(${JSON.stringify(id)})`;
    const theirDifference = difference(theirs.value, expected, `the reference's ${call}`);
    if (theirDifference) met.forEach((each) => differencesMet.add(each));
    const problem = mine.error
      ? `${call} rejects: ${mine.error.code ?? ""} ${mine.error.message}`
      : difference(mine.value, expected, call);
    return { id, problem, theirProblem: met.size === 0 ? theirDifference : undefined };
  });
  // One line for a row, whatever the number of methods.
  const first = (which) =>
    [...rows.keys()].map((id) => {
      const found = complaints.filter((complaint) => complaint.id === id && complaint[which] !== undefined);
      return found.length > 1 ? `${found[0][which]} (and ${found.length - 1} other methods)` : found[0]?.[which];
    });
  noComplaints([...first("problem"), ...first("theirProblem")]);
}
