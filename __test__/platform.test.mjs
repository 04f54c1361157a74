// What differs from one operating system to another: error numbers, sockets, where files are.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { tableNames } from "./support/database.mjs";

const isWindows = process.platform === "win32";

/** The error of a first call over `connection`, which leads to no server. */
async function failureOf(connection) {
  const initializer = postgres(connection, tableNames, { connect_timeout: 20 });
  try {
    await initializer(LuciaError).getUser("alice");
  } catch (error) {
    return error;
  } finally {
    await initializer.end();
  }
  throw new Error("the call did not reject");
}

test("an unknown host is ENOTFOUND", async () => {
  assert.equal((await failureOf("postgres://me:x@nowhere.invalid/app")).code, "ENOTFOUND");
});

test("a port that nothing listens on is ECONNREFUSED", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  assert.equal((await failureOf(`postgres://me:x@127.0.0.1:${port}/app`)).code, "ECONNREFUSED");
});

test("a unix socket is refused by name where there are none, and is ENOENT elsewhere", async () => {
  const connection = { host: "/nowhere", user: "me", password: "x", database: "app" };
  if (isWindows) assert.throws(() => postgres(connection, tableNames), /unix sockets are not available on this platform/);
  else assert.equal((await failureOf(connection)).code, "ENOENT");
});

test("a connection that the server resets is ECONNRESET, where Node's own sockets see that", async () => {
  const server = createServer((socket) => socket.resetAndDestroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  // Wine tells of an end instead, now and then.
  const seen = await new Promise((resolve) => {
    connect(port, "127.0.0.1").resume().on("error", ({ code }) => resolve(code)).on("end", () => resolve("CONNECTION_CLOSED"));
  });
  const error = await failureOf(`postgres://me:x@127.0.0.1:${port}/app?sslmode=disable`);
  server.close();
  assert.ok([seen, "ECONNRESET"].includes(error.code), error.code);
  if (!isWindows) assert.equal(seen, "ECONNRESET");
});

test("without a user it is the account that runs the program", async () => {
  const url = new URL(process.env.DATABASE_URL);
  Object.assign(url, { username: "", password: "wrong" });
  const error = await failureOf(url.href);
  assert.equal(error.code, "28P01");
  assert.equal(error.message, `password authentication failed for user "${userInfo().username}"`);
});

describe("a file is found where libpq looks for it, through a path that is not ASCII and has a space:", () => {
  let home;
  let folder;
  const variable = isWindows ? "APPDATA" : "HOME";
  const before = process.env[variable];
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "lucia é "));
    folder = isWindows ? join(home, "postgresql") : home;
    mkdirSync(folder, { recursive: true });
    process.env[variable] = home;
  });
  afterEach(() => {
    process.env[variable] = before;
    rmSync(home, { recursive: true });
  });

  test("the service file, with Windows' line endings", async () => {
    writeFileSync(join(folder, ".pg_service.conf"), "[here]\r\nhost=nowhere.invalid\r\nuser=me\r\npassword=x\r\n");
    const error = await failureOf("postgres:///app?service=here");
    assert.equal(error.address, "nowhere.invalid");
  });

  test("the password file, with Windows' line endings", async () => {
    const url = new URL(process.env.DATABASE_URL);
    writeFileSync(join(folder, isWindows ? "pgpass.conf" : ".pgpass"), `*:*:*:${url.username}:${url.password}\r\n`, { mode: 0o600 });
    url.password = "";
    assert.equal((await failureOf(url.href)).code, "42P01");
  });

  test("the root certificate", async () => {
    const certificates = isWindows ? folder : join(home, ".postgresql");
    mkdirSync(certificates, { recursive: true });
    const file = join(certificates, "root.crt");
    writeFileSync(file, "nonsense");
    const { code, message } = await failureOf("postgres://me:x@localhost/app?sslmode=verify-ca");
    assert.deepEqual([code, message], ["INVALID_OPTIONS", `\`sslrootcert\` (${file}) does not hold a PEM certificate`]);
  });
});
