// Insertions that are sent together, and something goes wrong: one of them blocks, the connection is lost, time runs out.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";

import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { connectionsOf, openAdapter, runningStatements, terminate, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables } from "./support/database.mjs";
import { dropConstraints, NOTHING_WRONG, populate, SignUps } from "./support/load.mjs";
import { emptyDatabase } from "./support/once.mjs";
import { pgbouncers, startPgbouncer } from "./support/pgbouncer.mjs";
import { startProxy } from "./support/proxy.mjs";
import { times, together, transactions } from "./support/together.mjs";

/** So that a call which never settles fails its own test only. */
const limit = { timeout: 40_000 };
const database = await emptyDatabase();
const { sql } = database;

beforeEach(async () => {
  await sql.unsafe("DROP TABLE IF EXISTS user_key, user_session, auth_user; RESET ALL");
  await createTables(sql);
  await populate(sql);
});

const stored = (count) => Array(count).fill("stored");
const signUp = (adapter, name) => adapter.setUser(
  { id: `user ${name}`, username: null },
  { id: `key ${name}`, user_id: `user ${name}`, hashed_password: "hash" },
);

async function openWarm(t, url, options = {}) {
  const opened = openAdapter(t, url, options);
  await signUp(opened.adapter, `warm ${opened.name}`);
  return opened;
}

/** Runs `act` while another client has inserted, and not committed, the key `key taken`; then takes it back. */
async function whileTaken(act, client = sql) {
  const back = new Error("taken back");
  let result;
  await client.begin(async (other) => {
    await other`INSERT INTO user_key VALUES ('key taken', 'u1')`;
    result = { calls: await act() };
    throw back;
  }).catch((error) => assert.equal(error, back));
  return result.calls;
}

/** Sixteen sign-ups in one statement, the eighth of which waits. */
const sixteen = (adapter, prefix, more = (n) => signUp(adapter, `${prefix} ${n}`)) => times(16, (n) => (
  n === 7 ? signUp(adapter, "taken") : more(n)
)).map((call) => together([call]));

describe("an insertion that waits for another client's", () => {
  test("does not hold up those that it is sent with, and is stored when its time comes", limit, async (t) => {
    const { adapter, name } = await openWarm(t, database.url);
    const calls = await whileTaken(async () => {
      const made = sixteen(adapter, "beside");
      const others = await within(8, "the others are stored", Promise.all(made.filter((_, n) => n !== 7)));
      assert.deepEqual(others.flat(), stored(15));
      assert.equal(await waitingStatements(sql, name), 1);
      return made;
    });
    assert.deepEqual(await calls[7], ["stored"]);
    const [{ count }] = await sql`SELECT count(*)::int FROM user_key WHERE id LIKE 'key beside%' OR id = 'key taken'`;
    assert.equal(count, 16);
  });

  test("does not hold up the others when one of them is refused", limit, async (t) => {
    const { adapter } = await openWarm(t, database.url);
    const calls = await whileTaken(async () => {
      // The server finds the refused one before it meets the one that waits.
      const made = sixteen(adapter, "with a refused one", (n) => (
        n === 3 ? signUp(adapter, "a\0b") : signUp(adapter, `with a refused one ${n}`)
      ));
      const others = await within(8, "the others are stored", Promise.all(made.filter((_, n) => n !== 7)));
      assert.deepEqual(others.flat(), others.map((_, n) => (n === 3 ? "22021" : "stored")));
      return made;
    });
    assert.deepEqual(await calls[7], ["stored"]);
  });

  for (const seconds of [0.3, 1.5]) {
    test(`alone is rejected after a query_timeout of ${seconds} s`, limit, async (t) => {
      const { adapter, name } = await openWarm(t, database.url, { query_timeout: seconds });
      const outcomes = await whileTaken(async () => {
        const made = await within(8, "all settle", Promise.all(sixteen(adapter, `in ${seconds}`)));
        await eventually(5, "the server has nothing to do", async () => await runningStatements(sql, name) === 0);
        return made;
      });
      assert.deepEqual(outcomes.flat(), outcomes.map((_, n) => (n === 7 ? "Error" : "stored")));
      const [{ count }] = await sql`SELECT count(*)::int FROM user_key WHERE id = 'key taken'`;
      assert.equal(count, 0);
    });

    test(`alone is rejected after the server's statement_timeout of ${seconds} s`, limit, async (t) => {
      const { adapter } = await openWarm(t, `${database.url}?statement_timeout=${seconds * 1000}`);
      const outcomes = await whileTaken(() => within(8, "all settle", Promise.all(sixteen(adapter, `timed ${seconds}`))));
      assert.deepEqual(outcomes.flat(), outcomes.map((_, n) => (n === 7 ? "57014" : "stored")));
    });
  }

  test("and the others settle when the adapter ends before it does", limit, async (t) => {
    const { adapter, initializer } = await openWarm(t, database.url);
    await whileTaken(async () => {
      const made = sixteen(adapter, "ended");
      await initializer.end({ timeout: 0.3 });
      const outcomes = (await within(5, "all settle", Promise.all(made))).flat();
      const rows = await sql`SELECT id FROM user_key WHERE id LIKE 'key ended%'`;
      assert.equal(rows.length, outcomes.filter((outcome) => outcome === "stored").length);
      return made;
    });
    const [{ count }] = await sql`SELECT count(*)::int FROM user_key WHERE id LIKE 'key ended%'`;
    assert.ok([0, 15].includes(count), `${count} were stored`);
  });

  test("and the others are stored when the adapter's end has the time", limit, async (t) => {
    const { adapter, initializer } = await openWarm(t, database.url);
    const { ending, made } = await whileTaken(async () => {
      const calls = sixteen(adapter, "in time");
      return { ending: initializer.end({ timeout: 20 }), made: calls };
    });
    await ending;
    assert.deepEqual((await Promise.all(made)).flat(), stored(16));
  });
});

