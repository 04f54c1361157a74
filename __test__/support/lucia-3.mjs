// Lucia 3's tables, and its official adapter on the `postgres` driver beside this package's.
import { PostgresJsAdapter } from "lucia-3";
import connect from "postgres";

import { PostgresAdapter } from "../../lib/v3.js";

export const tableNames = { user: "auth_user", session: "user_session" };

/** The tables of the documentation, with one attribute each. */
export async function createTables(sql) {
  await sql.unsafe(`
    CREATE TABLE auth_user (
      id TEXT NOT NULL PRIMARY KEY,
      username TEXT
    );
    CREATE TABLE user_session (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES auth_user(id),
      expires_at TIMESTAMPTZ NOT NULL,
      country TEXT
    );
    CREATE INDEX ON user_session (user_id);
    CREATE INDEX ON user_session (expires_at);
  `);
}

/** Columns of a session that are Lucia 3's own. */
export const expiresAt = new Date("2030-01-02T03:04:05.678Z");
export const expiry = { columns: "expires_at TIMESTAMPTZ", values: `'${expiresAt.toISOString()}'` };

/** Every method that returns rows, for a user and a session of the same id. */
const readings = {
  getUserSessions: (adapter, id) => adapter.getUserSessions(id),
  getSessionAndUser: (adapter, id) => adapter.getSessionAndUser(id),
};

function rowsWith(id, attributes) {
  const session = { userId: id, id, expiresAt, attributes };
  return { getUserSessions: [session], getSessionAndUser: [session, { id, attributes }] };
}

/**
 * Open it when the database's types exist: the reference learns the array types once, when it connects.
 *
 * @param {{ user: string, session: string }} [tables]
 */
export function openBoth(url, tables = tableNames, options = {}) {
  const sql = connect(url, { onnotice: () => {}, ...options });
  const official = new PostgresJsAdapter(sql, tables);
  // It gives the driver's list, which is an array with more properties.
  const reference = Object.create(official, {
    getUserSessions: { value: async (userId) => [...await official.getUserSessions(userId)] },
  });
  const ours = new PostgresAdapter(url, tables, options);
  return {
    reference,
    ours,
    readings,
    rowsWith,
    async end() {
      await Promise.all([sql.end({ timeout: 5 }), ours.end({ timeout: 5 })]);
    },
  };
}
