// Calls that come together, for relations that are no tables: each gets its own answer, and the server reads no more than
// it reads for each alone.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { database, sql } from "./support/anew.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { times, together } from "./support/together.mjs";

const USERS = 10_000;
const CALLS = 64;
// The first call finds nothing.
const FOUND = CALLS - 1;

beforeEach(async () => {
  await createTables(sql);
  await sql.unsafe(`
    ALTER TABLE auth_user RENAME TO the_users;
    ALTER TABLE user_session DROP CONSTRAINT user_session_user_id_fkey;
    INSERT INTO the_users SELECT 'u' || n, 'name ' || n FROM generate_series(1, ${USERS}) AS n;
    INSERT INTO user_session SELECT 's' || n, 'u' || n, n, n FROM generate_series(1, ${USERS}) AS n;
    CREATE TABLE post (user_id TEXT); CREATE INDEX ON post (user_id);
    INSERT INTO post SELECT 'u' || n FROM generate_series(1, ${USERS}, 2) AS n;
  `);
});

/** The server that the foreign tables are on: the same one. */
function foreignServer() {
  const { hostname, port, username, password, pathname } = new URL(database.url);
  return `
    CREATE EXTENSION postgres_fdw;
    CREATE SERVER same FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '${hostname}', port '${port}', dbname '${pathname.slice(1)}');
    CREATE USER MAPPING FOR CURRENT_USER SERVER same OPTIONS (user '${username}', password '${password}');
  `;
}

/** Calls `work` with an adapter, ends it, and tells how many rows the server has read of `table`, or of its parts, without an index. */
async function rowsScanned(table, work) {
  for (const each of [table, "post"]) await sql.unsafe(`VACUUM ANALYZE ${each}`);
  const reads = async () => (await sql`SELECT coalesce(sum(seq_tup_read), 0)::int AS scanned, coalesce(sum(idx_scan), 0)::int AS looked_up
    FROM pg_stat_user_tables WHERE relname = ${table} OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = ${table}::text::regclass)`)[0];
  const before = await reads();
  const initializer = postgres(database.url, tableNames);
  try {
    await work(initializer(LuciaError));
  } finally {
    await initializer.end();
  }
  // The server counts what a connection has read some time after that has closed.
  for (;;) {
    const now = await reads();
    if (now.looked_up - before.looked_up >= FOUND || now.scanned - before.scanned >= FOUND) return now.scanned - before.scanned;
  }
}

const kinds = {
  "a view that groups": `CREATE VIEW auth_user AS SELECT u.*, count(p.user_id) AS posts
    FROM the_users AS u LEFT JOIN post AS p ON p.user_id = u.id GROUP BY u.id`,
  "a view of distinct rows": "CREATE VIEW auth_user AS SELECT DISTINCT ON (id) * FROM the_users ORDER BY id, username",
  "a view with a window": "CREATE VIEW auth_user AS SELECT *, row_number() OVER (PARTITION BY id) AS number FROM the_users",
  "a view of a union": "CREATE VIEW auth_user AS SELECT * FROM the_users UNION SELECT 'none', user_id FROM post WHERE user_id = 'none'",
  "a view that is a barrier": "CREATE VIEW auth_user WITH (security_barrier) AS SELECT * FROM the_users WHERE username LIKE '%e%'",
  "a view of all columns": "CREATE VIEW auth_user AS SELECT * FROM the_users",
};

describe("lookups that come together look each row up", () => {
  const lookUp = async (adapter) => {
    const users = await Promise.all(Array.from({ length: CALLS }, (_, n) => adapter.getUser(`u${n}`)));
    assert.deepEqual(users.map((user) => user?.username), users.map((_, n) => (n === 0 ? undefined : `name ${n}`)));
  };
  const lookUpPairs = async (adapter) => {
    const pairs = await Promise.all(Array.from({ length: CALLS }, (_, n) => adapter.getSessionAndUser(`s${n}`)));
    assert.deepEqual(pairs.map(([session, user]) => [session?.id, user?.username]),
      pairs.map((_, n) => (n === 0 ? [undefined, undefined] : [`s${n}`, `name ${n}`])));
  };

  for (const [kind, ddl] of Object.entries(kinds)) {
    test(`in ${kind}`, async () => {
      await sql.unsafe(ddl);
      assert.equal(await rowsScanned("the_users", lookUp), 0);
      assert.equal(await rowsScanned("the_users", lookUpPairs), 0);
    });
  }

  test("in a partitioned table", async () => {
    await sql.unsafe(`
      CREATE TABLE auth_user (id TEXT PRIMARY KEY, username TEXT) PARTITION BY HASH (id);
      ${[0, 1, 2, 3].map((n) => `CREATE TABLE part_${n} PARTITION OF auth_user FOR VALUES WITH (MODULUS 4, REMAINDER ${n});`).join(" ")}
      INSERT INTO auth_user SELECT * FROM the_users`);
    assert.equal(await rowsScanned("auth_user", lookUp), 0);
    assert.equal(await rowsScanned("auth_user", lookUpPairs), 0);
  });

  test("in a foreign table", async () => {
    await sql.unsafe(`${foreignServer()}
      CREATE FOREIGN TABLE auth_user (id TEXT, username TEXT) SERVER same OPTIONS (table_name 'the_users')`);
    assert.equal(await rowsScanned("the_users", lookUp), 0);
    assert.equal(await rowsScanned("the_users", lookUpPairs), 0);
  });

  test("in a partitioned table of which a part is foreign", async () => {
    await sql.unsafe(`${foreignServer()}
      CREATE TABLE auth_user (id TEXT, username TEXT) PARTITION BY LIST ((length(id) > 0));
      CREATE FOREIGN TABLE auth_user_1 PARTITION OF auth_user FOR VALUES IN (true) SERVER same OPTIONS (table_name 'the_users')`);
    assert.equal(await rowsScanned("the_users", lookUp), 0);
  });
});

