// Connections that are cut and servers that go away: every call settles, reads survive, no write is lost or done twice.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";

import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { connectionsOf, openAdapter, terminate, waitingStatements } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { dropConstraints, Load, NOTHING_WRONG, Outcome, populate, read, reads, SignUps } from "./support/load.mjs";
import { startProxy } from "./support/proxy.mjs";
import { seeded } from "./support/random.mjs";

const random = seeded();
/** So that a call which never settles fails its own test only. */
const limit = { timeout: 40_000 };
let database;
/** The same tables without a constraint, where whatever is sent twice is stored twice. */
let unconstrained;

before(async () => {
  [database, unconstrained] = await Promise.all([freshDatabase(), freshDatabase()]);
  for (const { sql } of [database, unconstrained]) {
    await createTables(sql);
    await populate(sql);
  }
  await dropConstraints(unconstrained.sql);
});
after(() => Promise.all([database?.drop(), unconstrained?.drop()]));

async function proxied(t, url = unconstrained.url) {
  const proxy = await startProxy(url);
  t.after(() => proxy.stop());
  return proxy;
}

/** An adapter behind a proxy, which has already done a read and a sign-up. */
async function connected(t, { url = unconstrained.url, ...options } = {}) {
  const proxy = await proxied(t, url);
  proxy.record();
  const opened = openAdapter(t, proxy.url(url), options);
  const signUps = new SignUps();
  for (const name of Object.keys(reads)) await read(opened.adapter, name, 1);
  await signUps.one(opened.adapter);
  const audit = () => signUps.audit(unconstrained.sql, proxy.timesSent(SignUps.SENT));
  return { ...opened, proxy, signUps, audit };
}

/** Rejections are allowed for calls that a fault caught between being sent and being answered, and say so. */
function onlyUnknown({ pending, rejected, codes }, atMost = Infinity) {
  assert.deepEqual({ pending, codes }, { pending: 0, codes: rejected === 0 ? {} : { OUTCOME_UNKNOWN: rejected } });
  assert.ok(rejected <= atMost, `${rejected} calls were rejected, but only ${atMost} can have been under way`);
}

function noneRejected({ rejected, pending, codes }) {
  assert.deepEqual({ rejected, pending, codes }, { rejected: 0, pending: 0, codes: {} });
}

const unknown = { code: "OUTCOME_UNKNOWN" };

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

describe("a server that stops answering", () => {
  test("rejects a read after query_timeout, and later reads go over new connections", limit, async (t) => {
    const { adapter, proxy } = await connected(t, { max: 1, query_timeout: 1 });
    for (const name of ["getUser", "getSessionAndUser"]) {
      for (const connection of proxy.connections) connection.stall();
      await within(5, "the read rejects", assert.rejects(read(adapter, name, 4), { code: "QUERY_TIMEOUT" }));
      await within(10, "later reads are answered", Promise.all([5, 6, 7].map((n) => read(adapter, name, n))));
    }
  });

  test("rejects a write after query_timeout, and it is not sent again", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1, query_timeout: 1 });
    for (const connection of proxy.connections) connection.stall();
    const { error } = await within(5, "the sign-up rejects", signUps.one(adapter));
    assert.match(error.code, /^(QUERY_TIMEOUT|OUTCOME_UNKNOWN)$/);
    await within(10, "the next read is answered", read(adapter, "getUser", 7));
    assert.equal((await audit()).sentTwice, 0);
  });

  test("and accepts nothing new rejects calls after connect_timeout, none of which is done later", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1, connect_timeout: 1 });
    proxy.stall();
    proxy.reset();
    await within(3, "the read rejects", assert.rejects(adapter.getUser("u1"), { code: "CONNECT_TIMEOUT" }));
    const { id, error } = await within(3, "the sign-up rejects", signUps.one(adapter));
    assert.equal(error.code, "CONNECT_TIMEOUT");
    proxy.resume();
    await read(adapter, "getUser", 1);
    assert.equal(await adapter.getUser(id), null);
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  test("or refuses for longer than connect_timeout rejects calls, none of which is done later", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1, connect_timeout: 1 });
    await proxy.refuse();
    const reading = assert.rejects(adapter.getUser("u1"), { code: /^(CONNECT_TIMEOUT|ECONNREFUSED)$/ });
    await within(3, "the read rejects", reading);
    const { id, error } = await within(3, "the sign-up rejects", signUps.one(adapter));
    assert.match(error.code, /^(CONNECT_TIMEOUT|ECONNREFUSED)$/);
    await proxy.accept();
    await read(adapter, "getUser", 1);
    assert.equal(await adapter.getUser(id), null);
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  const onLinux = process.platform === "linux" ? false : "the state of sockets is read from Linux's /proc/net/tcp";
  test("is looked for with TCP keep-alive", { ...limit, skip: onLinux }, async (t) => {
    const { proxy } = await connected(t, { max: 1 });
    const port = proxy.port.toString(16).toUpperCase().padStart(4, "0");
    // The adapter's sockets are those whose remote port is the proxy's; state 01 is established, timer 02 keep-alive.
    const timers = () => readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
      .filter(([, , remote, state]) => remote?.endsWith(`:${port}`) && state === "01")
      .map((fields) => fields[5].slice(0, 2));
    await eventually(5, "every socket has a keep-alive timer", () => {
      const kinds = timers();
      return kinds.length > 0 && kinds.every((kind) => kind === "02");
    });
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

describe("a server that stops and starts", () => {
  let server;
  let sql;
  before(async () => {
    server = await startServer();
    sql = connect(server.url(), { max: 1, onnotice() {} });
    await createTables(sql);
    await populate(sql);
    await sql.end();
  });
  after(() => server?.stop());

  const stops = [
    ["fast", 0], ["immediate", 0], ["fast", 2], ["immediate", 2],
  ];
  for (const [mode, seconds] of stops) {
    const away = seconds === 0 ? "at once" : `after ${seconds} s`;
    test(`in ${mode} mode and ${away} fails no read, and rejects only what was under way`, limit, async (t) => {
      const { adapter } = openAdapter(t, server.url());
      await read(adapter, "getUser", 1);
      const load = new Load(adapter, random.split());
      t.after(() => load.stop(1));
      await load.more(100);
      t.after(() => server.process ?? server.start());
      await server.halt(mode);
      // How long the server is away; nothing is waited for.
      if (seconds > 0) await pass(seconds * 1000);
      await server.start();
      await load.more(100);
      const counts = await load.stop();
      t.diagnostic(JSON.stringify(counts));
      noneRejected(counts.reads);
      onlyUnknown(counts.signUps, 16);
      sql = connect(server.url(), { max: 1 });
      t.after(() => sql.end());
      assert.deepEqual(await load.signUps.audit(sql), NOTHING_WRONG);
    });
  }
});

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
