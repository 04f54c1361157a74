// A real PgBouncer in transaction mode: every statement may land on another connection of the server.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { eventually, within } from "./support/bounded.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { startModule } from "./support/environment.mjs";
import { USERS, populate, read, reads } from "./support/load.mjs";
import { pgbouncers, startPgbouncer } from "./support/pgbouncer.mjs";
import { startProxy } from "./support/proxy.mjs";
import { createWhoami, whoamiAdapter } from "./support/whoami.mjs";

const programs = pgbouncers();
const missing = programs.length === 0 && "PgBouncer is not installed (Debian: apt-get install pgbouncer)";

let database;

before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await populate(database.sql);
  await createWhoami(database.sql);
});

after(() => database?.drop());

const names = Object.keys(reads);

/** The life of one user, each step checked. */
async function signUpAndOut(adapter, id) {
  const key = { id: `key of ${id}`, user_id: id, hashed_password: `hash of ${id}` };
  const session = { id: `session of ${id}`, user_id: id, active_expires: 1, idle_expires: 2, country: null };
  await adapter.setUser({ id, username: "new" }, key);
  assert.deepEqual({ ...await adapter.getKey(key.id) }, key);
  await adapter.setSession(session);
  await Promise.all([
    adapter.updateUser(id, { username: `name of ${id}` }),
    adapter.updateSession(session.id, { idle_expires: 3 }),
    adapter.updateKey(key.id, { hashed_password: null }),
  ]);
  const [found, user] = await adapter.getSessionAndUser(session.id);
  assert.equal(found.idle_expires, 3);
  assert.deepEqual([user.id, user.username], [id, `name of ${id}`]);
  await Promise.all([adapter.deleteSession(session.id), adapter.deleteKey(key.id)]);
  assert.deepEqual(await adapter.getSessionAndUser(session.id), [null, null]);
}

/** Forty calls at a time, so that they meet on the pooler's few connections. */
async function work(adapter, prefix, calls = 1200) {
  let next = 0;
  const one = async () => {
    while (next < calls) {
      const n = next;
      next += 1;
      if (n % 10 === 0) await signUpAndOut(adapter, `${prefix} ${n}`);
      else await read(adapter, names[n % names.length], 1 + (n * 7) % USERS);
    }
  };
  await Promise.all(Array.from({ length: 40 }, one));
  const stored = await database.sql`SELECT id, username FROM auth_user WHERE starts_with(id, ${`${prefix} `})`;
  assert.equal(stored.length, Math.ceil(calls / 10));
  assert.ok(stored.every(({ id, username }) => username === `name of ${id}`));
}

async function throughAdapter(use, connection, options) {
  const initializer = postgres(connection, tableNames, options);
  try {
    return await within(60, "the work is done", use(initializer(LuciaError)));
  } finally {
    await initializer.end({ timeout: 5 });
  }
}

/** Statements that the pooler's connections hold, as many different connections tell. */
async function preparedStatements(connection, options) {
  const { whoami, end } = whoamiAdapter(connection, options);
  const answers = await Promise.all(Array.from({ length: 100 }, whoami)).finally(end);
  return Math.max(...answers.map(({ prepared }) => prepared));
}

/** A process that reads in an order of its own, from the given line on, and tells what went wrong. */
const reader = `
  import { once } from "node:events";
  import { LuciaError } from "lucia";
  import { postgres } from "./index.js";
  import { USERS, read } from "./__test__/support/load.mjs";

  const { url, tableNames, order, options } = JSON.parse(process.env.TEST_ARGUMENTS);
  const initializer = postgres(url, tableNames, options);
  const adapter = initializer(LuciaError);
  console.log(JSON.stringify("ready"));
  await once(process.stdin, "data");
  process.stdin.destroy();
  const wrong = [];
  let next = 0;
  const one = async () => {
    while (next < 1000) {
      const n = next++;
      await read(adapter, order[n % order.length], 1 + n % USERS).catch(({ code, message }) => wrong.push({ code, message }));
    }
  };
  for (const name of order) await read(adapter, name, 1).catch(({ code, message }) => wrong.push({ code, message }));
  await Promise.all(Array.from({ length: 20 }, one));
  await initializer.end();
  console.log(JSON.stringify(wrong));
`;

test("pgbouncer=true and `prepare: false` leave no statement behind, pooler or not", async () => {
  assert.equal(await preparedStatements(`${database.url}?pgbouncer=true`), 0);
  assert.equal(await preparedStatements(database.url, { prepare: false }), 0);
});

