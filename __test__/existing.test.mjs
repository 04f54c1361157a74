// The seed's own signature: an existing `postgres` instance, or a `pg.Pool`, where others give a connection string.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createConnection } from "node:net";
import { after, before, describe, test } from "node:test";
import { inspect } from "node:util";

import { LuciaError } from "lucia";
import pg from "pg";
import connect from "postgres";

import { postgres } from "../index.js";
import { freePort } from "../tools/server.mjs";
import { eventually } from "./support/bounded.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { createWhoami, whoami, whoamiAdapter } from "./support/whoami.mjs";

const quiet = { onnotice: () => {} };

let database;
let parts;

before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await createWhoami(database.sql);
  const { hostname, port, username, password, pathname } = new URL(database.url);
  parts = {
    host: hostname,
    port: Number(port || 5432),
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1),
  };
});

after(() => database?.drop());

/** Two users with one id, so that the database has something to complain about. */
async function duplicateUser(connection, options) {
  const initializer = postgres(connection, tableNames, options);
  const adapter = initializer(LuciaError);
  try {
    await adapter.setUser({ id: "twice", username: null }, null);
    return await adapter.setUser({ id: "twice", username: null }, null).catch((reason) => reason);
  } finally {
    await database.sql`DELETE FROM auth_user WHERE id = 'twice'`;
    await initializer.end();
  }
}

const sessionsOf = async (name) => {
  const [{ count }] = await database.sql`SELECT count(*)::int FROM pg_stat_activity WHERE application_name = ${name}`;
  return count;
};

