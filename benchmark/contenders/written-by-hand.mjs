// What a careful author writes for exactly these tables: one prepared statement and one round trip for every method.
// `postgres` and Bun's client understand the same template strings, and both prepare them; `javascript-pg.mjs` has the
// same statements with names.

export const session = (row) => ({
  id: row.id,
  user_id: row.user_id,
  active_expires: Number(row.active_expires),
  idle_expires: Number(row.idle_expires),
  country: row.country,
});

export const sessionAndUser = (row) =>
  row ? [session(row), { id: row.user_id, username: row.username }] : [null, null];

export const writtenByHand = (sql) => ({
  async getSessionAndUser(sessionId) {
    const [row] = await sql`
      SELECT s.id, s.user_id, s.active_expires, s.idle_expires, s.country, u.username
      FROM user_session s JOIN auth_user u ON u.id = s.user_id WHERE s.id = ${sessionId}`;
    return sessionAndUser(row);
  },

  async setUser(user, key) {
    await sql`
      WITH u AS (INSERT INTO auth_user (id, username) VALUES (${user.id}, ${user.username}) RETURNING id)
      INSERT INTO user_key (id, user_id, hashed_password) SELECT ${key.id}, id, ${key.hashed_password} FROM u`;
  },

  async getKey(keyId) {
    const [key] = await sql`SELECT id, user_id, hashed_password FROM user_key WHERE id = ${keyId}`;
    return key ?? null;
  },

  async setSession({ id, user_id, active_expires, idle_expires, country }) {
    await sql`
      INSERT INTO user_session (id, user_id, active_expires, idle_expires, country)
      VALUES (${id}, ${user_id}, ${active_expires}, ${idle_expires}, ${country})`;
  },

  async getSessionsByUserId(userId) {
    const rows = await sql`
      SELECT id, user_id, active_expires, idle_expires, country FROM user_session WHERE user_id = ${userId}`;
    return Array.from(rows, session);
  },

  async deleteSessionsByUserId(userId) {
    await sql`DELETE FROM user_session WHERE user_id = ${userId}`;
  },
});
