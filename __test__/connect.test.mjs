// How the adapter finds its way to the server: connection strings, options, and a function for the password.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { eventually, within } from "./support/bounded.mjs";
import { tableNames } from "./support/database.mjs";
import { createLogin, deadPort, local, logins, patience, server, sql, superuser, withoutSockets } from "./support/reachable.mjs";
import { whoami, whoamiAdapter } from "./support/whoami.mjs";

const supabase = "postgres.abcdefghijklmnopqrst";
const odd = "p@ss:w/rd?#[]%&=+ é'\"\\";

describe("a connection string works as it was handed out:", () => {
  const strings = [
    ["plain", "postgres://app:secret@HOST/app"],
    ["with the scheme postgresql", "postgresql://app:secret@HOST/app", { ssl: false }],
    ["without a database, which is then called like the user", "postgres://app:secret@HOST"],
    ["without a database after the slash", "postgres://app:secret@HOST/"],
    ["Neon", "postgresql://neondb_owner:npg_Xa1bC2dE3fGh@HOST/neondb?sslmode=require&channel_binding=require", { ssl: true }],
    ["Supabase, direct", "postgresql://postgres:postgres@HOST/postgres"],
    ["Supabase, session pooler", `postgresql://${supabase}:pw-1@HOST/postgres`],
    ["Supabase, transaction pooler", `postgres://${supabase}:pw-1@HOST/postgres?pgbouncer=true`, { prepared: 0 }],
    ["Supabase, for Prisma", `postgres://${supabase}:pw-1@HOST/postgres?pgbouncer=true&connection_limit=1`],
    ["Supabase, as Vercel sets it", `postgres://${supabase}:pw-1@HOST/postgres?sslmode=require&supa=base-pooler.x`,
      { ssl: true }],
    ["Vercel", "postgres://default:vKx9Q2@HOST/verceldb?sslmode=require", { ssl: true }],
    ["Vercel, for Prisma", "postgres://default:vKx9Q2@HOST/verceldb?pgbouncer=true&connect_timeout=15&sslmode=require",
      { ssl: true }],
    ["Vercel, with its workaround", "postgres://default:vKx9Q2@HOST/verceldb?workaround=supabase-pooler.vercel"],
    ["RDS", "postgres://master:Rds-1!@HOST/postgres?sslmode=verify-full&sslrootcert=CERTIFICATES", { ssl: true }],
    ["RDS, not verified", "postgres://master:Rds-1!@HOST/postgres?sslmode=no-verify", { ssl: true }],
    ["Azure", "postgres://keeper%40myserver:Az-1@HOST/postgres?sslmode=require", { ssl: true }, "keeper@myserver"],
    ["Heroku", "postgres://u7k2m9q:p4f1c8@HOST/d3h5j7k?sslmode=no-verify", { ssl: true }],
    ["DigitalOcean", "postgresql://doadmin:AVNS_x_Y1@HOST/defaultdb?sslmode=require", { ssl: true }],
    ["Fly", "postgres://app:secret@HOST/app?sslmode=disable", { ssl: false }],
    ["Prisma", "postgresql://app:secret@HOST/app?schema=public&connection_limit=5&pool_timeout=10&sslaccept=accept_invalid_certs"],
    ["Prisma, with a schema of its own", "postgresql://app:secret@HOST/app?schema=My%20Auth&connect_timeout=5&socket_timeout=9",
      { search_path: "\"My Auth\"" }],
    ["pg with libpq's meaning", "postgres://app:secret@HOST/app?uselibpqcompat=true&sslmode=require", { ssl: true }],
    ["with parameters nobody knows", "postgres://app:secret@HOST/app?foo=bar&x_y=1&empty="],
    ["with what other drivers know", "postgres://app:secret@HOST/app?ApplicationName=x&prepareThreshold=5&pool=5&timeout=5000"
      + "&supa=base-pooler.x&workaround=x&tcp_user_timeout=9&load_balance_hosts=random&sslidentity=client.p12&encoding=utf8",
    { application_name: "lucia-postgres-native", ssl: false }],
    ["percent-encoded", `postgres://odd%20user:${encodeURIComponent(odd)}@HOST/my%20d%C3%A4ta`, {}, "odd user", odd],
    ["with @ in the password", "postgres://at:one@two@three@HOST/app", {}, "at", "one@two@three"],
    ["with + in the password", "postgres://plus:one+two@HOST/app", {}, "plus", "one+two"],
    ["several hosts", "postgres://app:secret@127.0.0.1:DEAD,HOST/app"],
    ["several hosts and parameters", "postgres://app:secret@127.0.0.1:DEAD,localhost:DEAD,HOST/app?application_name=three",
      { application_name: "three" }],
  ];
  const settings = [
    ["application_name", "application_name=my%20app", { application_name: "my app" }],
    ["search_path", "search_path=mine,public", { search_path: "mine,public" }],
    ["currentSchema, as JDBC calls the path", "currentSchema=mine,public", { search_path: "mine,public" }],
    ["statement_timeout", "statement_timeout=4321", { statement_timeout: "4321ms" }],
    ["several at once", "lock_timeout=7s&TimeZone=Asia/Tokyo&work_mem=5MB",
      { lock_timeout: "7s", timezone: "Asia/Tokyo", work_mem: "5MB" }],
    ["options", "options=-c%20lock_timeout%3D7s%20-c%20work_mem%3D5MB", { lock_timeout: "7s", work_mem: "5MB" }],
    ["options beside a setting", "options=-c%20lock_timeout%3D7s&work_mem=5MB", { lock_timeout: "7s", work_mem: "5MB" }],
    ["a value with a blank and a backslash", "application_name=a%20b%5Cc", { application_name: "a b\\c" }],
    ["a path with a quoted name", "search_path=%22my%20schema%22,public", { search_path: "\"my schema\",public" }],
  ];
  for (const [title, query, facts] of settings) {
    strings.push([`the session setting ${title}`, `postgres://app:secret@HOST/app?${query}`, facts]);
  }

  for (const [title, url, facts = {}, role, password] of strings) {
    test(title, async () => {
      const [, user, word, name] = /:\/\/([^:]*):(.*)@[^@/]*\/?([^?]*)/.exec(url);
      const expected = {
        role: role ?? user, database: decodeURIComponent(name || user), port: server.port, ...facts,
      };
      await createLogin(expected.role, password ?? word, expected.database);
      const answer = await whoami(local(url), patience);
      for (const [fact, value] of Object.entries(expected)) assert.equal(answer[fact], value, fact);
    });
  }

  const sockets = [
    ["host= in place of the host", "postgres://app:secret@localhost/app?host=SOCKET&port=PORT"],
    ["host= without a host", "postgres://app:secret@/app?host=SOCKET&port=PORT"],
    ["everything in parameters", "postgresql:///app?host=SOCKET&port=PORT&user=app&password=secret"],
    ["a percent-encoded host", "postgres://app:secret@ENCODED_SOCKET:PORT/app"],
  ];
  for (const [title, url] of sockets) {
    test(`a unix socket as ${title}`, { skip: withoutSockets }, async () => {
      const { role, database, address } = await whoami(local(url), patience);
      assert.deepEqual({ role, database, address }, { role: "app", database: "app", address: null });
    });
  }

  test("IPv6", async (t) => {
    const probe = createServer().listen(0, "::1");
    const available = await once(probe, "listening").then(() => true, () => false);
    if (!available) {
      t.skip("this machine has no IPv6 loopback address");
      return;
    }
    probe.close();
    assert.equal((await whoami(local("postgres://app:secret@[::1]:PORT/app"), patience)).address, "::1/128");
    assert.equal((await whoami(local("postgres://app:secret@[::1]:DEAD,[::1]:PORT/app"), patience)).address, "::1/128");
  });
});

