// Connections that are cut: every call settles, reads survive, no write is lost or done twice.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { connectionsOf, openAdapter, terminate, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { connected, database, limit, noneRejected, onlyUnknown, proxied, unconstrained, unknown } from "./support/faulty.mjs";
import { dropConstraints, Load, NOTHING_WRONG, Outcome, populate, read, reads, SignUps } from "./support/load.mjs";
import { seeded } from "./support/random.mjs";

const random = seeded();

describe("the first connection", () => {
  test("to a port that refuses rejects with ECONNREFUSED within a second", limit, async (t) => {
    const proxy = await proxied(t);
    await proxy.refuse();
    const { adapter } = openAdapter(t, proxy.url(unconstrained.url));
    const calls = Promise.all([
      assert.rejects(adapter.getUser("u1"), { code: "ECONNREFUSED", port: proxy.port }),
      assert.rejects(adapter.setUser({ id: "never" }, null), { code: "ECONNREFUSED", port: proxy.port }),
    ]);
    await within(1, "both calls reject", calls);
    await proxy.accept();
    await read(adapter, "getUser", 1);
    assert.equal(await adapter.getUser("never"), null);
  });

  test("to a server that does not answer rejects with CONNECT_TIMEOUT after connect_timeout", limit, async (t) => {
    const proxy = await proxied(t);
    proxy.stall();
    const timedOut = { code: "CONNECT_TIMEOUT" };
    await Promise.all(Array.from({ length: 8 }, async () => {
      const { adapter } = openAdapter(t, proxy.url(unconstrained.url), { connect_timeout: 1 });
      const calls = Promise.all([
        assert.rejects(adapter.getUser("u1"), timedOut),
        assert.rejects(adapter.setUser({ id: "never" }, null), timedOut),
      ]);
      await within(3, "both calls reject", calls);
      // A later call has a time of its own, whatever becomes of the attempts that earlier calls have started.
      const started = performance.now();
      await within(3, "the later call rejects", assert.rejects(adapter.getUser("u1"), timedOut));
      const waited = performance.now() - started;
      assert.ok(waited > 900, `the later call was given ${Math.round(waited)} ms`);
    }));
    proxy.resume();
    const { adapter } = openAdapter(t, proxy.url(unconstrained.url));
    await read(adapter, "getUser", 1);
    assert.equal(await adapter.getUser("never"), null);
  });

  test("cut at any byte settles the call, and the next call connects", limit, async (t) => {
    const proxy = await proxied(t);
    for (let cut = 0; cut < 20; cut += 1) {
      const { adapter, initializer } = openAdapter(t, proxy.url(unconstrained.url), { max: 1 });
      const direction = random.pick(["toServer", "toClient"]);
      const bytes = random.magnitude(1, direction === "toServer" ? 150 : 400);
      proxy.cutAfter(bytes - 1, { direction, how: random.pick(["reset", "end"]) });
      const signUps = new SignUps();
      const { state, error } = await within(10, "the sign-up settles", signUps.one(adapter));
      if (state === "rejected") assert.match(error.code, /^(CONNECTION_CLOSED|ECONNRESET|EPIPE|OUTCOME_UNKNOWN)$/);
      proxy.calm();
      await within(10, "the next read is answered", read(adapter, "getUser", 1));
      assert.deepEqual(await signUps.audit(unconstrained.sql), NOTHING_WRONG);
      await initializer.end();
    }
  });
});

