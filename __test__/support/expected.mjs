// What this package must return for the rows of a table: what the reference's driver returns, where that is sound, and
// otherwise the value that the table of differences gives. Arrays are put together from their elements, one at a time.
import { differenceOf, differences } from "./types.mjs";

const quoted = (name) => `"${name.replaceAll('"', '""')}"`;

/** `[0:1][5:7]` -> [2, 3]; no dimensions -> [0] */
function lengths(dimensions) {
  if (dimensions === null) return [0];
  return [...dimensions.matchAll(/\[(-?\d+):(-?\d+)\]/g)].map(([, first, last]) => last - first + 1);
}

function shaped(elements, [length, ...inner]) {
  if (inner.length === 0) return elements;
  const size = elements.length / length;
  return Array.from({ length }, (_, index) => shaped(elements.slice(index * size, (index + 1) * size), inner));
}

function ourValue(text, kind, value, met) {
  const name = text === null ? undefined : differenceOf(text, kind);
  if (name === undefined) return value;
  met.add(name);
  return differences[name].ours(text, kind);
}

/**
 * @param {import("postgres").Sql} sql of the reference, connected when the database's types existed
 * @param {string} table with a column `id`
 * @param {{ name: string, kind: string, isArray: boolean }[]} columns `kind`: the base type that its values, or its
 *   elements, are read as
 * @returns {Promise<Map<string, { attributes: Record<string, unknown>, met: Set<string> }>>} by id; `met`: the
 *   differences in the row
 */
export async function expectedRows(sql, table, columns) {
  const rows = new Map();
  for (const { id } of await sql.unsafe(`SELECT id FROM ${quoted(table)} ORDER BY id`)) {
    rows.set(id, { attributes: {}, met: new Set() });
  }
  for (const { name, kind, isArray } of columns) {
    const column = quoted(name);
    // Only the text of dates is looked at.
    const text = (of) => (["date", "timestamp", "timestamptz"].includes(kind) ? `${of}::text` : "NULL");
    if (!isArray) {
      const found = await sql.unsafe(`SELECT id, ${column} AS value, ${text(column)} AS text FROM ${quoted(table)}`);
      for (const { id, value, text: shown } of found) {
        const row = rows.get(id);
        row.attributes[name] = ourValue(shown, kind, value, row.met);
      }
      continue;
    }

    const elements = new Map();
    const found = await sql.unsafe(`
      SELECT id, num_nulls(element) = 1 AS missing, CASE WHEN num_nulls(element) = 0 THEN ARRAY[element] END AS value,
        ${text("element")} AS text
      FROM (SELECT id, unnest(${column}) AS element FROM ${quoted(table)}) AS elements`);
    for (const { id, missing, value, text: shown } of found) {
      const row = rows.get(id);
      if (!elements.has(id)) elements.set(id, []);
      if (missing) row.met.add("nullElement");
      elements.get(id).push(missing ? null : ourValue(shown, kind, value[0], row.met));
    }
    const dimensions = await sql.unsafe(`
      SELECT id, num_nulls(${column}) = 1 AS missing, array_dims(${column}) AS dimensions FROM ${quoted(table)}`);
    for (const { id, missing, dimensions: shown } of dimensions) {
      const row = rows.get(id);
      if (/\[(?!1:)/.test(shown ?? "")) row.met.add("lowerBounds");
      row.attributes[name] = missing ? null : shaped(elements.get(id) ?? [], lengths(shown));
    }
  }
  return rows;
}