describe("an instance of `postgres`", () => {
  const instances = {
    "made from a connection string": () => connect(database.url, quiet),
    "made from options": () => connect({ ...parts, ...quiet }),
    "made from a connection string and options": () => connect(`postgres://${parts.host}:1/wrong`, { ...parts, ...quiet }),
    "with a password that is a function": () => connect({ ...parts, ...quiet, password: () => parts.password }),
    "with a password that is an asynchronous function": () => connect({ ...parts, ...quiet, password: async () => parts.password }),
    "that has been used": async () => {
      const sql = connect(database.url, quiet);
      await sql`SELECT 1`;
      return sql;
    },
    "that has been ended": async () => {
      const sql = connect(database.url, quiet);
      await sql.end();
      return sql;
    },
  };
  for (const [title, make] of Object.entries(instances)) {
    test(`${title} tells where to connect`, async () => {
      const sql = await make();
      const { role, database: name } = await whoami(sql);
      assert.deepEqual({ role, name }, { role: parts.username, name: parts.database });
      await sql.end();
    });
  }

  test("tells the session's settings", async () => {
    const connection = { application_name: "instance", statement_timeout: 4321, search_path: "mine,public" };
    const answer = await whoami(connect(`${database.url}?work_mem=5MB`, { connection, ...quiet }));
    assert.equal(answer.application_name, "instance");
    assert.equal(answer.statement_timeout, "4321ms");
    assert.equal(answer.search_path, "mine,public");
    assert.equal(answer.work_mem, "5MB");
  });

  test("tells `max`", async () => {
    const sql = connect(database.url, { max: 2, connection: { application_name: "instance of two" }, ...quiet });
    const { whoami: ask, end } = whoamiAdapter(sql);
    const pids = new Set((await Promise.all(Array.from({ length: 200 }, ask))).map(({ pid }) => pid));
    assert.ok(pids.size <= 2, `${pids.size} connections`);
    await end();
  });

  test("tells `prepare`", async () => {
    const { whoami: ask, end } = whoamiAdapter(connect(database.url, { prepare: false, max: 1, ...quiet }));
    for (let call = 0; call < 5; call += 1) assert.equal((await ask()).prepared, 0);
    await end();
  });

  test("tells `idle_timeout`", async () => {
    const sql = connect(database.url, { idle_timeout: 1, connection: { application_name: "idle instance" }, ...quiet });
    const { whoami: ask, end } = whoamiAdapter(sql);
    await ask();
    assert.equal(await sessionsOf("idle instance"), 1);
    await eventually(10, "the idle connection is closed", async () => await sessionsOf("idle instance") === 0);
    await end();
  });

  test("tells several hosts and `connect_timeout`", async () => {
    const dead = await freePort();
    const options = { ...parts, host: [parts.host, parts.host], port: [dead, parts.port], connect_timeout: 5, ...quiet };
    assert.equal((await whoami(connect(options))).role, parts.username);
  });

  test("tells `onnotice`", async () => {
    await database.sql.unsafe(`
      CREATE FUNCTION greet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'hello %', NEW.id; RETURN NEW; END $$;
      CREATE TRIGGER greet BEFORE INSERT ON auth_user FOR EACH ROW WHEN (NEW.id = 'greeted') EXECUTE FUNCTION greet();
    `);
    const notices = [];
    const initializer = postgres(connect(database.url, { onnotice: (notice) => notices.push(notice.message) }), tableNames);
    await initializer(LuciaError).setUser({ id: "greeted", username: null }, null);
    await eventually(5, "the notice arrives", () => notices.length > 0);
    assert.deepEqual(notices, ["hello greeted"]);
    await initializer.end();
  });

  test("gives way to options", async () => {
    const sql = connect(database.url, { connection: { application_name: "instance" }, ...quiet });
    const answer = await whoami(sql, { connection: { application_name: "option" } });
    assert.equal(answer.application_name, "option");
  });

  test("gives way to options of any name, and only to those that are given", async () => {
    const dead = await freePort();
    const wrong = { ...parts, host: ["127.0.0.1", "127.0.0.1"], port: [dead, dead], database: "nowhere", idle_timeout: 9, ...quiet };
    const options = { hostname: parts.host, port: parts.port, db: parts.database, user: undefined, host: undefined };
    const answer = await whoami(connect(wrong), options);
    assert.deepEqual([answer.role, answer.database], [parts.username, parts.database]);
  });

  const onWindows = process.platform === "win32" && "there are no unix sockets on Windows";
  test("with the path of a unix socket gives way to the option `host`", { skip: onWindows }, async () => {
    const sql = connect({ ...parts, host: undefined, path: `/nowhere/.s.PGSQL.${parts.port}`, ...quiet });
    await assert.rejects(whoami(sql), { code: "ENOENT" });
    assert.equal((await whoami(sql, { host: parts.host, port: parts.port })).role, parts.username);
  });

  test("lends its class to database errors", async () => {
    const error = await duplicateUser(connect(database.url, quiet));
    assert.ok(error instanceof connect.PostgresError, inspect(error));
    assert.ok(error instanceof Error);
    assert.equal(error.name, "PostgresError");
    assert.equal(error.code, "23505");
    assert.equal(error.table_name, "auth_user");
    assert.equal(error.constraint_name, "auth_user_pkey");
    assert.match(error.stack, /^PostgresError: duplicate key/);
  });

  test("lends its own class, where the package was loaded twice", async () => {
    const another = createRequire(import.meta.url)("postgres");
    assert.notEqual(another.PostgresError, connect.PostgresError);
    const error = await duplicateUser(another(database.url, quiet));
    assert.ok(error instanceof another.PostgresError, inspect(error));
    assert.ok(!(error instanceof connect.PostgresError));
  });

  test("leaves Lucia's errors to the class that Lucia hands over", async () => {
    const initializer = postgres(connect(database.url, quiet), tableNames);
    const key = { id: "username:nobody", user_id: "nobody", hashed_password: null };
    const error = await initializer(LuciaError).setKey(key).catch((reason) => reason);
    assert.ok(error instanceof LuciaError, inspect(error));
    assert.equal(error.message, "AUTH_INVALID_USER_ID");
    await initializer.end();
  });

  test("goes on working when the adapter is ended", async () => {
    const sql = connect(database.url, quiet);
    await sql`SELECT 1`;
    await whoami(sql);
    assert.deepEqual([...await sql`SELECT 1 AS one`], [{ one: 1 }]);
    await sql.end();
  });

  test("with `socket` is refused with a message that names it", () => {
    const sql = connect({ ...parts, ...quiet, socket: () => createConnection(parts.port, parts.host) });
    assert.throws(() => postgres(sql, tableNames), /\bsocket\b/);
  });
});