describe("deletions that come together find each row by itself", () => {
  const deletions = (adapter) => times(CALLS, (n) => adapter.deleteSession(`s${n}`));
  const removed = async () => {
    const [{ count }] = await sql`SELECT count(*)::int FROM the_sessions`;
    return USERS - count;
  };
  beforeEach(() => sql.unsafe("ALTER TABLE user_session RENAME TO the_sessions"));

  test("in a foreign table", async () => {
    await sql.unsafe(`${foreignServer()}
      CREATE FOREIGN TABLE user_session (id TEXT, user_id TEXT, active_expires INT8, idle_expires INT8, country TEXT)
        SERVER same OPTIONS (table_name 'the_sessions')`);
    assert.equal(await rowsScanned("the_sessions", async (adapter) => {
      await adapter.deleteSession("unknown");
      assert.deepEqual(await together(deletions(adapter)), Array(CALLS).fill("stored"));
    }), 0);
    assert.equal(await removed(), FOUND);
  });

  test("in a view that groups, with a trigger", async () => {
    await sql.unsafe(`
      CREATE VIEW user_session AS SELECT s.*, count(p.user_id) AS posts
        FROM the_sessions AS s LEFT JOIN post AS p ON p.user_id = s.user_id GROUP BY s.id;
      CREATE FUNCTION remove() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM the_sessions WHERE id = OLD.id; RETURN OLD; END $$;
      CREATE TRIGGER remove INSTEAD OF DELETE ON user_session FOR EACH ROW EXECUTE FUNCTION remove();`);
    assert.equal(await rowsScanned("the_sessions", async (adapter) => {
      await adapter.deleteSession("unknown");
      assert.deepEqual(await together(deletions(adapter)), Array(CALLS).fill("stored"));
    }), 0);
    assert.equal(await removed(), FOUND);
  });
});

describe("a session and its user that have more columns together than an answer can have", () => {
  const WIDE = 900;
  const columns = (prefix) => Array.from({ length: WIDE }, (_, n) => `${prefix}${n} INT DEFAULT ${n}`).join(", ");
  beforeEach(() => sql.unsafe(`
    DROP TABLE user_session;
    CREATE TABLE auth_user (id TEXT PRIMARY KEY, username TEXT, ${columns("u")});
    CREATE TABLE user_session (id TEXT, user_id TEXT, active_expires INT8, idle_expires INT8, ${columns("s")});
    INSERT INTO auth_user SELECT 'u' || n, 'name ' || n FROM generate_series(1, 40) AS n;
    INSERT INTO user_session SELECT 's' || n, 'u' || n, n, n FROM generate_series(1, 50) AS n`));

  for (const prepare of [undefined, false]) {
    test(`are looked up one after the other, with prepare ${prepare}`, async () => {
      const initializer = postgres(database.url, tableNames, { prepare });
      const adapter = initializer(LuciaError);
      for (const turn of ["alone, and not known yet", "together"]) {
        const numbers = turn === "together" ? Array.from({ length: 60 }, (_, n) => n) : [7];
        const pairs = await Promise.all(numbers.map((n) => adapter.getSessionAndUser(`s${n}`)));
        const expected = await Promise.all(numbers.map(async (n) => {
          const [session, user] = await Promise.all([adapter.getSession(`s${n}`), adapter.getUser(`u${n}`)]);
          return session && user ? [session, user] : [null, null];
        }));
        assert.deepEqual(pairs, expected, turn);
        assert.deepEqual(pairs.filter(([session]) => session).length, turn === "together" ? 40 : 1);
      }
      const [session, user] = await adapter.getSessionAndUser("s7");
      assert.deepEqual([session.active_expires, session.s899, user.username, user.u899], [7, 899, "name 7", 899]);
      await initializer.end();
    });
  }

  test("are looked up so at once by those that come together first", async () => {
    const initializer = postgres(database.url, tableNames);
    const pairs = await Promise.all(Array.from({ length: 30 }, (_, n) => initializer(LuciaError).getSessionAndUser(`s${n + 1}`)));
    assert.deepEqual(pairs.map(([session, user]) => [session.id, user.id]), pairs.map((_, n) => [`s${n + 1}`, `u${n + 1}`]));
    await initializer.end();
  });
});
