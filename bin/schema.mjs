// The SQL of Lucia's tables. `user_id` is not indexed by its foreign key: without an index of its own every lookup of a
// user's keys or sessions would read the whole table.
import { UsageError } from "./tables.mjs";

const taken = ["id", "user_id", "hashed_password", "active_expires", "idle_expires"];

function readColumn(sql) {
  const [, name] = sql.trim().match(/^("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)\s+\S/u) ?? [];
  if (!name) throw new UsageError(`a column is its name and its type, such as "username text", but was ${JSON.stringify(sql)}`);
  if (taken.includes(name.startsWith('"') ? name.slice(1, -1) : name.toLowerCase())) {
    throw new UsageError(`the column ${name} is Lucia's own`);
  }
  return sql.trim();
}

function createTable(name, columns) {
  return `CREATE TABLE ${name.sql} (\n${columns.map((column) => `  ${column}`).join(",\n")}\n);`;
}

/** @returns {string} the statements that create the tables, in the order in which they can run */
export function schema({ user, key, session }, { "user-column": userColumns, "session-column": sessionColumns }) {
  const id = "id text NOT NULL PRIMARY KEY";
  const userId = `user_id text NOT NULL REFERENCES ${user.sql} (id)`;
  const indexed = (name, columns) => `${createTable(name, columns)}\nCREATE INDEX ON ${name.sql} (user_id);`;
  const statements = [
    createTable(user, [id, ...userColumns.map(readColumn)]),
    indexed(key, [id, userId, "hashed_password text"]),
  ];
  if (session) {
    const expires = ["active_expires bigint NOT NULL", "idle_expires bigint NOT NULL"];
    statements.push(indexed(session, [id, userId, ...expires, ...sessionColumns.map(readColumn)]));
  } else if (sessionColumns.length > 0) throw new UsageError("--session-column needs a session table");
  return statements.join("\n\n");
}
