// What is said when the server cannot be reached: what failed and where, and never the password.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import { LuciaError } from "lucia";
import connect from "postgres";

import { postgres } from "../index.js";
import { freePort } from "../tools/server.mjs";
import { whoamiIn } from "./support/environment.mjs";
import { createLogin, deadPort, home, local, patience, server, withoutSockets } from "./support/reachable.mjs";
import { whoami, whoamiAdapter } from "./support/whoami.mjs";

const failureOf = async (connection, options = patience) => {
  try {
    await whoami(connection, options);
  } catch (error) {
    return error;
  }
  throw new Error("the call did not reject");
};

describe("an error says what failed and where:", () => {
  const failures = [
    ["ECONNREFUSED", "postgres://app:secret@127.0.0.1:DEAD/app", "127.0.0.1", () => deadPort],
    ["ENOTFOUND", "postgres://app:secret@nowhere.invalid/app", "nowhere.invalid", () => 5432],
    ["28P01", "postgres://app:wrong@HOST/app", "127.0.0.1", () => server.port],
    ["28P01", "postgres://nobody:wrong@HOST/app", "127.0.0.1", () => server.port],
    ["3D000", "postgres://app:secret@HOST/nowhere", "127.0.0.1", () => server.port],
  ];
  for (const [code, url, address, port] of failures) {
    test(`${code} for ${url}`, async () => {
      const error = await failureOf(local(url));
      assert.ok(error instanceof Error);
      assert.deepEqual([error.code, error.address, error.port], [code, address, port()], inspect(error));
      // What the server says is left as it is; what is said for it names the place.
      if (error.name !== "PostgresError") assert.ok(error.message.includes(`${address}:${port()}`), error.message);
    });
  }

  for (const form of ["option", "connection string", "environment"]) {
    test(`CONNECT_TIMEOUT when nobody answers, with the time in the ${form}`, async () => {
      const silent = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
      await once(silent, "listening");
      const { port } = silent.address();
      const url = `postgres://app:secret@127.0.0.1:${port}/app`;
      const error = await {
        "option": () => failureOf(url, { connect_timeout: 1 }),
        "connection string": () => failureOf(`${url}?connect_timeout=1`, {}),
        "environment": async () => (await whoamiIn({ PGCONNECT_TIMEOUT: "2" }, url)).error,
      }[form]();
      assert.deepEqual([error.code, error.address, error.port], ["CONNECT_TIMEOUT", "127.0.0.1", port]);
      silent.close();
    });
  }

  test("a unix socket that is not there", { skip: withoutSockets }, async () => {
    const error = await failureOf(`postgres://app:secret@/app?host=${encodeURIComponent(home)}&port=5432`);
    assert.deepEqual([error.code, error.address], ["ENOENT", join(home, ".s.PGSQL.5432")]);
  });

  test("each of several hosts that cannot be reached", async () => {
    const another = await freePort();
    const error = await failureOf(`postgres://app:secret@127.0.0.1:${deadPort},127.0.0.1:${another}/app`);
    assert.equal(error.code, "ECONNREFUSED");
    assert.ok(error.message.includes(`${deadPort}`) && error.message.includes(`${another}`), error.message);
  });

  test("the refusal of one host rather than the silence of another", async () => {
    for (const hosts of ["HOST,127.0.0.1:DEAD", "127.0.0.1:DEAD,HOST"]) {
      const error = await failureOf(local(`postgres://app:wrong@${hosts}/app`));
      assert.deepEqual([error.name, error.code, error.port], ["PostgresError", "28P01", server.port]);
    }
  });

  test("a password that nobody gave", async () => {
    const { error } = await whoamiIn({ HOME: join(home, "nobody") }, local("postgres://app@HOST/app"));
    assert.deepEqual([error.code, error.address, error.port], ["PASSWORD_MISSING", "127.0.0.1", server.port]);
    assert.match(error.message, /PGPASSWORD/);
  });

  test("the next call tries again", async () => {
    const port = await freePort();
    const { whoami: ask, end } = whoamiAdapter(`postgres://app:secret@127.0.0.1:${port}/app`, patience);
    await assert.rejects(ask(), { code: "ECONNREFUSED" });
    const { connect: dial } = await import("node:net");
    const relay = createServer((client) => {
      const upstream = dial(server.port, "127.0.0.1");
      for (const socket of [client, upstream]) socket.on("error", () => {});
      client.pipe(upstream).pipe(client);
    }).listen(port, "127.0.0.1");
    await once(relay, "listening");
    assert.equal((await ask()).role, "app");
    await end();
    relay.close();
  });
});