describe("options", () => {
  const login = () => ({ host: "127.0.0.1", port: server.port, database: "app", username: "app", password: "secret" });

  test("in place of the connection string say everything", async () => {
    const { role, database, port } = await whoami({ ...login(), ...patience });
    assert.deepEqual({ role, database, port }, { role: "app", database: "app", port: server.port });
  });

  test("name several hosts and ports", async () => {
    const options = { ...login(), host: ["127.0.0.1", "127.0.0.1"], port: [deadPort, server.port] };
    assert.equal((await whoami(options)).port, server.port);
  });

  test("`path` is the unix socket", { skip: withoutSockets }, async () => {
    const path = join(server.socketDirectory, `.s.PGSQL.${server.port}`);
    assert.equal((await whoami({ database: "app", username: "app", password: "secret", path })).address, null);
  });

  test("`host` may be the folder of the unix socket", { skip: withoutSockets }, async () => {
    assert.equal((await whoami({ ...login(), host: server.socketDirectory })).address, null);
  });

  test("override the connection string", async () => {
    await createLogin("other", "other secret", "app");
    const url = local("postgres://wrong:wrong@127.0.0.1:DEAD/wrong?sslmode=disable");
    const { role, database, ssl } = await whoami(url, { ...login(), username: "other", password: "other secret", ssl: "require" });
    assert.deepEqual({ role, database, ssl }, { role: "other", database: "app", ssl: true });
  });

  test("`connection` holds session settings", async () => {
    const connection = { application_name: "the app", statement_timeout: 4321, search_path: "mine, public" };
    const answer = await whoami({ ...login(), connection });
    assert.equal(answer.application_name, "the app");
    assert.equal(answer.statement_timeout, "4321ms");
    assert.equal(answer.search_path, "mine, public");
  });

  test("`prepare: false` leaves no statement behind on the server", async () => {
    const { whoami: ask, end } = whoamiAdapter({ ...login(), prepare: false, max: 1 });
    for (let call = 0; call < 5; call += 1) assert.equal((await ask()).prepared, 0);
    await end();
  });

  test("a limit that is out of all proportion does no harm", async () => {
    assert.throws(() => postgres({ ...login(), max: 999_999_999 }, tableNames), /`max` must be .* up to/);
    for (const option of ["keep_alive", "idle_timeout", "connect_timeout", "max_lifetime", "query_timeout", "max_pipeline"]) {
      assert.equal((await whoami({ ...login(), [option]: 999_999_999 })).role, "app", option);
    }
    assert.equal((await whoami({ ...login(), keep_alive: 0.001, max: 200_000 })).role, "app");
  });

  test("`max_pipeline` is accepted, and limits no connection", async () => {
    const { whoami: ask, end } = whoamiAdapter({ ...login(), max: 1, max_pipeline: 1 });
    const answers = await Promise.all(Array.from({ length: 100 }, ask));
    assert.deepEqual([...new Set(answers.map(({ role }) => role))], ["app"]);
    assert.equal(new Set(answers.map(({ pid }) => pid)).size, 1);
    assert.throws(() => postgres({ ...login(), max_pipeline: 0 }, tableNames), /max_pipeline/);
    await end();
  });

  const sessionsOf = (name) => superuser`SELECT pid, wait_event_type FROM pg_stat_activity WHERE application_name = ${name}`;

  test("`max` limits the connections", async () => {
    const options = { ...login(), username: "postgres", password: "postgres", connection: { application_name: "limited" } };
    const initializer = postgres({ ...options, max: 3 }, tableNames);
    const adapter = initializer(LuciaError);
    let calls;
    await sql.begin(async (transaction) => {
      await transaction`LOCK TABLE auth_user IN EXCLUSIVE MODE`;
      calls = Array.from({ length: 200 }, (_, n) => adapter.setUser({ id: `limited ${n}`, username: null }, null));
      // One connection is left to reads.
      calls.push(adapter.getUser("limited 0"));
      const three = async () => {
        const { length } = await sessionsOf("limited");
        assert.ok(length <= 3, `${length} connections`);
        return length === 3;
      };
      await eventually(10, "there are three connections", three);
    });
    await Promise.all(calls);
    assert.equal((await sessionsOf("limited")).length, 3);
    await initializer.end();
  });

  test("`idle_timeout` closes a connection that nobody uses", async () => {
    const { whoami: ask, end } = whoamiAdapter({ ...login(), idle_timeout: 1, connection: { application_name: "idler" } });
    await ask();
    assert.equal((await sessionsOf("idler")).length, 1);
    await eventually(10, "the idle connection is closed", async () => (await sessionsOf("idler")).length === 0);
    assert.equal((await ask()).role, "app");
    await end();
  });

  test("`max_lifetime` replaces a connection that is in use", async () => {
    const { whoami: ask, end } = whoamiAdapter({ ...login(), max: 1, max_lifetime: 1 });
    const { pid } = await ask();
    assert.equal((await ask()).pid, pid);
    await eventually(10, "another connection answers", async () => (await ask()).pid !== pid);
    await end();
  });

  test("`query_timeout` rejects the call and cancels the statement", async () => {
    const options = { ...login(), username: "postgres", password: "postgres", connection: { application_name: "impatient" } };
    const initializer = postgres({ ...options, query_timeout: 1 }, tableNames);
    const adapter = initializer(LuciaError);
    await sql.begin(async (transaction) => {
      await transaction`LOCK TABLE auth_user IN EXCLUSIVE MODE`;
      const call = adapter.setUser({ id: "impatient", username: null }, null);
      await assert.rejects(within(10, "the call settles", call), { code: "QUERY_TIMEOUT" });
      const cancelled = async () => (await sessionsOf("impatient")).every((session) => session.wait_event_type !== "Lock");
      await eventually(10, "no session waits for the lock", cancelled);
    });
    assert.equal(await adapter.getUser("impatient"), null);
    await initializer.end();
  });

  test("`onnotice` hears what the server has to say", async () => {
    await sql.unsafe(`
      CREATE FUNCTION greet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.id = 'greeted' THEN RAISE NOTICE 'hello %', NEW.id USING ERRCODE = '01ABC'; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER greet BEFORE INSERT ON auth_user FOR EACH ROW EXECUTE FUNCTION greet();
    `);
    let initializer;
    const heard = new Promise((resolve) => {
      initializer = postgres(server.url("app"), tableNames, { onnotice: resolve });
    });
    await initializer(LuciaError).setUser({ id: "greeted", username: null }, null);
    const { message, severity, code } = await within(5, "the notice arrives", heard);
    assert.deepEqual({ message, severity, code }, { message: "hello greeted", severity: "NOTICE", code: "01ABC" });
    await initializer.end();
  });

  const misspelled = {
    idletimeout: "idle_timeout", maxx: "max", conect_timeout: "connect_timeout", max_lifetim: "max_lifetime",
    pasword: "password", userame: "username", query_timout: "query_timeout", targetSessionAttrs: "target_session_attrs",
    databse: "database", onNotice: "onnotice", sslNegotiation: "sslnegotiation",
  };
  for (const [wrong, right] of Object.entries(misspelled)) {
    test(`the unknown option \`${wrong}\` is refused, and \`${right}\` suggested`, () => {
      const named = (error) => new RegExp(`\\b${wrong}\\b`).test(error.message) && new RegExp(`\\b${right}\\b`).test(error.message);
      assert.throws(() => postgres(server.url("app"), tableNames, { [wrong]: "hunter2" }), named);
      assert.throws(() => postgres({ ...login(), [wrong]: "hunter2" }, tableNames), named);
    });
  }
});

