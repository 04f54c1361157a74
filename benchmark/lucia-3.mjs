// What Lucia 3 asks of its adapter, of this package's and of the official one on both drivers.
import { idleExpiry, ownerOf, sessionId, userId, username } from "./database.mjs";

const tables = { user: "auth_user", session: "session_3" };
const poolSize = 10;

/** By contender, in place of its own adapter, which is Lucia 2's. */
const openers = {
  async "this-package"(url) {
    const { PostgresAdapter } = await import("../lib/v3.js");
    const adapter = new PostgresAdapter(url, tables);
    return { adapter, end: () => adapter.end() };
  },
  async "reference-postgres"(url) {
    const [{ PostgresJsAdapter }, { default: connect }] = await Promise.all([import("lucia-3"), import("postgres")]);
    const sql = connect(url, { max: poolSize });
    return { adapter: new PostgresJsAdapter(sql, tables), end: () => sql.end() };
  },
  async "reference-pg"(url) {
    const [{ NodePostgresAdapter }, { default: pg }] = await Promise.all([import("lucia-3"), import("pg")]);
    const pool = new pg.Pool({ connectionString: url, max: poolSize });
    return { adapter: new NodePostgresAdapter(pool, tables), end: () => pool.end() };
  },
};

async function setUp(sql) {
  await sql.unsafe(`
    CREATE TABLE session_3 (id TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL, expires_at TIMESTAMPTZ NOT NULL, country TEXT);
    INSERT INTO session_3 SELECT id, user_id, to_timestamp(idle_expires / 1000.0), country FROM user_session;
    ALTER TABLE session_3 ADD FOREIGN KEY (user_id) REFERENCES auth_user(id);
    CREATE INDEX ON session_3 (user_id);
    CREATE INDEX ON session_3 (expires_at)`);
  await sql.unsafe("VACUUM (ANALYZE) session_3");
}

const choices = 1 << 15;

function wrong(answer) {
  throw new Error(`not the right answer: ${JSON.stringify(answer)}`);
}

/** Whether this is session `i`, with its user; `time` is when it expires, where that is known. */
function check([session, user], i, sessions, time) {
  const right = session?.id === sessionId(i) && session.userId === userId(ownerOf(i, sessions)) && session.attributes.country === "DE"
    && session.expiresAt instanceof Date && (time === undefined || session.expiresAt.getTime() === time)
    && user?.id === session.userId && user.attributes.username === username(ownerOf(i, sessions));
  if (!right) wrong([session, user]);
}

/** Where the times of one measurement begin: each has a million seconds of its own, later than any other. */
const firstRenewal = (label) => {
  let hash = 0;
  for (const letter of label) hash = (hash * 31 + letter.charCodeAt(0)) % 9973;
  return 2_000_000_000_000 + hash * 1_000_000_000;
};

export const lucia3 = {
  "validate-3": {
    title: "Lucia 3: validate a session",
    openers,
    setUp,
    prepare(adapter, { sessions }) {
      const chosen = Int32Array.from({ length: choices }, () => Math.random() * sessions);
      const ids = Array.from(chosen, sessionId);
      return {
        begin: (n) => adapter.getSessionAndUser(ids[n % choices]),
        check: (answer, n) => check(answer, chosen[n % choices], sessions, idleExpiry(chosen[n % choices])),
      };
    },
  },

  "renew-3": {
    title: "Lucia 3: validate a session in its second half, and renew it",
    openers,
    setUp,
    prepare(adapter, { sessions, label }) {
      const first = firstRenewal(label);
      return {
        async begin(n) {
          const answer = await adapter.getSessionAndUser(sessionId(n % sessions));
          await adapter.updateSessionExpiration(answer[0].id, new Date(first + n));
          return answer;
        },
        check: (answer, n) => check(answer, n % sessions, sessions),
      };
    },
    async verify(sql, { sessions, label }, finished) {
      const first = firstRenewal(label);
      const [{ count }] = await sql`
        SELECT count(*)::int FROM session_3 WHERE expires_at >= ${new Date(first)} AND expires_at < ${new Date(first + finished)}`;
      if (count !== Math.min(finished, sessions)) throw new Error(`${finished} calls were answered, the database has the writes of ${count}`);
    },
  },
};
