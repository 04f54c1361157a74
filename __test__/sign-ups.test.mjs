// Sign-ups with a key into tables that refuse a user and its key in one statement: both are stored, or neither.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { openAdapter, terminate, waitingStatements } from "./support/adapter.mjs";
import { database, sql } from "./support/anew.mjs";
import { createTables } from "./support/database.mjs";
import { openAdapters, outcome } from "./support/opened.mjs";
import { refusal } from "./support/reference.mjs";
import { times, together, transactions } from "./support/together.mjs";
import { recordMessages } from "./support/wire.mjs";

beforeEach(() => createTables(sql));

const user = (n) => ({ id: `u${n}`, username: `name ${n}` });
const key = (n, more) => ({ id: `k${n}`, user_id: `u${n}`, hashed_password: n % 2 === 0 ? null : `hash ${n}`, ...more });
const signUp = (adapter, n, more) => adapter.setUser(user(n), key(n, more));
const code = async (promise) => {
  const { error } = await outcome(promise);
  return error?.message.startsWith("AUTH_") ? error.message : error && refusal(error);
};

const looks = (volatility) => `
  CREATE FUNCTION has_user(TEXT) RETURNS BOOLEAN ${volatility} LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM auth_user WHERE id = $1)';`;
const raises = (body) => `
  CREATE FUNCTION look(k user_key) RETURNS VOID STABLE LANGUAGE plpgsql AS $$ BEGIN ${body} END $$;
  CREATE FUNCTION check_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM look(NEW); RETURN NEW; END $$;
  CREATE TRIGGER check_key BEFORE INSERT ON user_key FOR EACH ROW EXECUTE FUNCTION check_key();`;
const audited = "CREATE TABLE told (id TEXT);";
const kinds = {
  "a rule on users that inserts as well": `${audited}
    CREATE RULE also AS ON INSERT TO auth_user DO ALSO INSERT INTO told VALUES (NEW.id)`,
  "a rule on keys that inserts as well": `${audited}
    CREATE RULE also AS ON INSERT TO user_key DO ALSO INSERT INTO told VALUES (NEW.id)`,
  "rules on both that notify": `CREATE RULE also AS ON INSERT TO auth_user DO ALSO NOTIFY signed_up;
    CREATE RULE also AS ON INSERT TO user_key DO ALSO NOTIFY signed_up`,
  "a rule on keys that inserts elsewhere under a condition": `CREATE TABLE special (LIKE user_key);
    CREATE RULE sometimes AS ON INSERT TO user_key WHERE NEW.hashed_password = 'special' DO INSTEAD INSERT INTO special VALUES (NEW.*)`,
  "a view of users with a rule of two statements": `${audited}
    ALTER TABLE auth_user RENAME TO the_users; CREATE VIEW auth_user AS SELECT * FROM the_users;
    CREATE RULE two AS ON INSERT TO auth_user DO INSTEAD (INSERT INTO the_users VALUES (NEW.*); INSERT INTO told VALUES (NEW.id))`,
  "a constraint on keys that looks for the user": `${looks("STABLE")} ALTER TABLE user_key ADD CHECK (has_user(user_id))`,
  "a domain of keys that looks for the user": `${looks("STABLE")} CREATE DOMAIN known AS TEXT CHECK (has_user(VALUE));
    ALTER TABLE user_key ALTER user_id TYPE known`,
  "a view of the keys of known users, with a check": `ALTER TABLE user_key RENAME TO the_keys;
    CREATE VIEW user_key AS SELECT * FROM the_keys WHERE user_id IN (SELECT id FROM auth_user) WITH CHECK OPTION`,
  "a trigger on keys whose function is stable": raises(`IF NOT EXISTS (SELECT FROM auth_user WHERE id = k.user_id) THEN
    RAISE 'no such user'; END IF;`),
  "more columns than an answer may have": `DO $$ BEGIN
      EXECUTE (SELECT 'ALTER TABLE auth_user ' || string_agg('ADD a' || n || ' BOOL', ', ') FROM generate_series(1, 1500) AS n);
      EXECUTE (SELECT 'ALTER TABLE user_key ' || string_agg('ADD a' || n || ' BOOL', ', ') FROM generate_series(1, 1500) AS n);
    END $$`,
};

