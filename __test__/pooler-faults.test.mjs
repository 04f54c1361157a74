// A real PgBouncer that loses its server, finds none, or has no place left.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";

import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { openAdapter } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables } from "./support/database.mjs";
import { Outcome, populate, read, reads } from "./support/load.mjs";
import { databaseWith } from "./support/once.mjs";
import { pgbouncers, startPgbouncer } from "./support/pgbouncer.mjs";
import { startProxy } from "./support/proxy.mjs";

/** So that a call which never settles fails its own test only. */
const limit = { timeout: 60_000 };
const programs = pgbouncers();
const missing = programs.length === 0 && "PgBouncer is not installed (Debian: apt-get install pgbouncer)";
const database = await databaseWith(populate);
const { sql } = database;
// Every update that is committed leaves a row; that of `slow` takes a while.
await sql.unsafe(`
  INSERT INTO auth_user VALUES ('slow', NULL);
  CREATE TABLE committed (user_id TEXT);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.id = 'slow' THEN PERFORM pg_sleep(2); END IF;
      INSERT INTO committed VALUES (NEW.id);
      RETURN NEW;
    END $$;
  CREATE TRIGGER note BEFORE UPDATE ON auth_user FOR EACH ROW EXECUTE FUNCTION note();
`);
beforeEach(() => sql`DELETE FROM committed`);

async function timesCommitted(user) {
  const [{ count }] = await sql`SELECT count(*)::int FROM committed WHERE user_id = ${user}`;
  return count;
}

const noneRejected = ({ rejected, pending, codes }) => (
  assert.deepEqual({ rejected, pending, codes }, { rejected: 0, pending: 0, codes: {} })
);

async function pooled(t, program, url, settings) {
  const pooler = await startPgbouncer(program, url, settings);
  t.after(() => pooler.stop());
  return pooler.url;
}

/** An adapter behind a pooler, and a proxy between the pooler and its server. */
async function proxied(t, program) {
  const proxy = await startProxy(database.url);
  t.after(() => proxy.stop());
  const { adapter } = openAdapter(t, await pooled(t, program, proxy.url(database.url)));
  await read(adapter, "getUser", 1);
  await adapter.updateUser("u1", { username: "name 1" });
  await sql`DELETE FROM committed`;
  return { adapter, proxy };
}

