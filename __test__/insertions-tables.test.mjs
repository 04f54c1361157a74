// Insertions that come together, into tables of every kind and tables that change: what is stored is what each call alone
// would have stored.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { adapters, database, sql } from "./support/anew.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { openAdapters } from "./support/opened.mjs";
import { openBoth } from "./support/reference.mjs";
import { times, together, transactions } from "./support/together.mjs";

const stored = (count) => Array(count).fill("stored");
const user = (n) => ({ id: `u${n}`, username: n % 3 === 0 ? null : `name ${n}` });
const key = (n) => ({ id: `k${n}`, user_id: `u${n}`, hashed_password: n % 2 === 0 ? null : `hash ${n}` });
const session = (n) => ({ id: `s${n}`, user_id: `u${n}`, active_expires: n, idle_expires: n, country: "é" });

/** Sixty sign-ups at once through an adapter that nobody has used yet, and then their sessions. */
async function sixtyAreStored(adapter) {
  assert.deepEqual(await together(times(60, (n) => adapter.setUser(user(n), n % 4 === 0 ? null : key(n)))), stored(60));
  assert.deepEqual(await together(times(60, (n) => adapter.setSession(session(n)))), stored(60));
  const rows = await sql`SELECT to_jsonb(u) AS user, to_jsonb(k) AS key, to_jsonb(s) AS session FROM auth_user AS u
    LEFT JOIN user_key AS k ON k.user_id = u.id LEFT JOIN user_session AS s ON s.user_id = u.id
    ORDER BY length(u.id), u.id`;
  assert.deepEqual(rows.map((row) => ({ ...row })), Array.from({ length: 60 }, (_, n) => (
    { user: user(n), key: n % 4 === 0 ? null : key(n), session: session(n) }
  )));
}