describe("a connection that is lost under insertions that are sent together", () => {
  /** So many sign-ups in one turn; then what became of them is compared with what is stored. */
  const lose = async (adapter, lost, proxy) => {
    const signUps = new SignUps();
    for (let n = 0; n < 64; n += 1) signUps.one(adapter);
    await lost();
    const { pending, codes } = await signUps.all();
    assert.equal(pending, 0);
    assert.deepEqual(Object.keys(codes).filter((code) => code !== "OUTCOME_UNKNOWN"), []);
    assert.deepEqual(await signUps.audit(sql, proxy?.timesSent(SignUps.SENT)), NOTHING_WRONG);
    return signUps;
  };

  for (const direction of ["toServer", "toClient"]) {
    test(`at any byte ${direction === "toServer" ? "of the statement" : "of the answer"} stores each once at most, and says so`, limit, async (t) => {
      await dropConstraints(sql);
      const proxy = await startProxy(database.url);
      t.after(() => proxy.stop());
      const { adapter } = await openWarm(t, proxy.url(database.url), { max: 3 });
      let unknown = 0;
      for (let bytes = 1; bytes < 12_000; bytes = Math.ceil(bytes * 1.35)) {
        proxy.record();
        const signUps = await lose(adapter, () => {
          proxy.cutAfter(bytes, { direction });
        }, proxy);
        unknown += signUps.counts().rejected;
        proxy.calm();
      }
      assert.ok(unknown > 0);
    });
  }

  test("by an administrator stores each once at most, and says so", limit, async (t) => {
    await dropConstraints(sql);
    const { adapter, name } = await openWarm(t, database.url, { max: 4 });
    for (let round = 0; round < 30; round += 1) await lose(adapter, () => terminate(sql, name));
  });

  test("silently rejects them after query_timeout, none of which is sent again", limit, async (t) => {
    await dropConstraints(sql);
    const proxy = await startProxy(database.url);
    t.after(() => proxy.stop());
    const options = { max: 3, query_timeout: 1.5, connect_timeout: 2 };
    const { adapter, initializer, name } = await openWarm(t, proxy.url(database.url), options);
    const signUps = new SignUps();
    const sixteenMore = () => times(16, () => signUps.one(adapter)).map((call) => call());
    await Promise.all(sixteenMore());
    proxy.record();
    proxy.stall();
    sixteenMore();
    assert.deepEqual(await signUps.all(12), { resolved: 16, rejected: 16, pending: 0, codes: { OUTCOME_UNKNOWN: 16 } });
    await initializer.end({ timeout: 1 });
    proxy.resume();
    await eventually(10, "the server has done what it was sent", async () => await connectionsOf(sql, name) === 0);
    assert.deepEqual(await signUps.audit(sql, proxy.timesSent(SignUps.SENT)), NOTHING_WRONG);
  });
});

