// The three tables Lucia needs, in a schema of their own, so that the example touches nothing else in the database.

/** What `postgres()` is told about a schema made by `createTables`. */
export function tableNames(schema) {
  return { user: `${schema}.auth_user`, key: `${schema}.user_key`, session: `${schema}.user_session` };
}

/**
 * Makes the schema and its tables where they are missing.
 *
 * @param {import("postgres").Sql} sql
 * @param {string} schema
 * @param {{ dropFirst?: boolean }} [options] `dropFirst` begins with empty tables
 */
export async function createTables(sql, schema, { dropFirst = false } = {}) {
  const { user, key, session } = tableNames(schema);
  if (dropFirst) await dropTables(sql, schema);
  await sql`CREATE SCHEMA IF NOT EXISTS ${sql(schema)}`;

  // A name is taken when its key is: the key's primary key sees to that, so `username` needs no constraint of its own.
  await sql`
    CREATE TABLE IF NOT EXISTS ${sql(user)} (
      id TEXT NOT NULL PRIMARY KEY,
      username TEXT NOT NULL,
      created_at TIMESTAMPTZ NOT NULL DEFAULT now()
    )`;
  await sql`
    CREATE TABLE IF NOT EXISTS ${sql(key)} (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES ${sql(user)}(id),
      hashed_password TEXT
    )`;
  await sql`
    CREATE TABLE IF NOT EXISTS ${sql(session)} (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES ${sql(user)}(id),
      active_expires BIGINT NOT NULL,
      idle_expires BIGINT NOT NULL,
      user_agent TEXT NOT NULL,
      created_at TIMESTAMPTZ NOT NULL DEFAULT now()
    )`;

  // PostgreSQL makes no index for a foreign key. Without these, listing or ending a user's sessions, and deleting a
  // user, read the whole table.
  await sql`CREATE INDEX IF NOT EXISTS user_key_user_id ON ${sql(key)} (user_id)`;
  await sql`CREATE INDEX IF NOT EXISTS user_session_user_id ON ${sql(session)} (user_id)`;
}

export async function dropTables(sql, schema) {
  await sql`DROP SCHEMA IF EXISTS ${sql(schema)} CASCADE`;
}