test("`prepare: false` leaves statements of other programs alone, whatever they are called", async () => {
  const own = await freshDatabase();
  try {
    await createTables(own.sql);
    // As a pooler's server connection: there are statements on it, under names such as the driver's.
    const names = "name ~ '^s[0-9]+$'";
    const prepare = "FOR n IN 1..50 LOOP EXECUTE format('PREPARE s%s AS SELECT 1', n); END LOOP;";
    await own.sql.unsafe(`
      CREATE FUNCTION prepare() RETURNS BIGINT LANGUAGE plpgsql AS $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_prepared_statements WHERE name = 's50') THEN ${prepare} END IF;
        RETURN (SELECT count(*) FROM pg_prepared_statements WHERE ${names}); END $$;
      ALTER TABLE auth_user RENAME TO the_users;
      CREATE VIEW auth_user AS SELECT *, prepare() AS statements FROM the_users;
      INSERT INTO the_users VALUES ('u');
    `);
    const initializer = postgres(own.url, tableNames, { prepare: false, max: 1 });
    const adapter = initializer(LuciaError);
    assert.equal((await adapter.getUser("u")).statements, "50");
    // Each of these is described, beside the statements that are there.
    for (const name of ["getKey", "getSession", "getKeysByUserId", "getSessionsByUserId", "getSessionAndUser"]) await adapter[name]("u");
    assert.equal((await adapter.getUser("u")).statements, "50");
    await initializer.end();
  } finally {
    await own.drop();
  }
});

test("`prepare: false` gives a column that was renamed under its new name", async () => {
  const own = await freshDatabase();
  const initializer = postgres(own.url, tableNames, { prepare: false });
  try {
    await createTables(own.sql);
    await own.sql`INSERT INTO auth_user VALUES ('u', 'Ada')`;
    const adapter = initializer(LuciaError);
    assert.deepEqual(await adapter.getUser("u"), { id: "u", username: "Ada" });
    await own.sql`ALTER TABLE auth_user RENAME username TO name`;
    assert.deepEqual(await adapter.getUser("u"), { id: "u", name: "Ada" });
  } finally {
    await initializer.end();
    await own.drop();
  }
});

test("`prepare: false` looks no type up for a change, also of columns whose types are not built in", async (t) => {
  const own = await freshDatabase();
  t.after(() => own.drop());
  await createTables(own.sql);
  await own.sql.unsafe("CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN small AS INT; ALTER TABLE auth_user ADD mood mood, ADD size small");
  const proxy = await startProxy(own.url);
  t.after(() => proxy.stop());
  const initializer = postgres(proxy.url(own.url), tableNames, { prepare: false, max: 1 });
  t.after(() => initializer.end());
  const adapter = initializer(LuciaError);
  await adapter.setUser({ id: "u", mood: "glad", size: 1 }, null);
  await adapter.updateUser("u", { mood: "sad" });
  await adapter.deleteUser("nobody");
  // Over a new connection, whose driver has looked nothing up.
  proxy.reset();
  await eventually(10, "the connection is gone", () => initializer.stats().connections === 0);
  proxy.record();
  await adapter.setUser({ id: "v", mood: "sad", size: 2 }, null);
  await adapter.updateUser("u", { mood: "glad" });
  await adapter.deleteUser("nobody");
  assert.deepEqual([...proxy.timesSent(/pg_type/g)], []);
  assert.deepEqual((await own.sql`SELECT id, mood FROM auth_user ORDER BY id`).map((row) => ({ ...row })), [{ id: "u", mood: "glad" }, { id: "v", mood: "sad" }]);
});

test("`prepare: false` replaces a connection that was asked for the type of an added column", async (t) => {
  const own = await freshDatabase();
  t.after(() => own.drop());
  await createTables(own.sql);
  await own.sql.unsafe("CREATE TYPE mood AS ENUM ('glad', 'sad'); INSERT INTO auth_user (id) VALUES ('u')");
  const initializer = postgres(own.url, tableNames, { prepare: false, max: 1 });
  t.after(() => initializer.end());
  const adapter = initializer(LuciaError);
  await adapter.getUser("u");
  const { opened } = initializer.stats();
  await own.sql.unsafe("ALTER TABLE auth_user ADD mood mood DEFAULT 'glad'");
  for (let call = 0; call < 3; call++) assert.equal((await adapter.getUser("u")).mood, "glad");
  // One that read the first row with the column, and one over which the statement was described then.
  assert.equal(initializer.stats().opened, opened + 2);
});

/** Several processes at once, each with its own order of statements. */
async function processes(url, options) {
  const orders = [names, names.toReversed?.() ?? [...names].reverse(), [...names.slice(3), ...names.slice(0, 3)]];
  const started = orders.map((order) => (
    startModule(reader, { TEST_ARGUMENTS: JSON.stringify({ url, tableNames, order, options }) })
  ));
  await Promise.all(started.map((each) => each.ready()));
  for (const each of started) each.say("go");
  const answers = await Promise.all(started.map((each) => each.answers()));
  assert.deepEqual(answers, orders.map(() => ["ready", []]));
}

