// Deletions that come together are sent in one statement: each call gets its own answer, and deletes what it would alone.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { adapters, sql } from "./support/anew.mjs";
import { within } from "./support/bounded.mjs";
import { createTables } from "./support/database.mjs";
import { observed } from "./support/observed.mjs";
import { countStatements, errors } from "./support/together.mjs";

const USERS = 160;
/** So that a call which never settles fails its own test only. */
const limit = { timeout: 40_000 };
const ids = (count, first = 0) => Array.from({ length: count }, (_, n) => `u${first + n}`);

let adapter;

beforeEach(async () => {
  await createTables(sql);
  await sql.unsafe(`
    INSERT INTO auth_user SELECT 'u' || n FROM generate_series(0, ${USERS - 1}) AS n;
    INSERT INTO user_key SELECT n || ' of u' || u, 'u' || u
      FROM generate_series(0, ${USERS - 1}) AS u, generate_series(1, 3) AS n;
  `);
  adapter = adapters.open();
});

/** An adapter knows the types of the columns that it has deleted by. */
async function warm() {
  await adapter.deleteKeysByUserId("nobody");
  await adapter.deleteKey("nothing");
  await adapter.deleteUser("nobody");
}

const none = (count) => Array(count).fill(undefined);
const remaining = async (table) => (await sql.unsafe(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);

describe("deletions that come together", () => {
  test("are done by a few statements, and tell each how many rows it has deleted", async () => {
    await warm();
    const statements = await countStatements(sql, "user_key", "DELETE");
    const calls = [...ids(100), ...ids(50, 90), ...ids(10, 1000)];
    const messages = await observed(() => Promise.all(calls.map((id) => adapter.deleteKeysByUserId(id))));
    assert.deepEqual([...new Set(await sql`SELECT user_id FROM user_key`.then((rows) => rows.map((row) => row.user_id)))].sort(),
      ids(20, 140).sort());
    const count = await statements();
    assert.ok(count <= calls.length / 2, `${count} statements`);
    // Ten users are asked for twice: the rows were deleted for one of the two calls.
    assert.deepEqual(messages.map(({ rows }) => rows).sort(), [...Array(20).fill(0), ...Array(140).fill(3)]);
    assert.ok(messages.some(({ batch }) => batch > 1));
  });

  test("get each its own error when the server refuses some, and the others are done", async () => {
    await sql`DELETE FROM user_key WHERE user_id IN ${sql(ids(10))}`;
    await warm();
    assert.deepEqual(await errors(ids(16).map((id) => adapter.deleteUser(id))), [...none(10), ...Array(6).fill("23503")]);
    assert.deepEqual(await remaining("auth_user"), ids(USERS - 10, 10).sort());
  });

  test("leave the rows that a trigger keeps", async () => {
    await sql.unsafe(`
      CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF OLD.id LIKE '2%' THEN RETURN NULL; END IF; RETURN OLD; END $$;
      CREATE TRIGGER keep BEFORE DELETE ON user_key FOR EACH ROW EXECUTE FUNCTION keep();
    `);
    await warm();
    const messages = await observed(() => Promise.all(ids(USERS).map((id) => adapter.deleteKeysByUserId(id))));
    assert.deepEqual(messages.map(({ rows }) => rows), Array(USERS).fill(2));
    assert.deepEqual(await remaining("user_key"), ids(USERS).map((id) => `2 of ${id}`).sort());
  });

  test("compare as their column does when its type has changed, and one alone does too", async () => {
    await warm();
    await Promise.all(ids(16).map((id) => adapter.deleteKey(id)));
    await sql`ALTER TABLE user_key ALTER COLUMN id TYPE CHAR(20)`;
    // Blanks at the end count in a text, and not in a `char(n)`.
    assert.deepEqual(await errors([adapter.deleteKey("1 of u0  ")]), none(1));
    assert.deepEqual(await errors(ids(16).map((id) => adapter.deleteKey(`2 of ${id}  `))), none(16));
    const [{ count }] = await sql`SELECT count(*)::int FROM user_key`;
    assert.equal(count, 3 * USERS - 17);
  });

  test("pass through views with triggers, with rules and with nothing, and through rules of a table", async () => {
    await sql.unsafe(`
      ALTER TABLE user_key RENAME TO the_keys; ALTER TABLE auth_user RENAME TO the_users;
      ALTER TABLE user_session RENAME TO the_sessions;
      INSERT INTO the_sessions SELECT 's' || id, id, 1, 2 FROM the_users;
      CREATE TABLE told (id TEXT);
      CREATE RULE also AS ON DELETE TO the_keys DO ALSO INSERT INTO told VALUES (OLD.id);
      CREATE VIEW user_key AS SELECT * FROM the_keys;
      CREATE VIEW user_session AS SELECT * FROM the_sessions;
      CREATE RULE delete_session AS ON DELETE TO user_session DO INSTEAD DELETE FROM the_sessions WHERE id = OLD.id;
      CREATE VIEW auth_user AS SELECT * FROM the_users;
      CREATE FUNCTION delete_user() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN DELETE FROM the_users WHERE id = OLD.id; RETURN OLD; END $$;
      CREATE TRIGGER delete_user INSTEAD OF DELETE ON auth_user FOR EACH ROW EXECUTE FUNCTION delete_user();
    `);
    await warm();
    assert.deepEqual(await errors(ids(50).map((id) => adapter.deleteKeysByUserId(id))), none(50));
    assert.deepEqual(await errors(ids(25).map((id) => adapter.deleteSessionsByUserId(id))), none(25));
    assert.deepEqual(await errors(ids(25, 25).map((id) => adapter.deleteSession(`s${id}`))), none(25));
    assert.deepEqual(await errors(ids(50).map((id) => adapter.deleteUser(id))), none(50));
    assert.deepEqual(await remaining("auth_user"), ids(USERS - 50, 50).sort());
    assert.equal((await remaining("user_session")).length, USERS - 50);
    assert.equal((await remaining("user_key")).length, 3 * (USERS - 50));
    const [{ count }] = await sql`SELECT count(DISTINCT id)::int FROM told`;
    assert.equal(count, 150);
  });

  test("are done while one of them waits for a row that is locked, which is deleted when its time comes", limit, async () => {
    await warm();
    const held = await sql.begin(async (other) => {
      await other`SELECT FROM user_key WHERE id = '1 of u7' FOR UPDATE`;
      const calls = ids(16).map((id) => adapter.deleteKey(`1 of ${id}`));
      const [waiting] = calls.splice(7, 1);
      await within(20, "the others are done", Promise.all(calls));
      return { waiting };
    });
    await within(20, "the last one is done", held.waiting);
    assert.deepEqual((await remaining("user_key")).filter((id) => /^1 of u(\d|1[0-5])$/.test(id)), []);
  });
});
