// A database of its own for every test file, on the server that DATABASE_URL names.
import { randomBytes } from "node:crypto";

import connect from "postgres";

/** @returns {Promise<{ url: string, sql: import("postgres").Sql, drop: () => Promise<void> }>} */
export async function freshDatabase(options = {}) {
  if (!process.env.DATABASE_URL) throw new Error("DATABASE_URL is not set: run the tests with `npm test`");
  const name = `lucia_${randomBytes(6).toString("hex")}`;
  const server = connect(process.env.DATABASE_URL, { max: 1, onnotice: () => {} });
  await server.unsafe(`CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(process.env.DATABASE_URL);
  url.pathname = `/${name}`;
  const sql = connect(url.href, { onnotice: () => {}, ...options });
  return {
    url: url.href,
    sql,
    async drop() {
      await sql.end({ timeout: 1 });
      await server.unsafe(`DROP DATABASE ${name} WITH (FORCE)`);
      await server.end();
    },
  };
}

/** The three tables of the documentation, with one attribute each for users and sessions. */
export async function createTables(sql) {
  await sql.unsafe(`
    CREATE TABLE auth_user (
      id TEXT NOT NULL PRIMARY KEY,
      username TEXT
    );
    CREATE TABLE user_key (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES auth_user(id),
      hashed_password TEXT
    );
    CREATE INDEX ON user_key (user_id);
    CREATE TABLE user_session (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES auth_user(id),
      active_expires BIGINT NOT NULL,
      idle_expires BIGINT NOT NULL,
      country TEXT
    );
    CREATE INDEX ON user_session (user_id);
  `);
}

export const tableNames = { user: "auth_user", key: "user_key", session: "user_session" };