function describePooler({ program, name }, title, settings, tracks) {
  describe(`a pooler ${title}`, () => {
    let pooler;
    const withParameter = (parameter) => `${pooler.url}?${parameter}`;
    const prefix = `${name} ${title}`;

    before(async () => {
      pooler = await startPgbouncer(program, database.url, settings);
    });
    after(() => pooler?.stop());

    test("is found out when nothing is told", () => (
      throughAdapter((adapter) => work(adapter, `${prefix}, untold`), pooler.url)
    ));

    test("is served with `prepare: false`", async () => {
      await throughAdapter((adapter) => work(adapter, `${prefix}, prepare: false`), pooler.url, { prepare: false });
    });

    test("is served with pgbouncer=true", async () => {
      await throughAdapter((adapter) => work(adapter, `${prefix}, pgbouncer`), withParameter("pgbouncer=true"));
    });

    if (tracks) {
      test("is served with `prepare: true`, which prepares through it", async () => {
        await throughAdapter((adapter) => work(adapter, `${prefix}, prepare: true`), pooler.url, { prepare: true });
        assert.ok(await preparedStatements(pooler.url, { prepare: true }) > 0);
        await processes(pooler.url, { prepare: true });
      });
    }

    test("serves several processes at once, none of which gets another's rows", () => processes(pooler.url));

    const showsColumn = (options) => throughAdapter(async (adapter) => {
      const everyUser = () => Promise.all(Array.from({ length: USERS }, (_, n) => adapter.getUser(`u${n + 1}`)));
      await everyUser();
      await database.sql.unsafe("ALTER TABLE auth_user ADD COLUMN added TEXT DEFAULT 'later'");
      try {
        const found = await everyUser();
        assert.deepEqual(found.map(({ id, added }) => [id, added]), found.map((_, n) => [`u${n + 1}`, "later"]));
      } finally {
        await database.sql.unsafe("ALTER TABLE auth_user DROP COLUMN added");
      }
      const found = await everyUser();
      assert.ok(found.every((user, n) => user.id === `u${n + 1}` && !("added" in user)));
    }, pooler.url, options);

    test("shows a column that was added while it was in use", async () => {
      await showsColumn();
      if (tracks) await showsColumn({ prepare: true });
    });
  });
}

const tracking = {
  "that tracks prepared statements": { max_prepared_statements: 100 },
  "that tracks few prepared statements": { max_prepared_statements: 2 },
};

for (const each of programs) {
  describe(each.name, () => {
    // Since 1.21 statements are tracked unless it is switched off.
    const untracked = each.version < 121 ? {} : { max_prepared_statements: 0 };
    const start = (settings) => startPgbouncer(each.program, database.url, { ...untracked, ...settings });

    describePooler(each, "that does not know prepared statements", untracked, false);
    if (each.version >= 121) {
      for (const [title, settings] of Object.entries(tracking)) describePooler(each, title, settings, true);
    }

    test("that closes every connection of the server after its use is found out", async (t) => {
      const pooler = await start({ server_lifetime: 0 });
      t.after(() => pooler.stop());
      await throughAdapter((adapter) => work(adapter, `${each.name}, short-lived`, 300), pooler.url);
    });

    test("that was told of keeps no statement for the adapter", async (t) => {
      const pooler = await start();
      t.after(() => pooler.stop());
      assert.equal(await preparedStatements(pooler.url, { prepare: false }), 0);
      assert.equal(await preparedStatements(`${pooler.url}?pgbouncer=true`), 0);
    });

    test("on port 6543 needs not be told of", async (t) => {
      const probe = createServer().listen(6543, "127.0.0.1");
      if (!await once(probe, "listening").then(() => true, () => false)) {
        t.skip("something else listens on port 6543 of this machine");
        return;
      }
      probe.close();
      await once(probe, "close");
      const pooler = await start({ listen_port: 6543 });
      t.after(() => pooler.stop());
      assert.equal(await preparedStatements(pooler.url), 0);
    });
  });
}

test("PgBouncer is there", { skip: missing }, () => assert.ok(programs.length > 0));

const newest = Math.max(...programs.map(({ version }) => version));
const old = newest < 121 && "PgBouncer tracks prepared statements since 1.21, and none is newer (see tools/pgbouncer.sh)";
if (missing || old) {
  for (const title of Object.keys(tracking)) describe(`a pooler ${title}`, { skip: missing || old }, () => {});
}