describe("a password that is a function", () => {
  for (const [kind, wrap] of [["synchronous", (word) => word], ["asynchronous", async (word) => word]]) {
    test(`and ${kind} is asked at every new connection, and only then`, async () => {
      await createLogin("rotating", "first", "app");
      let asked = 0;
      const password = () => {
        asked += 1;
        return wrap(logins.get("rotating"));
      };
      const options = { password, max: 1, ...patience };
      const { whoami: ask, end } = whoamiAdapter(local("postgres://rotating@HOST/app"), options);
      const { pid } = await ask();
      assert.equal((await ask()).pid, pid);
      assert.equal(asked, 1);
      await createLogin("rotating", "second", "app");
      await superuser`SELECT pg_terminate_backend(${pid}, 5000)`;
      assert.notEqual((await ask()).pid, pid);
      assert.equal(asked, 2);
      await end();
    });
  }

  test("and fails makes the call reject with the name and the code of its error, which is the cause", async () => {
    const reason = Object.assign(new RangeError("the token of hunter2 is void"), { code: "EVOID" });
    const failing = [
      () => {
        throw reason;
      },
      () => Promise.reject(reason),
    ];
    for (const password of failing) {
      const asking = whoami(local("postgres://app@HOST/app"), { password, ...patience });
      await assert.rejects(asking, ({ code, message, cause }) => (
        code === "PASSWORD_FAILED" && message.endsWith("RangeError EVOID") && !message.includes("hunter2") && cause === reason
      ));
    }
  });

  test("and throws what is no error makes the call reject with just that as its cause", async () => {
    const unreadable = { get name() { throw new Error("no name"); } };
    for (const thrown of [undefined, null, "hunter2", unreadable]) {
      const asking = whoami(local("postgres://app@HOST/app"), { password: () => Promise.reject(thrown), ...patience });
      await assert.rejects(asking, (error) => (
        error.code === "PASSWORD_FAILED" && Object.hasOwn(error, "cause") && error.cause === thrown && !error.message.includes("hunter2")
      ));
    }
  });

  test("and returns no string makes the call reject", async () => {
    await assert.rejects(whoami(local("postgres://app@HOST/app"), { password: () => 42, ...patience }), {
      code: "PASSWORD_FAILED",
      cause: new TypeError("the function `password` must give a string"),
    });
  });
});
