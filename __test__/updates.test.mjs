// Updates that come together are one statement: each call gets its own answer, and of two of one row the last counts.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { adapters, sql } from "./support/anew.mjs";
import { within } from "./support/bounded.mjs";
import { createTables } from "./support/database.mjs";
import { observed } from "./support/observed.mjs";
import { countStatements, errors } from "./support/together.mjs";

const SESSIONS = 160;
/** So that a call which never settles fails its own test only. */
const limit = { timeout: 40_000 };
const ids = (count, first = 0) => Array.from({ length: count }, (_, n) => `s${first + n}`);

let adapter;

beforeEach(async () => {
  await createTables(sql);
  await sql.unsafe(`
    INSERT INTO auth_user VALUES ('u');
    INSERT INTO user_session SELECT 's' || n, 'u', 0, 0 FROM generate_series(0, ${SESSIONS - 1}) AS n;
  `);
  adapter = adapters.open();
});

const renew = (id, time) => adapter.updateSession(id, { active_expires: time, idle_expires: time + 1 });
/** An adapter knows the types of the columns that it has updated. */
const warm = () => renew("nothing", 1);
const none = (count) => Array(count).fill(undefined);
const renewed = async () => Object.fromEntries((await sql`
  SELECT id, active_expires, idle_expires FROM user_session WHERE active_expires::text <> '0'`)
  .map((row) => [row.id, [Number(row.active_expires), Number(row.idle_expires)]]));

