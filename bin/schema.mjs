// The SQL of Lucia's tables. `user_id` is not indexed by its foreign key: without an index of its own every lookup of a
// user's keys or sessions would read the whole table.
import { UsageError } from "./tables.mjs";

function readColumn(sql, needs) {
  const [, name] = sql.trim().match(/^("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)\s+\S/u) ?? [];
  if (!name) throw new UsageError(`a column is its name and its type, such as "username text", but was ${JSON.stringify(sql)}`);
  const taken = Object.values(needs).flatMap(({ columns }) => Object.keys(columns));
  if (taken.includes(name.startsWith('"') ? name.slice(1, -1) : name.toLowerCase())) {
    throw new UsageError(`the column ${name} is Lucia's own`);
  }
  return sql.trim();
}

function columnSql([name, type], user) {
  if (name === "id") return `id ${type} NOT NULL PRIMARY KEY`;
  if (name === "user_id") return `user_id ${type} NOT NULL REFERENCES ${user.sql} (id)`;
  return `${name} ${type}${name === "hashed_password" ? "" : " NOT NULL"}`;
}

/**
 * @param {Record<string, import("./tables.mjs").Table | null>} tables
 * @param {import("./versions.mjs").Version} version
 * @returns {string} the statements that create the tables, in the order in which they can run
 */
export function schema(tables, { needs }, own) {
  if (!tables.session && own["session-column"].length > 0) throw new UsageError("--session-column needs a session table");
  const statements = Object.entries(tables).filter(([, table]) => table !== null).map(([role, table]) => {
    const { columns, indexed } = needs[role];
    const lines = [
      ...Object.entries(columns).map((column) => columnSql(column, tables.user)),
      ...(own[`${role}-column`] ?? []).map((sql) => readColumn(sql, needs)),
    ];
    const indexes = indexed.map((column) => `\nCREATE INDEX ON ${table.sql} (${column});`);
    return `CREATE TABLE ${table.sql} (\n${lines.map((line) => `  ${line}`).join(",\n")}\n);${indexes.join("")}`;
  });
  return statements.join("\n\n");
}
