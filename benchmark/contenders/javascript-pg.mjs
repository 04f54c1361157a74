import { Pool } from "pg";

import { session, sessionAndUser } from "./written-by-hand.mjs";

/** `pg` prepares a statement, once per connection, when it has a name. */
const statements = {
  getSessionAndUser: `
    SELECT s.id, s.user_id, s.active_expires, s.idle_expires, s.country, u.username
    FROM user_session s JOIN auth_user u ON u.id = s.user_id WHERE s.id = $1`,
  setUser: `
    WITH u AS (INSERT INTO auth_user (id, username) VALUES ($1, $2) RETURNING id)
    INSERT INTO user_key (id, user_id, hashed_password) SELECT $3, id, $4 FROM u`,
  getKey: "SELECT id, user_id, hashed_password FROM user_key WHERE id = $1",
  setSession: `
    INSERT INTO user_session (id, user_id, active_expires, idle_expires, country) VALUES ($1, $2, $3, $4, $5)`,
  getSessionsByUserId: `
    SELECT id, user_id, active_expires, idle_expires, country FROM user_session WHERE user_id = $1`,
  deleteSessionsByUserId: "DELETE FROM user_session WHERE user_id = $1",
};

export function open(url) {
  const pool = new Pool({ connectionString: url });
  const query = async (name, ...values) => {
    const { rows } = await pool.query({ name, text: statements[name], values });
    return rows;
  };
  const adapter = {
    async getSessionAndUser(sessionId) {
      const [row] = await query("getSessionAndUser", sessionId);
      return sessionAndUser(row);
    },
    async setUser(user, key) {
      await query("setUser", user.id, user.username, key.id, key.hashed_password);
    },
    async getKey(keyId) {
      const [key] = await query("getKey", keyId);
      return key ?? null;
    },
    async setSession({ id, user_id, active_expires, idle_expires, country }) {
      await query("setSession", id, user_id, active_expires, idle_expires, country);
    },
    async getSessionsByUserId(userId) {
      const rows = await query("getSessionsByUserId", userId);
      return rows.map(session);
    },
    async deleteSessionsByUserId(userId) {
      await query("deleteSessionsByUserId", userId);
    },
  };
  return { adapter, end: () => pool.end() };
}