for (const { program, name } of programs) {
  describe(`${name} whose connection to the server is lost`, () => {
    test("after the commit leaves the outcome of a change unknown, and the change is made once", limit, async (t) => {
      const { adapter, proxy } = await proxied(t, program);
      const lost = { code: "OUTCOME_UNKNOWN", cause: { code: "08P01" } };
      const toldOf = ({ code, cause }) => assert.deepEqual({ code, cause: { code: cause.code } }, lost) ?? true;
      const cut = proxy.changeAnswer("UPDATE 1", () => Buffer.alloc(0), { how: "reset" });
      const update = adapter.updateUser("u2", { username: "name 2" });
      await within(10, "the update rejects", assert.rejects(update, toldOf));
      await cut;
      assert.equal(await timesCommitted("u2"), 1);

      const again = proxy.changeAnswer("INSERT 0 1", () => Buffer.alloc(0), { how: "reset" });
      const signUp = adapter.setUser({ id: name }, { id: name, user_id: name, hashed_password: null });
      await within(10, "the sign-up rejects", assert.rejects(signUp, toldOf));
      await again;
      assert.equal((await sql`SELECT id FROM user_key WHERE id = ${name}`).length, 1);
    });

    test("under a read has it done again", limit, async (t) => {
      const { adapter, proxy } = await proxied(t, program);
      for (const one of Object.keys(reads)) {
        await read(adapter, one, 6);
        const cut = proxy.changeAnswer(/AndUser|Session/.test(one) ? "country 7" : one.includes("Key") ? "hash 7" : "name 7",
          () => Buffer.alloc(0), { how: "reset" });
        await within(10, `${one} is answered`, read(adapter, one, 7));
        await cut;
      }
    });
  });

  test(`${name} that gives a change up leaves its outcome unknown`, limit, async (t) => {
    const { adapter } = openAdapter(t, await pooled(t, program, database.url, { query_timeout: 1 }));
    await read(adapter, "getUser", 1);
    const update = adapter.updateUser("slow", { username: "after" });
    await within(10, "the update rejects", assert.rejects(update, { code: "OUTCOME_UNKNOWN" }));
    assert.ok(await timesCommitted("slow") <= 1);
  });

  // Each test waits most of its time.
  describe(`${name} behind which the server is away for eight seconds`, { concurrency: 2 }, () => {
    for (const server_login_retry of [1, 15]) {
      test(`fails no read, where it asks again after ${server_login_retry} s`, limit, async (t) => {
        const server = await startServer();
        t.after(() => server.stop());
        const own = connect(server.url(), { max: 1, onnotice() {} });
        await createTables(own);
        await populate(own);
        await own.end();
        const { adapter } = openAdapter(t, await pooled(t, program, server.url(), { server_login_retry }));
        const names = Object.keys(reads);
        for (const one of names) await read(adapter, one, 1);
        const outcome = new Outcome();
        const calling = () => outcome.follow(read(adapter, names[outcome.started % names.length], 2));
        for (let n = 0; n < 100; n += 1) calling();
        await server.halt("fast");
        // How long the server is away; nothing is waited for.
        for (let n = 0; n < 80; n += 1) {
          for (let more = 0; more < 10; more += 1) calling();
          await pass(100);
        }
        assert.equal(server.process, undefined);
        await server.start();
        for (let n = 0; n < 100; n += 1) calling();
        noneRejected(await outcome.all(30));
      });
    }
  });

  test(`${name} that has no place left for two seconds is waited for`, limit, async (t) => {
    const url = await pooled(t, program, database.url, { max_client_conn: 2 });
    const { adapter, initializer } = openAdapter(t, url, { max: 1, idle_timeout: 1 });
    await read(adapter, "getUser", 1);
    await eventually(10, "the connection is closed", () => initializer.stats().connections === 0);
    const others = [1, 2].map(() => connect(url, { max: 1, prepare: false, onnotice() {} }));
    for (const other of others) await other`SELECT 1`;
    const call = read(adapter, "getUser", 2);
    // How long it has no place; nothing is waited for.
    await pass(2000);
    await Promise.all(others.map((other) => other.end()));
    await within(15, "the read is answered", call);
  });

  test(`${name} passes on the request to cancel lookups that are held up`, limit, async (t) => {
    const url = await pooled(t, program, database.url, { default_pool_size: 20 });
    const { adapter } = openAdapter(t, url, { max: 3 });
    const all = () => Promise.all(Array.from({ length: 48 }, (_, n) => read(adapter, "getUser", n + 1)));
    await all();
    const batches = async () => {
      const [{ count }] = await sql`
        SELECT count(*)::int FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%unnest%'`;
      return count;
    };
    const held = await sql.begin(async (other) => {
      await other`LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE`;
      const calls = all();
      await eventually(10, "lookups that were sent together wait for the table", async () => await batches() > 0);
      await eventually(10, "none of them waits on the server any more", async () => await batches() === 0);
      return { calls };
    });
    await within(10, "every lookup is answered", held.calls);
  });

  describe(`${name} in session mode`, () => {
    for (const size of [1, 3]) {
      test(`with a pool of ${size} serves an adapter of as many connections`, limit, async (t) => {
        const url = await pooled(t, program, database.url, { pool_mode: "session", default_pool_size: size });
        const { adapter } = openAdapter(t, url, { max: size, connect_timeout: 5 });
        const outcome = new Outcome();
        for (const one of Object.keys(reads)) for (let n = 1; n <= 20; n += 1) outcome.follow(read(adapter, one, n));
        for (let n = 1; n <= 20; n += 1) outcome.follow(adapter.updateUser(`u${n}`, { username: `name ${n}` }));
        noneRejected(await outcome.all(20));
      });
    }
  });
}

/** The URL of a new role that may have so many connections. */
async function asLimited(t, url, connections) {
  const role = `limited_to_${connections}`;
  await sql.unsafe(`
    CREATE ROLE ${role} LOGIN PASSWORD '${role}' CONNECTION LIMIT ${connections};
    GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role};
  `);
  t.after(() => sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
  return Object.assign(new URL(url), { username: role, password: role }).href;
}

test("a role that may have one connection is served with `max: 1`, prepared or not", limit, async (t) => {
  const url = await asLimited(t, database.url, 1);
  for (const options of [{}, { prepare: false }]) {
    const { adapter, initializer } = openAdapter(t, url, { max: 1, connect_timeout: 4, ...options });
    for (const one of Object.keys(reads)) await read(adapter, one, 1);
    await adapter.updateUser("u1", { username: "name 1" });
    await initializer.end();
  }
});

test("a role that may have two connections is served with `max: 10`: of a thousand first calls none is rejected", limit, async (t) => {
  const proxy = await startProxy(database.url);
  t.after(() => proxy.stop());
  const url = await asLimited(t, proxy.url(database.url), 2);
  const names = Object.keys(reads);
  for (let times = 0; times < 3; times += 1) {
    const { adapter, initializer } = openAdapter(t, url, { max: 10 });
    const { accepted } = proxy;
    const outcome = new Outcome();
    for (let n = 0; n < 1000; n += 1) {
      if (n % 10 === 9) outcome.follow(adapter.updateUser(`u${1 + n % 200}`, { username: `name ${1 + n % 200}` }));
      else outcome.follow(read(adapter, names[n % names.length], 1 + n % 200));
    }
    noneRejected(await outcome.all(20));
    assert.ok(proxy.accepted - accepted > 2, "more connections were tried than there may be");
    await initializer.end();
  }
});

test("PgBouncer is there", { skip: missing }, () => assert.ok(programs.length > 0));