describe("a `pg.Pool`", () => {
  const options = () => ({ host: parts.host, port: parts.port, user: parts.username, database: parts.database });
  const pools = {
    "made from a connection string": () => new pg.Pool({ connectionString: database.url }),
    "made from options": () => new pg.Pool({ ...options(), password: parts.password }),
    "with a password that is a function": () => new pg.Pool({ ...options(), password: () => parts.password }),
    "with a password that is an asynchronous function": () => new pg.Pool({ ...options(), password: async () => parts.password }),
    "that has been used": async () => {
      const pool = new pg.Pool({ connectionString: database.url });
      await pool.query("SELECT 1");
      return pool;
    },
  };
  for (const [title, make] of Object.entries(pools)) {
    test(`${title} tells where to connect`, async () => {
      const pool = await make();
      const { role, database: name } = await whoami(pool);
      assert.deepEqual({ role, name }, { role: parts.username, name: parts.database });
      await pool.end();
    });
  }

  test("tells the session's settings", async () => {
    const pool = new pg.Pool({
      connectionString: database.url, application_name: "pool", statement_timeout: 4321, lock_timeout: 7000,
      options: "-c work_mem=5MB",
    });
    const answer = await whoami(pool);
    assert.equal(answer.application_name, "pool");
    assert.equal(answer.statement_timeout, "4321ms");
    assert.equal(answer.lock_timeout, "7s");
    assert.equal(answer.work_mem, "5MB");
  });

  test("tells `max`, and its times in milliseconds", async () => {
    const pool = new pg.Pool({
      connectionString: database.url, application_name: "idle pool", max: 2, idleTimeoutMillis: 1000,
      connectionTimeoutMillis: 5000, maxLifetimeSeconds: 60, query_timeout: 20_000,
    });
    const { whoami: ask, end } = whoamiAdapter(pool);
    const pids = new Set((await Promise.all(Array.from({ length: 200 }, ask))).map(({ pid }) => pid));
    assert.ok(pids.size <= 2, `${pids.size} connections`);
    await eventually(10, "the idle connections are closed", async () => await sessionsOf("idle pool") === 0);
    await end();
  });

  test("made from a connection string and options tells what `pg` makes of them", async () => {
    const pool = new pg.Pool({ connectionString: database.url, database: "nowhere", password: "wrong", application_name: "beside" });
    const [ours, theirs] = [await whoami(pool), (await pool.query("SELECT * FROM whoami")).rows[0]];
    for (const fact of ["role", "database", "application_name"]) assert.equal(ours[fact], theirs[fact], fact);
    await pool.end();
  });

  test("gives way to options", async () => {
    const pool = new pg.Pool({ connectionString: `postgres://${parts.host}:1/nowhere`, max: 3 });
    const answer = await whoami(pool, parts);
    assert.deepEqual([answer.role, answer.database], [parts.username, parts.database]);
    await pool.end();
  });

  test("gets database errors that carry what those of `pg` carry", async () => {
    const error = await duplicateUser(new pg.Pool({ connectionString: database.url }));
    assert.ok(error instanceof Error);
    const { code, severity, schema, table, constraint } = error;
    assert.deepEqual({ code, severity, schema, table, constraint }, {
      code: "23505", severity: "ERROR", schema: "public", table: "auth_user", constraint: "auth_user_pkey",
    });
    assert.match(error.detail, /twice/);
  });

  test("goes on working when the adapter is ended", async () => {
    const pool = new pg.Pool({ connectionString: database.url });
    await whoami(pool);
    assert.deepEqual((await pool.query("SELECT 1 AS one")).rows, [{ one: 1 }]);
    await pool.end();
  });

  test("with `stream` is refused with a message that names it", () => {
    const pool = new pg.Pool({ connectionString: database.url, stream: () => createConnection(parts.port, parts.host) });
    assert.throws(() => postgres(pool, tableNames), /\bstream\b/);
  });
});

describe("what is none of them is refused at once:", () => {
  const strangers = {
    "nothing": undefined, "null": null, "a number": 5432, "a function": () => [], "an array": [],
    "a `pg.Client`": new pg.Client("postgres://app:hunter2@127.0.0.1/app"),
    "a URL object": new URL("postgres://app:hunter2@127.0.0.1/app"),
  };
  for (const [title, stranger] of Object.entries(strangers)) {
    test(title, () => {
      assert.throws(() => postgres(stranger, tableNames), (error) => (
        /first argument|connection/i.test(error.message) && !/hunter2/.test(inspect(error))
      ));
    });
  }
});