describe("updates that come together", () => {
  test("are done by a few statements, and tell each whether there was such a row", async () => {
    await warm();
    const statements = await countStatements(sql, "user_session", "UPDATE");
    const calls = [...ids(100), ...ids(20, 1000)];
    const messages = await observed(() => Promise.all(calls.map((id, at) => renew(id, at + 1))));
    assert.deepEqual(await renewed(), Object.fromEntries(ids(100).map((id, at) => [id, [at + 1, at + 2]])));
    const count = await statements();
    assert.ok(count <= calls.length / 2, `${count} statements`);
    assert.deepEqual(messages.map(({ rows }) => rows).sort(), [...Array(20).fill(0), ...Array(100).fill(1)]);
    assert.ok(messages.some(({ batch }) => batch > 1));
  });

  test("leave a row as the last of them has it", async () => {
    // Statements that overtake one another take several connections.
    adapter = adapters.open(undefined, undefined, { max: 1 });
    await warm();
    for (let round = 1; round <= 20; round += 1) {
      await Promise.all(Array.from({ length: 30 }, (_, at) => renew(`s${at % 3}`, 100 * round + at)));
      const last = (at) => [100 * round + 27 + at, 100 * round + 28 + at];
      assert.deepEqual(await renewed(), { s0: last(0), s1: last(1), s2: last(2) });
    }
  });

  test("leave it so too where two ids are the same to the server", async () => {
    await sql`ALTER TABLE user_session ALTER COLUMN id TYPE CHAR(20)`;
    adapter = adapters.open(undefined, undefined, { max: 1 });
    await warm();
    await Promise.all([renew("s1", 5), renew("s1 ", 6), renew("s2 ", 7), renew("s1  ", 8), renew("s2", 9)]);
    const found = await renewed();
    assert.deepEqual(Object.values(found).sort(), [[8, 9], [9, 10]]);
  });

  test("get each its own error when the server refuses some, and the others are done", async () => {
    await sql`ALTER TABLE user_session ADD CHECK (active_expires < 8)`;
    await warm();
    assert.deepEqual(await errors(ids(16).map((id, at) => renew(id, at + 1))), [...none(7), ...Array(9).fill("23514")]);
    assert.deepEqual(await renewed(), Object.fromEntries(ids(7).map((id, at) => [id, [at + 1, at + 2]])));
  });

  test("set what is NULL, what needs quotes and what has columns of the statement's own names", async () => {
    await sql.unsafe(`ALTER TABLE user_session ADD v1 TEXT, ADD position TEXT, ADD call TEXT, ADD t JSONB`);
    const set = (id, value) => adapter.updateSession(id, { v1: value, position: value, call: value, t: { value } });
    await set("s0", "first");
    const values = [null, "", "NULL", 'a"b\\c', "{1,2}", "é🙂", "it's"];
    await Promise.all(values.map((value, at) => set(`s${at}`, value)));
    const rows = await sql`SELECT v1, position, call, t FROM user_session ORDER BY id COLLATE "C" LIMIT 1000`;
    const found = rows.filter(({ t }) => t !== null).map((row) => ({ ...row }));
    assert.deepEqual(found, values.map((value) => ({ v1: value, position: value, call: value, t: { value } })));
  });

  test("pass through views with triggers, with rules and with nothing", async () => {
    await sql.unsafe(`
      ALTER TABLE user_session RENAME TO the_sessions; ALTER TABLE auth_user RENAME TO the_users;
      ALTER TABLE user_key RENAME TO the_keys;
      INSERT INTO the_users SELECT id FROM the_sessions;
      INSERT INTO the_keys SELECT id, 'u' FROM the_sessions;
      CREATE VIEW user_session AS SELECT * FROM the_sessions;
      CREATE VIEW user_key AS SELECT * FROM the_keys;
      CREATE RULE set_password AS ON UPDATE TO user_key DO INSTEAD
        UPDATE the_keys SET hashed_password = NEW.hashed_password WHERE id = OLD.id;
      CREATE VIEW auth_user AS SELECT * FROM the_users;
      CREATE FUNCTION set_name() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN UPDATE the_users SET username = NEW.username WHERE id = OLD.id; RETURN NEW; END $$;
      CREATE TRIGGER set_name INSTEAD OF UPDATE ON auth_user FOR EACH ROW EXECUTE FUNCTION set_name();
    `);
    for (let round = 0; round < 2; round += 1) {
      assert.deepEqual(await errors(ids(40).map((id, at) => renew(id, at + 1))), none(40));
      assert.deepEqual(await errors(ids(40).map((id) => adapter.updateUser(id, { username: `of ${id} ${round}` }))), none(40));
      assert.deepEqual(await errors(ids(40).map((id) => adapter.updateKey(id, { hashed_password: `of ${id} ${round}` }))), none(40));
    }
    assert.equal(Object.keys(await renewed()).length, 40);
    const [{ users }] = await sql`SELECT count(*)::int AS users FROM the_users WHERE username = 'of ' || id || ' 1'`;
    const [{ keys }] = await sql`SELECT count(*)::int AS keys FROM the_keys WHERE hashed_password = 'of ' || id || ' 1'`;
    assert.deepEqual([users, keys], [40, 40]);
  });

  test("cast to the new type when a column has another by now", async () => {
    await warm();
    await Promise.all(ids(16).map((id) => renew(id, 3)));
    await sql`ALTER TABLE user_session ALTER COLUMN active_expires TYPE TEXT`;
    assert.deepEqual(await errors(ids(16).map((id) => renew(id, 4))), none(16));
    assert.deepEqual(Object.values(await renewed()), Array(16).fill([4, 5]));
  });

  test("of the same rows in two processes' orders wait for one another without an end in deadlock", async () => {
    await warm();
    const other = adapters.open(undefined, undefined, { share: false });
    await other.updateSession("nothing", { active_expires: 1, idle_expires: 2 });
    await sql`
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$`;
    await sql`CREATE TRIGGER slow BEFORE UPDATE ON user_session FOR EACH ROW EXECUTE FUNCTION slow()`;
    const [{ before }] = await sql`SELECT deadlocks AS before FROM pg_stat_database WHERE datname = current_database()`;
    const calls = ids(24).map((id, at) => renew(id, at + 1));
    const reversed = ids(24).reverse().map((id) => other.updateSession(id, { active_expires: 1, idle_expires: 2 }));
    await Promise.all([...calls, ...reversed]);
    const [{ after }] = await sql`SELECT deadlocks AS after FROM pg_stat_database WHERE datname = current_database()`;
    assert.equal(after, before);
  });

  test("are done while one of them waits for a row that is locked, which is changed when its time comes", limit, async () => {
    await warm();
    const held = await sql.begin(async (other) => {
      await other`SELECT FROM user_session WHERE id = 's7' FOR UPDATE`;
      const calls = ids(16).map((id) => renew(id, 9));
      const [waiting] = calls.splice(7, 1);
      await within(20, "the others are done", Promise.all(calls));
      return { waiting };
    });
    await within(20, "the last one is done", held.waiting);
    assert.deepEqual(Object.values(await renewed()), Array(16).fill([9, 10]));
  });
});
