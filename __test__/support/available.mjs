// Which of the types the server at hand has, and a database that has them all.
import { createTables } from "./database.mjs";
import { ownTypes, types } from "./types.mjs";

/** The base type that a column of this type is read as. */
export const kindOf = ({ type, reads }) => (reads ?? type).replace(/\(\d.*\)$/, "");

/** The base type that the elements of an array of this type are read as. */
export const elementKindOf = (entry) => entry.elements ?? kindOf(entry);

export const literal = (text) => `'${text.replaceAll("'", "''")}'`;

/** A value of the table as an SQL expression. */
export function expression({ type }, value) {
  return `(${typeof value === "string" ? literal(value) : value.sql})::${type}`;
}

/**
 * Creates the documentation's tables, the extensions and the types.
 *
 * @returns {Promise<{ major: number, entries: (typeof types[number] & { hasArrays: boolean })[], missing: Map<string, string> }>}
 *   `entries`: the types of the table that this server has, with the values that it knows; `missing`: the others, and
 *   why
 */
export async function createTypes(sql) {
  await createTables(sql);
  const [{ major }] = await sql.unsafe("SELECT current_setting('server_version_num')::int / 10000 AS major");
  const offered = await sql.unsafe("SELECT name FROM pg_available_extensions");
  const extensions = new Set(offered.map(({ name }) => name));
  const wanted = new Set(
    types.flatMap(({ extension }) => (extension && extensions.has(extension) ? [extension] : [])),
  );
  await sql.unsafe([...wanted].map((name) => `CREATE EXTENSION ${name};`).join("\n"));
  await sql.unsafe(ownTypes);

  const missing = new Map();
  const entries = [];
  for (const entry of types) {
    if (entry.since > major) missing.set(entry.type, `PostgreSQL ${major} has no ${entry.type}`);
    else if (entry.extension && !wanted.has(entry.extension)) {
      missing.set(entry.type, `this server has no extension ${entry.extension}`);
    } else if (entry.needs && !(await works(sql, entry.needs))) {
      missing.set(entry.type, `this server was built without ${entry.type}`);
    } else {
      const [{ typarray }] = await sql.unsafe(
        `SELECT typarray FROM pg_type WHERE oid = ${literal(entry.type)}::regtype`,
      );
      const known = entry.values.filter((value) => !(value.since > major));
      entries.push({ ...entry, values: known.map((value) => value.literal ?? value), hasArrays: typarray !== 0 });
    }
  }
  return { major, entries, missing };
}

async function works(sql, statement) {
  try {
    await sql.unsafe(statement);
    return true;
  } catch (error) {
    if (error.code === "0A000") return false;
    throw error;
  }
}
