// Lucia's two errors for relations of every kind, and for servers that leave names out of their errors: the key's id is
// taken, there is no such user. Every other violation is the database's error.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { database, sql } from "./support/anew.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { outcome } from "./support/opened.mjs";
import { refusal } from "./support/reference.mjs";
import { startReticentServer } from "./support/reticent.mjs";

beforeEach(async () => {
  await createTables(sql);
  await sql.unsafe(`
    INSERT INTO auth_user VALUES ('alice', 'Alice');
    ALTER TABLE user_key ADD provider TEXT CONSTRAINT once UNIQUE, ADD other TEXT CONSTRAINT known REFERENCES auth_user;
  `);
});

const key = (id, user_id, more) => ({ id, user_id, hashed_password: null, ...more });
const session = (id, user_id) => ({ id, user_id, active_expires: 1, idle_expires: 2 });

async function rejection(promise) {
  const { error } = await outcome(promise);
  return error instanceof LuciaError ? error.message : error && refusal(error);
}

/** Every insertion that violates something; what it violates is the same in whatever kind of relation. */
async function assertMeanings(adapter) {
  await adapter.setKey(key("taken", "alice", { provider: "first" }));
  await adapter.setSession(session("taken", "alice"));
  const found = {
    "a taken key": await rejection(adapter.setKey(key("taken", "alice"))),
    "a taken key of a new user": await rejection(adapter.setUser({ id: "bob" }, key("taken", "bob"))),
    "a key of nobody": await rejection(adapter.setKey(key("new", "nobody"))),
    "a session of nobody": await rejection(adapter.setSession(session("new", "nobody"))),
    "a taken user": await rejection(adapter.setUser({ id: "alice" }, key("new", "alice"))),
    "a taken user with a taken key": await rejection(adapter.setUser({ id: "alice" }, key("taken", "alice"))),
    "a taken session": await rejection(adapter.setSession(session("taken", "alice"))),
    "another unique column of the key": await rejection(adapter.setKey(key("new", "alice", { provider: "first" }))),
    "another reference of the key": await rejection(adapter.setKey(key("new", "alice", { other: "nobody" }))),
  };
  assert.deepEqual(found, {
    "a taken key": "AUTH_DUPLICATE_KEY_ID",
    "a taken key of a new user": "AUTH_DUPLICATE_KEY_ID",
    "a key of nobody": "AUTH_INVALID_USER_ID",
    "a session of nobody": "AUTH_INVALID_USER_ID",
    "a taken user": "23505",
    "a taken user with a taken key": "23505",
    "a taken session": "23505",
    "another unique column of the key": "23505",
    "another reference of the key": "23503",
  });
  assert.deepEqual([...(await sql`SELECT id FROM auth_user`)], [{ id: "alice" }]);
}

async function assertMeaningsAt(url) {
  const initializer = postgres(url, tableNames);
  try {
    await assertMeanings(initializer(LuciaError));
  } finally {
    await initializer.end();
  }
}

/** The key's and the session's table are put aside, under these names. */
const aside = "ALTER TABLE user_key RENAME TO the_keys; ALTER TABLE user_session RENAME TO the_sessions;";
const views = (suffix = "") => ["key", "session"]
  .map((name) => `CREATE VIEW user_${name} AS SELECT * FROM the_${name}s${suffix};`).join("\n");
const insteadOf = `
  CREATE FUNCTION insert_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO the_keys VALUES (NEW.*); RETURN NEW; END $$;
  CREATE TRIGGER insert_key INSTEAD OF INSERT ON user_key FOR EACH ROW EXECUTE FUNCTION insert_key();`;

