// What differs from one operating system to another: error numbers, sockets, where files are.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

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

test("the service file is found where libpq looks for it, through a path that is not ASCII", async () => {
  const home = mkdtempSync(join(tmpdir(), "lucia é "));
  const folder = isWindows ? join(home, "postgresql") : home;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, ".pg_service.conf"), "[here]\r\nhost=nowhere.invalid\r\nuser=me\r\npassword=x\r\n");
  const variable = isWindows ? "APPDATA" : "HOME";
  const before = process.env[variable];
  process.env[variable] = home;
  try {
    const error = await failureOf("postgres:///app?service=here");
    assert.equal(error.address, "nowhere.invalid");
  } finally {
    process.env[variable] = before;
    rmSync(home, { recursive: true });
  }
});
