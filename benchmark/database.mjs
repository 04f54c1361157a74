// The tables that every contender works on, and what is in them: session i belongs to user i % users, two to a user.
// Every value follows from its number, so that an answer can be checked without asking anyone.
import { randomBytes } from "node:crypto";

import connect from "postgres";

export const tableNames = { user: "auth_user", key: "user_key", session: "user_session" };
export const sessionsOfAUser = 2;
export const hashedPassword = `s2:${"0123456789abcdef"}:${"0123456789abcdef".repeat(8)}`;

// Ids are as long as those that Lucia makes: 40 characters for a session, 15 for a user.
const firstNumber = 1_000_000;
const sessionTail = "abcdefghijklmnopqrstuvwxyz0123456";
const userTail = "abcdefgh";
const firstExpiry = 1_900_000_000_000;
const idleFor = 1_209_600_000;

export const sessionId = (i) => `${firstNumber + i}${sessionTail}`;
export const userId = (n) => `${firstNumber + n}${userTail}`;
export const username = (n) => `user${n}`;
export const keyId = (n) => `username:user${n}`;
export const idleExpiry = (i) => firstExpiry + idleFor + i;
export const ownerOf = (i, sessions) => i % (sessions / sessionsOfAUser);

/** Whether the row is that of session `i`, which was asked for by `id`. */
export function isSession(row, id, i, sessions) {
  return row.id === id && row.user_id === userId(ownerOf(i, sessions)) && row.active_expires === firstExpiry + i
    && row.idle_expires === idleExpiry(i) && row.country === "DE";
}

/** What the tables have for the session of this id, with as many sessions as there are cells for the web. */
export function sessionAndUserOf(id, sessions = 100_000) {
  const i = Number(id.slice(0, -sessionTail.length)) - firstNumber;
  const owner = ownerOf(i, sessions);
  const session = {
    id, user_id: userId(owner), active_expires: firstExpiry + i, idle_expires: firstExpiry + idleFor + i, country: "DE",
  };
  return [session, { id: session.user_id, username: username(owner) }];
}

/** SQL for the id of the session whose number, counted from 0, is in the parameter or column `number`. */
export const sessionIdFrom = (number) => `(${firstNumber} + ${number})::text || '${sessionTail}'`;
const userIdFrom = (number) => `(${firstNumber} + ${number})::text || '${userTail}'`;

/** Brings back the sessions of the first `users` users. */
export const insertSessions = (users, sessions) => `
  INSERT INTO user_session (id, user_id, active_expires, idle_expires, country)
  SELECT ${sessionIdFrom("i")}, ${userIdFrom(`i % ${sessions / sessionsOfAUser}`)},
    ${firstExpiry} + i, ${firstExpiry + idleFor} + i, 'DE'
  FROM generate_series(0, ${sessions - 1}) AS i
  WHERE i % ${sessions / sessionsOfAUser} < ${users}
  ON CONFLICT DO NOTHING`;

/** Columns of other types, each with a value. */
const further = [
  "TEXT DEFAULT 'text'", "INTEGER DEFAULT 7", "NUMERIC(10, 2) DEFAULT 12.50", "BOOLEAN DEFAULT true", "TIMESTAMPTZ DEFAULT now()",
  "JSONB DEFAULT '{\"theme\":\"dark\"}'", "UUID DEFAULT gen_random_uuid()", "TEXT[] DEFAULT '{a,b}'", "DATE DEFAULT '2024-02-29'",
  "DOUBLE PRECISION DEFAULT 0.5", "TEXT",
];

const tables = ({ partitions, columns = 5 } = {}) => `
  CREATE TABLE auth_user (id TEXT NOT NULL PRIMARY KEY, username TEXT);
  CREATE TABLE user_key (id TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL, hashed_password TEXT);
  CREATE TABLE user_session (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    active_expires BIGINT NOT NULL,
    idle_expires BIGINT NOT NULL,
    country TEXT
    ${Array.from({ length: columns - 5 }, (_, n) => `, more_${n} ${further[n % further.length]}`).join("")}
  ) ${partitions ? "PARTITION BY HASH (id)" : ""};
  ${Array.from({ length: partitions ?? 0 }, (_, n) => `
    CREATE TABLE user_session_${n} PARTITION OF user_session FOR VALUES WITH (MODULUS ${partitions}, REMAINDER ${n});`).join("")}`;

const rows = (sessions) => `
  INSERT INTO auth_user
  SELECT ${userIdFrom("n")}, 'user' || n FROM generate_series(0, ${sessions / sessionsOfAUser - 1}) AS n;
  INSERT INTO user_key
  SELECT 'username:user' || n, ${userIdFrom("n")}, '${hashedPassword}'
  FROM generate_series(0, ${sessions / sessionsOfAUser - 1}) AS n;
  ${insertSessions(sessions, sessions)};`;

// After the rows: a constraint checked once for a whole table is many times cheaper than once for every row.
const constraints = `
  ALTER TABLE user_key ADD FOREIGN KEY (user_id) REFERENCES auth_user(id);
  ALTER TABLE user_session ADD FOREIGN KEY (user_id) REFERENCES auth_user(id);
  CREATE INDEX ON user_key (user_id);
  CREATE INDEX ON user_session (user_id);`;

/** A checkpoint is for superusers; on somebody's server it comes when it comes. */
function unlessForbidden(error) {
  if (error.code !== "42501") throw error;
}

/** Makes a database with that many sessions, and settles it: no statistics, hint bits or checkpoint left for later. */
export async function createDatabase(serverUrl, { sessions, table }) {
  const name = `lucia_benchmark_${randomBytes(6).toString("hex")}`;
  const server = connect(serverUrl, { max: 1 });
  await server.unsafe(`CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const sql = connect(url.href, { max: 1 });
  const end = async () => {
    await sql.end({ timeout: 1 });
    await server.unsafe(`DROP DATABASE ${name} WITH (FORCE)`);
    await server.end();
  };
  let ended;
  const drop = () => (ended ??= end());
  try {
    await sql.unsafe(tables(table) + rows(sessions) + constraints);
    await sql.unsafe("VACUUM (ANALYZE)");
    await sql.unsafe("CHECKPOINT").catch(unlessForbidden);
  } catch (error) {
    await drop();
    throw error;
  }
  return { url: url.href, sql, drop };
}