/** An adapter of a role that has just the right to do `grants`. */
async function asRole(grants) {
  const role = `role_${new URL(database.url).pathname.slice(1)}`;
  await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; ${grants.replaceAll("ROLE", role)}`);
  const url = new URL(database.url);
  [url.username, url.password] = [role, "secret"];
  return {
    opened: openAdapters(url.href),
    async drop() {
      await this.opened.close();
      await sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    },
  };
}

describe("insertions that come together are stored", () => {
  beforeEach(() => createTables(sql));

  test("by a role that may insert and not read", async () => {
    for (let round = 0; round < 10; round += 1) {
      const role = await asRole("GRANT INSERT ON auth_user, user_key, user_session TO ROLE");
      try {
        await sixtyAreStored(role.opened.open());
      } finally {
        await role.drop();
      }
      await sql`TRUNCATE auth_user, user_key, user_session`;
    }
  });

  test("by a role that loses the right to read meanwhile", async () => {
    const role = await asRole("GRANT INSERT, SELECT ON auth_user, user_key, user_session TO ROLE");
    try {
      const adapter = role.opened.open();
      await together(times(60, (n) => adapter.setUser(user(`before ${n}`), null)));
      await together(times(60, (n) => adapter.setUser(user(`before too ${n}`), key(`before too ${n}`))));
      const name = new URL(database.url).pathname.slice(1);
      await sql.unsafe(`REVOKE SELECT ON auth_user, user_key, user_session FROM role_${name};
        DELETE FROM user_key; DELETE FROM auth_user`);
      await sixtyAreStored(adapter);
    } finally {
      await role.drop();
    }
  });

  test("where row-level security hides some of the rows from the role, and refuses others", async () => {
    await sql.unsafe(`
      ALTER TABLE auth_user ENABLE ROW LEVEL SECURITY;
      CREATE POLICY may_insert ON auth_user FOR INSERT WITH CHECK (username IS DISTINCT FROM 'refused');
      CREATE POLICY may_read ON auth_user FOR SELECT USING (username LIKE 'seen%');
    `);
    const role = await asRole("GRANT INSERT, SELECT ON auth_user, user_key, user_session TO ROLE");
    try {
      const adapter = role.opened.open();
      const name = (n) => (n % 7 === 3 ? "refused" : n % 2 === 0 ? `seen ${n}` : `hidden ${n}`);
      await adapter.setUser({ id: "first", username: "seen" }, null);
      const seen = await together(times(16, (n) => adapter.setUser({ id: `seen ${n}`, username: "seen" }, null)));
      assert.deepEqual(seen, stored(16));
      const outcomes = await together(times(32, (n) => adapter.setUser({ id: `u${n}`, username: name(n) }, null)));
      assert.deepEqual(outcomes, outcomes.map((_, n) => (n % 7 === 3 ? "42501" : "stored")));
      const rows = await sql`SELECT username FROM auth_user WHERE id LIKE 'u%' ORDER BY length(id), id`;
      assert.deepEqual(rows.map(({ username }) => username), outcomes.map((_, n) => name(n)).filter((each) => each !== "refused"));
    } finally {
      await role.drop();
    }
  });

  test("through views with triggers, with rules and with nothing", async () => {
    await sql.unsafe(`
      ALTER TABLE auth_user RENAME TO the_users; ALTER TABLE user_key RENAME TO the_keys;
      ALTER TABLE user_session RENAME TO the_sessions;
      CREATE VIEW auth_user AS SELECT * FROM the_users;
      CREATE VIEW user_key AS SELECT * FROM the_keys;
      CREATE FUNCTION insert_key() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO the_keys VALUES (NEW.*); RETURN NEW; END $$;
      CREATE TRIGGER insert_key INSTEAD OF INSERT ON user_key FOR EACH ROW EXECUTE FUNCTION insert_key();
      CREATE VIEW user_session AS SELECT * FROM the_sessions;
      CREATE RULE insert_session AS ON INSERT TO user_session DO INSTEAD INSERT INTO the_sessions VALUES (NEW.*);
    `);
    await sixtyAreStored(adapters.open());
  });

  test("in tables with rules, and in partitions", async () => {
    await sql.unsafe(`
      CREATE TABLE told (id TEXT);
      CREATE RULE also AS ON INSERT TO user_session DO ALSO INSERT INTO told VALUES (NEW.id);
      DROP TABLE user_key;
      CREATE TABLE user_key (id TEXT, user_id TEXT REFERENCES auth_user, hashed_password TEXT) PARTITION BY HASH (id);
      CREATE TABLE user_key_0 PARTITION OF user_key FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE user_key_1 (more INT, hashed_password TEXT, user_id TEXT, id TEXT);
      ALTER TABLE user_key_1 DROP more;
      ALTER TABLE user_key ATTACH PARTITION user_key_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      ALTER TABLE user_key ADD PRIMARY KEY (id);
    `);
    const adapter = adapters.open();
    await sixtyAreStored(adapter);
    const [{ count }] = await sql`SELECT count(DISTINCT id)::int FROM told`;
    assert.equal(count, 60);
    const again = await together(times(16, (n) => adapter.setKey({ ...key(n + 100), id: `k${n}`, user_id: "u0" })));
    assert.deepEqual(again, again.map((_, n) => (n % 4 === 0 ? "stored" : "AUTH_DUPLICATE_KEY_ID")));
  });

  test("as NULL where the server is told to read an array's NULL as text", async () => {
    const url = new URL(database.url);
    url.searchParams.set("options", "-c array_nulls=off");
    const opened = openAdapters(url.href);
    try {
      await sixtyAreStored(opened.open());
    } finally {
      await opened.close();
    }
  });
});

describe("insertions that come together after a table has changed store what the reference stores", () => {
  const values = { text: ["a  ", " b", "", null], digits: ["1", "007", "-5", null], id: ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "bad", null],
    moment: ["2024-02-29 12:00:00", "2024-02-29 12:00:00+05", "1970-01-01", null] };
  const changes = [
    ["TEXT", "text", "ALTER changing TYPE CHAR(5)"],
    ["CHAR(5)", "text", "ALTER changing TYPE TEXT"],
    ["CHAR(5)", "text", "ALTER changing TYPE VARCHAR(2) USING NULL"],
    ["VARCHAR(2)", "text", "ALTER changing TYPE VARCHAR(9)"],
    ["TEXT", "text", "DROP changing, ADD changing CHAR(5)"],
    ["INT4", "digits", "ALTER changing TYPE TEXT"],
    ["TEXT", "digits", "ALTER changing TYPE INT8 USING NULL"],
    ["NUMERIC(9,2)", "digits", "ALTER changing TYPE NUMERIC(9,4)"],
    ["TEXT", "id", "ALTER changing TYPE UUID USING NULL"],
    ["TIMESTAMP", "moment", "ALTER changing TYPE TIMESTAMPTZ"],
    ["TIMESTAMPTZ", "moment", "ALTER changing TYPE TIMESTAMP"],
    ["TIMESTAMPTZ", "moment", "ALTER changing TYPE DATE"],
    ["DATE", "moment", "ALTER changing TYPE TEXT"],
    ["JSONB", "digits", "ALTER changing TYPE JSON"],
    ["TEXT", "digits", "ALTER changing TYPE TEXT[] USING NULL"],
    ["TEXT", "text", "ADD more TEXT DEFAULT 'more'"],
    ["TEXT", "text", "DROP gone"],
  ];

  for (const [type, kind, change] of changes) {
    test(`${type}, ${change}`, async () => {
      const create = (table, more) => `CREATE TABLE ${table} (id TEXT PRIMARY KEY, gone INT, ${more} changing ${type});`;
      await sql.unsafe(create("auth_user", "username TEXT,") + create("user_key", "user_id TEXT, hashed_password TEXT,")
        + create("user_session", "user_id TEXT, active_expires INT8, idle_expires INT8, country TEXT,"));
      const live = openBoth(database.url, tableNames, { max: 3 });
      const insertions = (adapter, prefix) => ["user", "with a key", "key", "session"].map((method) => (n) => {
        const id = `${prefix} ${method} ${n}`;
        const changing = values[kind][n % values[kind].length];
        return {
          user: () => adapter.setUser({ id, changing }, null),
          "with a key": () => adapter.setUser({ id, changing }, { id, user_id: id, hashed_password: null, changing }),
          key: () => adapter.setKey({ id, user_id: "u", hashed_password: null, changing }),
          session: () => adapter.setSession({ id, user_id: "u", active_expires: 1, idle_expires: 2, changing }),
        }[method]();
      });
      try {
        for (const [index, insert] of insertions(live.ours, "before").entries()) {
          // Some connections have prepared it for one, some for many, some for both, and some not at all.
          if (index % 2 === 0) for (let n = 0; n < 3; n += 1) await together([() => insert(n)]);
          await together(times(48, (n) => insert(3 + n)));
        }
        for (const table of Object.values(tableNames)) await sql.unsafe(`ALTER TABLE ${table} ${change}`);
        const fresh = openBoth(database.url, tableNames);
        try {
          const theirs = insertions(fresh.reference, "after theirs");
          for (const [index, insert] of insertions(live.ours, "after mine").entries()) {
            const mine = await together(times(48, insert));
            const expected = [];
            for (let n = 0; n < 48; n += 1) expected.push(...await together([() => theirs[index](n)]));
            assert.deepEqual(mine, expected);
          }
        } finally {
          await fresh.end();
        }
        for (const table of Object.values(tableNames)) {
          const kept = (side) => sql.unsafe(`SELECT substr(id, length($1) + 1) AS n, '[' || concat(changing) || ']' AS kept, changing IS NULL AS none
            FROM ${table} WHERE id LIKE $1 || '%' ORDER BY id`, [side]);
          const rows = [...await kept("after mine")];
          assert.ok(rows.length > 0);
          assert.deepEqual(rows, [...await kept("after theirs")]);
        }
        assert.ok(await transactions(sql, "user_session", "id LIKE 'before%'") <= 45);
      } finally {
        await live.end();
      }
    });
  }
});