describe("connections that an administrator terminates", () => {
  test("while idle fail no call, not even a write", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url, { max: 3 });
    const signUps = new SignUps();
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 6 }, () => read(adapter, "getUser", 1)));
      // Again and again, since a connection may just be being made.
      await eventually(10, "the connections are gone", async () => await terminate(database.sql, name) === 0);
      await Promise.all([signUps.one(adapter), signUps.one(adapter), read(adapter, "getKey", 2)]);
    }
    noneRejected(signUps.counts());
    assert.deepEqual(await signUps.audit(database.sql), NOTHING_WRONG);
  });

  test("under load fail no read, and reject no more sign-ups than were under way", limit, async (t) => {
    const { adapter, name } = openAdapter(t, database.url);
    await read(adapter, "getUser", 1);
    const load = new Load(adapter, random.split(), { readers: 48, writers: 16 });
    t.after(() => load.stop(1));
    const rounds = 20;
    for (let round = 0; round < rounds; round += 1) {
      await load.more(50);
      await terminate(database.sql, name);
    }
    await load.more(50);
    const counts = await load.stop();
    t.diagnostic(JSON.stringify(counts));
    noneRejected(counts.reads);
    onlyUnknown(counts.signUps, rounds * 16);
    assert.deepEqual(await load.signUps.audit(database.sql), NOTHING_WRONG);
  });
});