describe("insertions that are sent together under contention", () => {
  test("are all stored where the isolation is serializable", limit, async (t) => {
    const url = `${database.url}?default_transaction_isolation=serializable`;
    await sql.unsafe(`
      CREATE OR REPLACE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM count(*) FROM auth_user; RETURN NEW; END $$;
      CREATE TRIGGER look BEFORE INSERT ON user_key FOR EACH ROW EXECUTE FUNCTION look();
    `);
    const { adapter } = await openWarm(t, url);
    const signUps = new SignUps();
    for (let n = 0; n < 200; n += 1) signUps.one(adapter);
    assert.deepEqual(await signUps.all(), { resolved: 200, rejected: 0, pending: 0, codes: {} });
    assert.deepEqual(await signUps.audit(sql), NOTHING_WRONG);
  });

  test("that block each other both ways are stored or duplicates, and none is a deadlock", limit, async (t) => {
    const opened = [await openWarm(t, database.url), await openWarm(t, database.url)];
    const order = [Array.from({ length: 32 }, (_, n) => n)];
    order.push([...order[0]].reverse());
    for (let round = 0; round < 5; round += 1) {
      const both = await Promise.all(opened.map(({ adapter }, side) => (
        together(order[side].map((n) => () => (
          adapter.setKey({ id: `${round} ${n}`, user_id: "u1", hashed_password: null })
        )))
      )));
      const outcomes = both.flat().sort();
      assert.deepEqual(outcomes, [...Array(32).fill("AUTH_DUPLICATE_KEY_ID"), ...stored(32)]);
    }
  });
});

describe("insertions that are sent together, committed and not yet on the standby,", () => {
  let server;
  before(async () => {
    server = await startServer({ files: { "postgresql.auto.conf": "synchronous_standby_names = 'nobody'\n" } });
  });
  after(() => server?.stop());

  test("wait for it as long as each alone would", limit, async (t) => {
    const local = connect(server.url(), { onnotice() {}, connection: { synchronous_commit: "local" } });
    t.after(() => local.end());
    await createTables(local);
    await populate(local);
    const { adapter, name } = openAdapter(t, server.url());
    const waiting = (count) => eventually(10, `${count} wait for the standby`, async () => (await local`
      SELECT 1 FROM pg_stat_activity WHERE application_name = ${name} AND wait_event = 'SyncRep'`).length === count);
    const first = signUp(adapter, "first");
    await waiting(1);
    let settled = 0;
    const made = times(16, (n) => signUp(adapter, n)).map((call) => call().finally(() => {
      settled += 1;
    }));
    await waiting(2);
    // By now they would have been parted, were it another's lock that they wait for.
    const { adapter: hasty } = await openWarm(t, `${server.url()}?synchronous_commit=local`);
    for (const round of ["once", "and once more"]) {
      const [held] = await whileTaken(async () => {
        const calls = sixteen(hasty, round);
        await Promise.all(calls.filter((_, n) => n !== 7));
        return [calls[7]];
      }, local);
      await held;
      await local`DELETE FROM user_key WHERE id = 'key taken'`;
      await local`DELETE FROM auth_user WHERE id = 'user taken'`;
    }
    assert.equal(settled, 0);
    await local`ALTER SYSTEM SET synchronous_standby_names = ''`;
    await local`SELECT pg_reload_conf()`;
    await Promise.all([first, ...made]);
    assert.equal(await transactions(local, "user_key", "id ~ '^key [0-9]'"), 1);
  });
});

for (const { name, program } of pgbouncers()) {
  test(`insertions that come together through ${name} are stored as they were given`, limit, async (t) => {
    const pooler = await startPgbouncer(program, database.url);
    t.after(() => pooler.stop());
    const texts = ["", "NULL", "a,b", '"', "\\", "{}", null, "é 'x'"];
    for (const options of [{}, { prepare: false }]) {
      await sql`TRUNCATE user_key`;
      const { adapter } = await openWarm(t, pooler.url, options);
      const text = (n) => texts[n % texts.length];
      const insert = (n) => adapter.setKey({ id: `${n}`, user_id: "u1", hashed_password: text(n) });
      assert.deepEqual(await together(times(64, insert)), stored(64));
      const rows = await sql`SELECT hashed_password FROM user_key WHERE id ~ '^[0-9]' ORDER BY id::int`;
      assert.deepEqual(rows.map(({ hashed_password: kept }) => kept), rows.map((_, n) => text(n)));
      assert.equal(await transactions(sql, "user_key", "id ~ '^[0-9]'"), 64);
    }
  });
}
