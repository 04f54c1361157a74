// Statements that the server rolls back in favour of others (`40001`, `40P01`): they are done again, and end.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { openAdapter, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { database, limit, noneRejected } from "./support/faulty.mjs";
import { NOTHING_WRONG, Outcome, SignUps } from "./support/load.mjs";

describe("a statement that the server rolled back for another's sake", () => {
  /** A trigger that fails so many times: what a sequence has counted is not rolled back. */
  async function failing(code, times, when) {
    const { sql } = database;
    await sql.unsafe(`
      DROP TRIGGER IF EXISTS fail ON auth_user;
      DROP SEQUENCE IF EXISTS attempts;
      CREATE SEQUENCE attempts;
      CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('attempts') <= ${times} THEN RAISE EXCEPTION 'not now' USING ERRCODE = '${code}'; END IF;
          RETURN NULL;
        END $$;
      ${when === "at its commit"
        ? "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON auth_user DEFERRABLE INITIALLY DEFERRED"
        : "CREATE TRIGGER fail AFTER INSERT ON auth_user"} FOR EACH ROW EXECUTE FUNCTION fail();
    `);
  }
  const restore = () => database.sql`DROP TRIGGER IF EXISTS fail ON auth_user`;

  for (const code of ["40001", "40P01"]) {
    for (const when of ["as it runs", "at its commit"]) {
      test(`with ${code} ${when} is done again`, limit, async (t) => {
        const { adapter } = openAdapter(t, database.url);
        await failing(code, 3, when);
        t.after(restore);
        const signUps = new SignUps();
        await within(10, "the sign-up settles", signUps.one(adapter));
        noneRejected(signUps.counts());
        assert.deepEqual(await signUps.audit(database.sql), NOTHING_WRONG);
        const [{ last_value: attempts }] = await database.sql`SELECT last_value FROM attempts`;
        assert.equal(attempts, "4");
      });
    }
  }

  test("every time rejects in the end, with the server's error", limit, async (t) => {
    const { adapter } = openAdapter(t, database.url, { connect_timeout: 2 });
    await failing("40001", 1_000_000_000, "as it runs");
    t.after(restore);
    const signUps = new SignUps();
    const { error } = await within(15, "the sign-up settles", signUps.one(adapter));
    assert.equal(error?.code, "40001");
    assert.deepEqual(await signUps.audit(database.sql), NOTHING_WRONG);
  });

  test("with another error at its commit is not done again, and rejects", limit, async (t) => {
    const { adapter } = openAdapter(t, database.url);
    await failing("P0001", 1, "at its commit");
    t.after(restore);
    await assert.rejects(adapter.setUser({ id: "refused at commit" }, null), { code: "P0001" });
    assert.equal(await adapter.getUser("refused at commit"), null);
  });

  test("as updates of one row under serializable isolation do to one another, fails none of them", limit, async (t) => {
    const { adapter } = openAdapter(t, database.url, { connection: { default_transaction_isolation: "serializable" } });
    const updates = new Outcome();
    for (let n = 0; n < 200; n += 1) updates.follow(adapter.updateUser("u1", { username: "name 1" }));
    noneRejected(await updates.all());
  });

  test("to end a deadlock is done again", limit, async (t) => {
    const { sql, url } = database;
    // Updating `first` waits for the advisory lock 1 and then updates `second`.
    await sql.unsafe(`
      INSERT INTO auth_user VALUES ('first', ''), ('second', '');
      CREATE FUNCTION update_second() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM pg_advisory_xact_lock(1);
          UPDATE auth_user SET username = NEW.username WHERE id = 'second';
          RETURN NULL;
        END $$;
      CREATE TRIGGER update_second AFTER UPDATE ON auth_user
        FOR EACH ROW WHEN (NEW.id = 'first' AND NEW.username = 'by the adapter') EXECUTE FUNCTION update_second();
    `);
    t.after(() => sql`DROP TRIGGER update_second ON auth_user`);
    const { adapter, name } = openAdapter(t, url, { connection: { deadlock_timeout: "50ms" } });
    const gate = await sql.reserve();
    await gate`SELECT pg_advisory_lock(1)`;
    let update;
    await sql.begin(async (other) => {
      // So that it is the adapter's statement which finds the deadlock and is rolled back.
      await other`SET LOCAL deadlock_timeout = '1min'`;
      await other`SET LOCAL application_name = 'the other side'`;
      await other`UPDATE auth_user SET username = 'by the other' WHERE id = 'second'`;
      update = adapter.updateUser("first", { username: "by the adapter" });
      await eventually(10, "the adapter's update waits", async () => await waitingStatements(sql, name) === 1);
      const blocked = other`UPDATE auth_user SET username = 'by the other' WHERE id = 'first'`.execute();
      await eventually(10, "the other waits", async () => await waitingStatements(sql, "the other side") === 1);
      await gate`SELECT pg_advisory_unlock(1)`;
      await within(10, "the deadlock is ended", blocked);
    });
    gate.release();
    await within(10, "the adapter's update resolves", update);
    const rows = await sql`SELECT username FROM auth_user WHERE id IN ('first', 'second')`;
    assert.deepEqual(rows.map(({ username }) => username), ["by the adapter", "by the adapter"]);
  });
});