const kinds = {
  "views": `${aside} ${views()}`,
  "views on views on views": `${aside}
    CREATE VIEW a_keys AS SELECT * FROM the_keys; CREATE VIEW b_keys AS SELECT * FROM a_keys;
    CREATE VIEW user_key AS SELECT * FROM b_keys;
    CREATE VIEW a_sessions AS SELECT * FROM the_sessions; CREATE VIEW user_session AS SELECT * FROM a_sessions;`,
  "views that look at the users": `${aside} ${views(" WHERE user_id IN (SELECT id FROM auth_user)")}`,
  "a view that joins the users, with a trigger": `${aside}
    CREATE VIEW user_key AS SELECT k.* FROM the_keys AS k JOIN auth_user AS u ON u.id = k.user_id;
    CREATE VIEW user_session AS SELECT * FROM the_sessions; ${insteadOf}`,
  "a view of a function, with a trigger": `${aside}
    CREATE FUNCTION keys() RETURNS TABLE (id TEXT, user_id TEXT, hashed_password TEXT, provider TEXT, other TEXT)
      LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT * FROM the_keys; END $$;
    CREATE VIEW user_key AS SELECT * FROM keys(); CREATE VIEW user_session AS SELECT * FROM the_sessions; ${insteadOf}`,
  "a view of a union, with a rule": `${aside}
    CREATE TABLE old_keys (LIKE the_keys INCLUDING ALL);
    CREATE VIEW user_key AS SELECT * FROM the_keys UNION ALL SELECT * FROM old_keys;
    CREATE VIEW user_session AS SELECT * FROM the_sessions;
    CREATE RULE insert_key AS ON INSERT TO user_key DO INSTEAD INSERT INTO the_keys VALUES (NEW.*);`,
  "views on partitioned tables": `DROP TABLE user_key, user_session;
    CREATE TABLE the_keys (id TEXT PRIMARY KEY, user_id TEXT REFERENCES auth_user, hashed_password TEXT, provider TEXT,
      other TEXT REFERENCES auth_user) PARTITION BY HASH (id);
    CREATE TABLE the_keys_0 PARTITION OF the_keys FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE UNIQUE INDEX ON the_keys_0 (provider);
    CREATE TABLE the_sessions (id TEXT PRIMARY KEY, user_id TEXT REFERENCES auth_user, active_expires INT8, idle_expires INT8)
      PARTITION BY HASH (id);
    CREATE TABLE the_sessions_0 PARTITION OF the_sessions FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    ${views()}`,
  "tables whose rows a trigger puts into heirs": ["key", "session"].map((name) => `
    CREATE TABLE the_${name}s (LIKE user_${name} INCLUDING ALL) INHERITS (user_${name});
    ALTER TABLE the_${name}s ADD FOREIGN KEY (user_id) REFERENCES auth_user;
    CREATE FUNCTION insert_${name}() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO the_${name}s VALUES (NEW.*); RETURN NULL; END $$;
    CREATE TRIGGER insert_${name} BEFORE INSERT ON user_${name} FOR EACH ROW EXECUTE FUNCTION insert_${name}();
  `).join("\n") + "ALTER TABLE the_keys ADD FOREIGN KEY (other) REFERENCES auth_user;",
};

describe("the key's id is taken and there is no such user are Lucia's errors, every other violation the database's", () => {
  for (const [kind, ddl] of Object.entries(kinds)) {
    test(`through ${kind}`, async () => {
      await sql.unsafe(ddl);
      await assertMeaningsAt(database.url);
    });
  }

  test("in foreign tables, whose server's errors come without names", async () => {
    const { hostname, port, username, password, pathname } = new URL(database.url);
    const columns = "id TEXT NOT NULL, user_id TEXT NOT NULL";
    await sql.unsafe(`
      CREATE EXTENSION postgres_fdw;
      CREATE SERVER same FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '${hostname}', port '${port}', dbname '${pathname.slice(1)}');
      CREATE USER MAPPING FOR CURRENT_USER SERVER same OPTIONS (user '${username}', password '${password}');
      ${aside}
      CREATE FOREIGN TABLE user_key (${columns}, hashed_password TEXT, provider TEXT, other TEXT)
        SERVER same OPTIONS (table_name 'the_keys');
      CREATE FOREIGN TABLE user_session (${columns}, active_expires INT8, idle_expires INT8)
        SERVER same OPTIONS (table_name 'the_sessions');
    `);
    await assertMeaningsAt(database.url);
  });

  test("where the server leaves schema and table out of its errors", async () => {
    const server = await startReticentServer(database.url, "st");
    try {
      await assertMeaningsAt(server.url);
    } finally {
      await server.close();
    }
  });
});

test("a table that a rule fills besides is another's, even under the same names", async () => {
  await sql.unsafe(`
    CREATE TABLE audit (id TEXT PRIMARY KEY, user_id TEXT); INSERT INTO audit VALUES ('audited');
    CREATE RULE also AS ON INSERT TO user_key DO ALSO INSERT INTO audit VALUES (NEW.id, NEW.user_id);
  `);
  const initializer = postgres(database.url, tableNames);
  try {
    const adapter = initializer(LuciaError);
    assert.equal(await rejection(adapter.setKey(key("audited", "alice"))), "23505");
    await adapter.setKey(key("taken", "alice"));
    assert.equal(await rejection(adapter.setKey(key("taken", "alice"))), "AUTH_DUPLICATE_KEY_ID");
  } finally {
    await initializer.end();
  }
});