describe("a user and its key are stored", () => {
  for (const [kind, ddl] of Object.entries(kinds)) {
    test(`with ${kind}`, async (t) => {
      await sql.unsafe(ddl);
      const { adapter } = openAdapter(t, database.url);
      const more = kind.startsWith("more") ? Object.fromEntries(Array.from({ length: 1500 }, (_, n) => [`a${n + 1}`, true])) : {};
      const sign = (n) => () => adapter.setUser({ ...user(n), ...more }, { ...key(n), ...more });
      assert.deepEqual(await together([sign(0)]), ["stored"]);
      assert.deepEqual(await together(Array.from({ length: 40 }, (_, n) => sign(n + 1))), Array(40).fill("stored"));
      const rows = await sql`SELECT u.id, u.username, k.id AS key, k.hashed_password FROM auth_user AS u
        JOIN user_key AS k ON k.user_id = u.id ORDER BY length(u.id), u.id`;
      assert.deepEqual(rows.map((row) => ({ ...row })), Array.from({ length: 41 }, (_, n) => (
        { id: `u${n}`, username: `name ${n}`, key: `k${n}`, hashed_password: key(n).hashed_password }
      )));
      if (ddl.includes("told")) assert.equal((await sql`SELECT DISTINCT id FROM told`).length, 41);
      assert.equal(await code(adapter.setUser(user("new"), key("new", { id: "k1" }))), "AUTH_DUPLICATE_KEY_ID");
      assert.equal(await code(adapter.setUser(user(1), key("new"))), "23505");
      const [{ count }] = await sql`SELECT count(*)::int FROM auth_user`;
      assert.equal(count, 41);
    });
  }

  test("with a policy on keys that looks for the user, and refused where it finds none", async () => {
    const role = `role_${new URL(database.url).pathname.slice(1)}`;
    await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role};
      ALTER TABLE user_key DROP CONSTRAINT user_key_user_id_fkey; ALTER TABLE user_key ENABLE ROW LEVEL SECURITY;
      CREATE POLICY known ON user_key USING (true) WITH CHECK (user_id IN (SELECT id FROM auth_user))`);
    const url = new URL(database.url);
    [url.username, url.password] = [role, "secret"];
    const opened = openAdapters(url.href);
    try {
      const adapter = opened.open();
      assert.deepEqual(await together(times(20, (n) => signUp(adapter, n))), Array(20).fill("stored"));
      assert.equal(await transactions(sql, "user_key"), 20);
      assert.equal(await code(adapter.setUser(user("new"), key("new", { user_id: "nobody" }))), "42501");
      assert.equal((await sql`SELECT FROM auth_user WHERE id = 'unew'`).length, 0);
    } finally {
      await opened.close();
      await sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  test("where nothing may be prepared under a name", async (t) => {
    await sql.unsafe(kinds["a rule on keys that inserts as well"]);
    const { adapter } = openAdapter(t, database.url, { prepare: false });
    assert.deepEqual(await together(times(20, (n) => signUp(adapter, n))), Array(20).fill("stored"));
    assert.equal((await sql`SELECT DISTINCT id FROM told`).length, 20);
  });

  test("in columns whose type has changed", async (t) => {
    await sql.unsafe(kinds["a rule on keys that inserts as well"]);
    const { adapter } = openAdapter(t, database.url, { max: 2 });
    assert.deepEqual(await together(times(4, (n) => signUp(adapter, n))), Array(4).fill("stored"));
    await sql`ALTER TABLE user_key ALTER hashed_password TYPE JSONB USING NULL`;
    assert.deepEqual(await together(times(4, (n) => signUp(adapter, `later ${n}`, { hashed_password: { n } }))), Array(4).fill("stored"));
    const rows = await sql`SELECT hashed_password FROM user_key WHERE id LIKE '%later%' ORDER BY id`;
    assert.deepEqual(rows.map((row) => row.hashed_password), [0, 1, 2, 3].map((n) => ({ n })));
  });
});

describe("a sign-up in two statements", () => {
  beforeEach(() => sql.unsafe(kinds["a rule on keys that inserts as well"]));

  test("is one round trip: its transaction is sent whole before anything is answered", async (t) => {
    const recorded = await recordMessages(database.url);
    t.after(() => recorded.close());
    const { adapter, name } = openAdapter(t, recorded.url, { max: 1 });
    await signUp(adapter, 1);
    recorded.take();
    await sql.begin(async (locking) => {
      await locking`LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE`;
      const call = signUp(adapter, 2);
      while (await waitingStatements(sql, name) === 0);
      assert.deepEqual(recorded.take(), ["Q", "B", "E", "S", "B", "E", "S", "Q"]);
      locking`COMMIT`.catch(() => {});
      return { call };
    }).then(({ call }) => call);
    assert.deepEqual(recorded.take(), []);
  });

  test("that its key refuses at the end of the transaction leaves neither half", async (t) => {
    await sql`ALTER TABLE user_key ADD CONSTRAINT late UNIQUE (hashed_password) DEFERRABLE INITIALLY DEFERRED`;
    const { adapter } = openAdapter(t, database.url);
    await signUp(adapter, 1);
    assert.equal(await code(signUp(adapter, 3, { hashed_password: "hash 1" })), "23505");
    assert.deepEqual((await sql`SELECT id FROM auth_user`).map(({ id }) => id), ["u1"]);
    await signUp(adapter, 2);
  });

  const ends = "pg_terminate_backend(pg_backend_pid())";
  test("whose connection ends in an insertion is done again, and stored once", async (t) => {
    await sql.unsafe(`CREATE SEQUENCE attempts;
      CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.id = 'k2' AND nextval('attempts') = 1 THEN PERFORM ${ends}; END IF; RETURN NEW; END $$;
      CREATE TRIGGER stop BEFORE INSERT ON user_key FOR EACH ROW EXECUTE FUNCTION stop()`);
    const { adapter } = openAdapter(t, database.url);
    await signUp(adapter, 1);
    await signUp(adapter, 2);
    assert.equal((await sql`SELECT FROM user_key WHERE id = 'k2'`).length, 1);
    assert.equal((await sql`SELECT FROM told WHERE id = 'k2'`).length, 1);
  });

  test("whose connection ends as it is committed rejects with OUTCOME_UNKNOWN, and is not done again", async (t) => {
    await sql.unsafe(`CREATE SEQUENCE attempts;
      CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.id = 'k2' AND nextval('attempts') = 1 THEN PERFORM ${ends}; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER stop AFTER INSERT ON user_key DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stop()`);
    const { adapter } = openAdapter(t, database.url);
    await signUp(adapter, 1);
    const { error } = await outcome(signUp(adapter, 2));
    assert.equal(error?.code, "OUTCOME_UNKNOWN");
    assert.equal((await sql`SELECT FROM user_key WHERE id = 'k2'`).length, 0);
    await signUp(adapter, 3);
  });

  test("that is under way when its connections are ended is stored whole or not at all", async (t) => {
    const { adapter, name } = openAdapter(t, database.url);
    await signUp(adapter, "first");
    const calls = [];
    for (let round = 0; round < 30; round += 1) {
      for (let n = 0; n < 4; n += 1) calls.push(outcome(signUp(adapter, `${round} ${n}`)));
      if (round % 3 === 0) await terminate(sql, name);
    }
    const outcomes = await Promise.all(calls);
    for (const { error } of outcomes) assert.match(error?.code ?? "OUTCOME_UNKNOWN", /^OUTCOME_UNKNOWN$/);
    const [{ halves, users }] = await sql`SELECT count(*) FILTER (WHERE k.id IS NULL OR u.id IS NULL)::int AS halves,
      count(u.id)::int AS users FROM auth_user AS u FULL JOIN user_key AS k ON k.user_id = u.id`;
    assert.equal(halves, 0);
    assert.ok(users > outcomes.filter(({ error }) => error === undefined).length);
  });
});