describe("the password appears nowhere:", () => {
  const secret = "hunter2 top secret";
  const encoded = encodeURIComponent(secret);
  const shows = (value) => [
    value.message, value.stack, `${value}`, JSON.stringify(value), inspect(value),
    inspect(value, { depth: Infinity, showHidden: true, getters: true }),
  ].join("\n");
  const assertHidden = (value) => assert.doesNotMatch(shows(value), /hunter2|top(%20| )secret/);

  test("the initializer and the adapter", async () => {
    await createLogin("keeper", secret, "app");
    const asked = [
      [local(`postgres://keeper:${encoded}@HOST/app`)],
      [{ host: "127.0.0.1", port: server.port, username: "keeper", database: "app", password: secret }],
      [local("postgres://keeper@HOST/app"), { password: secret }],
      [connect(local(`postgres://keeper:${encoded}@HOST/app`))],
    ];
    for (const arguments_ of asked) {
      const { initializer, adapter, whoami: ask, end } = whoamiAdapter(...arguments_);
      assert.equal((await ask()).role, "keeper");
      for (const value of [initializer, adapter, ...Object.values(adapter)]) assertHidden(value);
      await end();
    }
  });

  test("what a rejected call says", async () => {
    const urls = [
      `postgres://app:${encoded}@HOST/app`,
      `postgres://app:${encoded}@127.0.0.1:DEAD/app`,
      `postgres://app:${encoded}@nowhere.invalid/app`,
      "postgres://app:hun@hunter2@nowhere.invalid/app",
      `postgres://app:${encoded}@HOST/app?sslmode=verify-full`,
      `postgres://app:${encoded}@HOST/app?statement_timeout=wrong`,
      `postgresql:///app?host=127.0.0.1&port=DEAD&user=app&password=${encoded}`,
    ];
    for (const url of urls) assertHidden(await failureOf(local(url)));
  });

  test("what a statement's error says", async () => {
    await createLogin("keeper", secret, "app");
    const initializer = postgres(local(`postgres://keeper:${encoded}@HOST/app`), { user: "no_such_table", key: "k", session: null });
    const error = await initializer(LuciaError).getUser("id").catch((reason) => reason);
    assert.equal(error.code, "42P01");
    assertHidden(error);
    await initializer.end();
  });

  const refused = [
    [`postgres://app:${encoded}@127.0.0.1:port/app`],
    [`postgres://app:${encoded}@127.0.0.1:99999/app`],
    ["postgres://app:hunter2%zz@127.0.0.1:DEAD/app"],
    [`mysql://app:${encoded}@127.0.0.1:DEAD/app`],
    [`postgres//app:${encoded}@127.0.0.1:DEAD/app`],
    [`postgres://app:${encoded}@127.0.0.1:DEAD/app?sslmode=sometimes`],
    [`postgres://app:${encoded}@127.0.0.1:DEAD/app?target_session_attrs=sometimes`],
    [`postgres://app:${encoded}@127.0.0.1:DEAD/app`, { max: secret }],
    [{ host: "127.0.0.1", passwrod: secret }],
    [{ host: "127.0.0.1", port: "port", password: secret }],
    [{ host: "127.0.0.1", password: { secret } }],
  ];
  for (const [connection, options] of refused) {
    test(`what is refused: ${inspect(connection)}${options ? `, ${inspect(options)}` : ""}`, async () => {
      const given = typeof connection === "string" ? local(connection) : connection;
      const settings = { connect_timeout: 1, ...options };
      // Refused at once, or when the first call is made: either way the error keeps the secret.
      const error = await (async () => whoami(given, settings))().catch((reason) => reason);
      assert.ok(error instanceof Error, inspect(error));
      assertHidden(error);
    });
  }
});
