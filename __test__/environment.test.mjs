// How the environment leads to the server: libpq's variables, and the password file.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import { whoamiIn } from "./support/environment.mjs";
import { createLogin, deadPort, home, local, server, withoutSockets } from "./support/reachable.mjs";

describe("the environment", { concurrency: 2 }, () => {
  const base = () => ({ PGHOST: "127.0.0.1", PGPORT: `${server.port}`, PGUSER: "app", PGPASSWORD: "secret", PGDATABASE: "app" });
  const passwordFile = (name, text, mode = 0o600) => {
    const path = join(home, name);
    writeFileSync(path, text, { mode });
    return path;
  };
  const unreachable = { PGHOST: "127.0.0.1", PGPORT: "1", PGUSER: "nobody", PGPASSWORD: "wrong", PGDATABASE: "nowhere" };

  const cases = {
    "says everything": [base, undefined, {}],
    "completes a connection string": [base, "postgres://", {}],
    "gives way to the connection string": [() => unreachable, "postgres://app:secret@HOST/app", {}],
    "gives way to options": [() => unreachable, () => (
      { host: "127.0.0.1", port: server.port, username: "app", password: "secret", database: "app" }
    ), {}],
    "lets the database be called like the user": [() => ({ ...base(), PGDATABASE: "" }), undefined, {}],
    "names several hosts": [() => (
      { ...base(), PGHOST: "127.0.0.1,127.0.0.1", PGPORT: `${deadPort},${server.port}` }
    ), undefined, {}],
    "names the application": [() => ({ ...base(), PGAPPNAME: "from outside" }), undefined, { application_name: "from outside" }],
    "holds session settings": [() => ({ ...base(), PGOPTIONS: "-c lock_timeout=7s" }), undefined, { lock_timeout: "7s" }],
    "holds the time zone": [() => ({ ...base(), PGTZ: "Asia/Tokyo" }), undefined, { timezone: "Asia/Tokyo" }],
    "holds PGSSLMODE=require": [() => ({ ...base(), PGSSLMODE: "require" }), undefined, { ssl: true }],
    "holds PGSSLMODE=disable": [() => ({ ...base(), PGSSLMODE: "disable" }), undefined, { ssl: false }],
    "holds PGSSLMODE=verify-full and PGSSLROOTCERT": [() => (
      { ...base(), PGSSLMODE: "verify-full", PGSSLROOTCERT: join(home, "authority.pem") }
    ), undefined, { ssl: true }],
    "gives way to sslmode in the connection string": [() => ({ ...base(), PGSSLMODE: "require" }),
      "postgres://app:secret@HOST/app?sslmode=disable", { ssl: false }],
    "names target_session_attrs": [() => ({ ...base(), PGTARGETSESSIONATTRS: "read-write" }), undefined, {}],
  };
  for (const [title, [environment, connection, facts]] of Object.entries(cases)) {
    test(title, async () => {
      const given = typeof connection === "string" ? local(connection) : connection?.();
      const answer = await whoamiIn(environment(), given);
      const expected = { role: "app", database: "app", port: server.port, ...facts };
      for (const [fact, value] of Object.entries(expected)) assert.equal(answer[fact], value, `${fact} of ${inspect(answer)}`);
    });
  }

  test("names the folder of a unix socket", { skip: withoutSockets }, async () => {
    const answer = await whoamiIn({ ...base(), PGHOST: server.socketDirectory });
    assert.deepEqual([answer.role, answer.address], ["app", null]);
  });

  test("whose PGSSLMODE cannot be met keeps the adapter from connecting", async () => {
    const { error } = await whoamiIn({ ...base(), PGSSLMODE: "verify-full" });
    assert.match(error.message, /certificate/i);
  });

  test("whose PGTARGETSESSIONATTRS matches no host keeps the adapter from connecting", async () => {
    const { error } = await whoamiIn({ ...base(), PGTARGETSESSIONATTRS: "standby", PGCONNECT_TIMEOUT: "2" });
    assert.match(error.message, /standby/);
  });

  const passwords = {
    "with the exact line": () => `127.0.0.1:${server.port}:app:app:secret\n`,
    "with a wildcard in every field": () => "*:*:*:*:secret\n",
    "with the first line that matches": () => (
      `# a comment\nother:*:*:*:wrong\n*:1:*:*:wrong\n*:*:other:*:wrong\n*:*:*:other:wrong\n*:*:app:app:secret\n*:*:*:*:wrong\n`
    ),
  };
  for (const [title, text] of Object.entries(passwords)) {
    test(`the password comes from .pgpass, ${title}`, async () => {
      const PGPASSFILE = passwordFile(`pgpass ${title}`, text());
      const { role } = await whoamiIn({ PGPASSFILE }, local("postgres://app@HOST/app"));
      assert.equal(role, "app");
    });
  }

  test("the password comes from .pgpass, with a colon and a backslash in it", async () => {
    await createLogin("colon:user", "pass:word\\", "app");
    const PGPASSFILE = passwordFile("pgpass escaped", "*:*:*:colon\\:user:pass\\:word\\\\\n");
    const { role } = await whoamiIn({ PGPASSFILE }, local("postgres://colon%3Auser@HOST/app"));
    assert.equal(role, "colon:user");
  });

  const onWindows = process.platform === "win32" && "the file is elsewhere and has no mode on Windows";

  test("the password comes from .pgpass in the home folder", { skip: onWindows }, async () => {
    passwordFile(".pgpass", "*:*:app:app:secret\n");
    assert.equal((await whoamiIn({ HOME: home }, local("postgres://app@HOST/app"))).role, "app");
  });

  test("a .pgpass that others can read is not used", { skip: onWindows }, async () => {
    const PGPASSFILE = passwordFile("pgpass open", "*:*:*:*:secret\n", 0o644);
    const { error } = await whoamiIn({ PGPASSFILE }, local("postgres://app@HOST/app"));
    assert.match(error.message, /password/);
  });

  test("the password comes from the connection string, PGPASSWORD, .pgpass, in this order", async () => {
    const PGPASSFILE = passwordFile("pgpass last", "*:*:*:*:wrong\n");
    const environment = { PGPASSFILE, PGPASSWORD: "secret" };
    assert.equal((await whoamiIn(environment, local("postgres://app@HOST/app"))).role, "app");
    environment.PGPASSWORD = "wrong";
    assert.equal((await whoamiIn(environment, local("postgres://app:secret@HOST/app"))).role, "app");
    assert.equal((await whoamiIn(environment, local("postgres://app@HOST/app"))).error.code, "28P01");
  });
});