describe("a connection that is cut", () => {
  test("while it is made fails no call once the pool has been connected", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 4 });
    for (let round = 0; round < 10; round += 1) {
      proxy.reset();
      await eventually(10, "the proxy has no connection", () => proxy.connections.size === 0);
      const cuts = Array.from({ length: 4 }, () => {
        const direction = random.pick(["toServer", "toClient"]);
        const how = random.pick(["reset", "end"]);
        return proxy.cutAfter(random.between(0, direction === "toServer" ? 80 : 200), { direction, how });
      });
      const calls = ["getUser", "getSession", "getKey"].map((name) => read(adapter, name, 3));
      await within(20, "the reads are answered", Promise.all([...calls, cuts[0]]));
      proxy.calm();
      await signUps.one(adapter);
    }
    noneRejected(signUps.counts());
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  test("while calls are queued loses none of them, and rejects none that was not sent", limit, async (t) => {
    const { adapter, name, proxy, signUps, audit } = await connected(t);
    await proxy.refuse();
    await eventually(10, "the server has no connection",
      async () => await connectionsOf(unconstrained.sql, name) === 0);
    const queuedReads = new Outcome();
    for (let n = 1; n <= 200; n += 1) {
      queuedReads.follow(read(adapter, random.pick(Object.keys(reads)), n));
      signUps.one(adapter);
    }
    await proxy.accept();
    noneRejected(await queuedReads.all());
    noneRejected(await signUps.all());
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  test("behind a statement that waits rejects what was sent, and sends what was not", limit, async (t) => {
    const { adapter, name, proxy, signUps, audit } = await connected(t, { max: 1 });
    for (let round = 0; round < 5; round += 1) {
      const queued = new Outcome();
      const answered = await unconstrained.sql.begin(async (sql) => {
        await sql`UPDATE auth_user SET username = username WHERE id = 'u1'`;
        const locked = assert.rejects(adapter.updateUser("u1", { username: "name 1" }), unknown);
        await eventually(10, "the update waits", async () => await waitingStatements(unconstrained.sql, name) === 1);
        for (let n = 1; n <= 20; n += 1) {
          queued.follow(read(adapter, random.pick(Object.keys(reads)), n));
          signUps.one(adapter);
        }
        proxy.reset();
        return locked;
      });
      await answered;
      noneRejected(await queued.all());
    }
    onlyUnknown(await signUps.all());
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  test("while a sign-up is sent rejects it with OUTCOME_UNKNOWN, stores nothing and sends nothing again", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1 });
    for (let round = 0; round < 20; round += 1) {
      const cut = proxy.cutWhileSent(signUps.next, random.fraction(), { how: random.pick(["reset", "end"]) });
      const { error, id } = await signUps.one(adapter);
      assert.equal(error?.code, "OUTCOME_UNKNOWN");
      await within(10, "the cut", cut);
      assert.equal(await adapter.getUser(id), null);
    }
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  const writes = {
    "setUser": (adapter, mark) => adapter.setUser({ id: mark }, null),
    "setUser with a key": (adapter, mark) => (
      adapter.setUser({ id: `of ${mark.length}` }, { id: "k", user_id: "u", hashed_password: mark })
    ),
    "updateUser": (adapter, mark) => adapter.updateUser(mark, { username: "x" }),
    "deleteUser": (adapter, mark) => adapter.deleteUser(mark),
    "setKey": (adapter, mark) => adapter.setKey({ id: mark, user_id: "nobody", hashed_password: null }),
    "updateKey": (adapter, mark) => adapter.updateKey(mark, { hashed_password: "x" }),
    "deleteKey": (adapter, mark) => adapter.deleteKey(mark),
    "deleteKeysByUserId": (adapter, mark) => adapter.deleteKeysByUserId(mark),
    "setSession": (adapter, mark) => (
      adapter.setSession({ id: mark, user_id: "nobody", active_expires: 1, idle_expires: 2, country: null })
    ),
    "updateSession": (adapter, mark) => adapter.updateSession(mark, { country: "x" }),
    "deleteSession": (adapter, mark) => adapter.deleteSession(mark),
    "deleteSessionsByUserId": (adapter, mark) => adapter.deleteSessionsByUserId(mark),
  };

  test("after any kind of write was sent rejects it with OUTCOME_UNKNOWN, and does not send it again", limit, async (t) => {
    const { adapter, proxy } = await connected(t, { max: 1 });
    for (const [name, write] of Object.entries(writes)) {
      const mark = `<<${name}>>`;
      const cut = proxy.cutAnswer(mark, 0, { how: random.pick(["reset", "end"]) });
      await assert.rejects(write(adapter, mark), unknown, name);
      await within(10, "the cut", cut);
      await read(adapter, "getKey", 2);
      assert.deepEqual([...proxy.timesSent(new RegExp(mark, "g"))], [[mark, 1]]);
    }
  });

  test("at every byte of the answer to a sign-up leaves it stored once", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1 });
    const [connection] = proxy.connections;
    const soFar = connection.passed.toClient;
    await signUps.one(adapter);
    const length = connection.passed.toClient - soFar;
    assert.ok(length > 10, `an answer of ${length} bytes`);
    for (let bytes = 0; bytes < length; bytes += 1) {
      const cut = proxy.cutAnswer(signUps.next, bytes, { how: random.pick(["reset", "end"]) });
      const { id, error } = await signUps.one(adapter);
      if (error) assert.equal(error.code, "OUTCOME_UNKNOWN");
      await within(10, "the cut", cut);
      assert.notEqual(await adapter.getUser(id), null);
    }
    onlyUnknown(signUps.counts());
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  test("at any byte of the question or of the answer fails no read, whichever it is", limit, async (t) => {
    const { adapter, proxy } = await connected(t, { max: 1 });
    for (const name of Object.keys(reads)) {
      for (let round = 0; round < 12; round += 1) {
        const n = random.between(100, 199);
        const id = (name === "getUser" || name.endsWith("ByUserId") ? "u" : name === "getKey" ? "k" : "s") + n;
        const how = random.pick(["reset", "end"]);
        const cut = round % 3 === 0
          ? proxy.cutWhileSent(id, random.fraction(), { how })
          : proxy.cutAnswer(id, random.between(0, 50), { how });
        await within(10, `${name} is answered`, read(adapter, name, n));
        await within(10, "the cut", cut);
      }
    }
  });

  test("in the middle of 2,000 rows gives every row once", limit, async (t) => {
    await unconstrained.sql`
      INSERT INTO user_key SELECT 'one of many ' || n, 'many', NULL FROM generate_series(1, 2000) n`;
    const { adapter, proxy } = await connected(t, { max: 1 });
    for (let round = 0; round < 10; round += 1) {
      const cut = proxy.cutAfter(random.between(1, 60_000), { how: random.pick(["reset", "end"]) });
      const keys = await within(10, "the keys arrive", adapter.getKeysByUserId("many"));
      await within(10, "the cut", cut);
      assert.equal(keys.length, 2000);
      assert.equal(new Set(keys.map(({ id }) => id)).size, 2000);
    }
  });

  test("or stalled at random, under load, fails no read, and loses or doubles no sign-up", limit, async (t) => {
    const { adapter, proxy } = await connected(t);
    const load = new Load(adapter, random.split());
    t.after(() => load.stop(1));
    await load.more(10);
    const accepted = proxy.accepted;
    proxy.chaos(random.split());
    const faults = () => proxy.accepted - accepted;
    while (faults() < 40) await load.more(50);
    proxy.calm();
    await load.more(100);
    const counts = await load.stop();
    t.diagnostic(`${faults()} new connections, ${JSON.stringify(counts)}`);
    noneRejected(counts.reads);
    onlyUnknown(counts.signUps);
    assert.deepEqual(await load.signUps.audit(unconstrained.sql, proxy.timesSent(SignUps.SENT)), NOTHING_WRONG);
  });
});

describe("a statement that ends its own connection every time", () => {
  before(() => unconstrained.sql.unsafe(`
    INSERT INTO auth_user VALUES ('poison', NULL);
    CREATE FUNCTION end_connection() RETURNS TEXT STABLE LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END';
    CREATE VIEW poisoned_user AS
      SELECT id, CASE id WHEN 'poison' THEN end_connection() ELSE username END AS username FROM auth_user;
    CREATE FUNCTION end_connection_on_insert() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM end_connection(); RETURN NEW; END';
    CREATE TRIGGER poison BEFORE INSERT ON auth_user
      FOR EACH ROW WHEN (NEW.username = 'poison') EXECUTE FUNCTION end_connection_on_insert();
  `));
  const poisoned = { ...tableNames, user: "poisoned_user" };

  test("rejects in the end when it is a read, and fails no other read", limit, async (t) => {
    const { adapter } = openAdapter(t, unconstrained.url, { connect_timeout: 2 }, poisoned);
    await read(adapter, "getUser", 1);
    const others = new Outcome();
    const poison = [];
    for (let n = 1; n <= 200; n += 1) {
      if (n === 100) poison.push(assert.rejects(adapter.getUser("poison")));
      others.follow(read(adapter, "getUser", n));
    }
    noneRejected(await others.all(15));
    await within(15, "the read rejects", poison[0]);
  });

  test("rejects in the end when it is a write, and stores nothing", limit, async (t) => {
    const { adapter } = openAdapter(t, unconstrained.url, { connect_timeout: 2 });
    await read(adapter, "getUser", 1);
    const write = adapter.setUser({ id: "never stored", username: "poison" }, null);
    await within(15, "the write rejects", assert.rejects(write));
    assert.equal(await adapter.getUser("never stored"), null);
  });
});

describe("a write that is committed and waits for a standby", () => {
  let server;
  before(async () => {
    server = await startServer({ settings: { synchronous_standby_names: "nobody" } });
  });
  after(() => server?.stop());

  test("rejects with OUTCOME_UNKNOWN when its connection is terminated, and is not done again", limit, async (t) => {
    const sql = connect(server.url(), { max: 1, onnotice() {}, connection: { synchronous_commit: "local" } });
    t.after(() => sql.end());
    await createTables(sql);
    await populate(sql);
    await dropConstraints(sql);
    const { adapter, name } = openAdapter(t, server.url());
    await read(adapter, "getUser", 1);
    const signUps = new SignUps();
    const signUp = signUps.one(adapter);
    await eventually(10, "the sign-up waits for a standby", async () => (await sql`
      SELECT 1 FROM pg_stat_activity WHERE application_name = ${name} AND wait_event = 'SyncRep'`).length === 1);
    await terminate(sql, name);
    const { id, error } = await within(10, "the sign-up settles", signUp);
    assert.equal(error?.code, "OUTCOME_UNKNOWN");
    assert.equal((await adapter.getUser(id)).id, id);
    assert.deepEqual(await signUps.audit(sql), NOTHING_WRONG);
  });
});
