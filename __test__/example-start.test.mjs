// How the example starts, where it keeps its accounts, and how it stops.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { freshDatabase } from "./support/database.mjs";
import { startProgram } from "./support/program.mjs";

describe("starting the example", { timeout: 120_000 }, () => {
  let database;
  before(async () => {
    database = await freshDatabase();
  });
  after(() => database.drop());

  async function start(environment = {}, ...flags) {
    const program = startProgram(["example/server.mjs", ...flags], {
      DATABASE_URL: database.url,
      PORT: "0",
      ...environment,
    });
    const [, address] = await program.says(/^Open (http:\S+)$/m);
    return { program, address };
  }

  const signUp = (address, username) =>
    fetch(`${address}/sign-up`, {
      method: "POST",
      redirect: "manual",
      headers: { Origin: address },
      body: new URLSearchParams({ username, password: "correct horse" }),
    });

  test("told to stop, it ends with nothing to complain about", async (t) => {
    if (process.platform === "win32") {
      t.skip("Windows has no signals to tell a program with");
      return;
    }
    const { program, address } = await start();
    assert.equal((await signUp(address, "early")).status, 303);
    const { code, stderr } = await program.stop("SIGTERM");
    assert.equal(stderr, "");
    assert.equal(code, 0);
  });

  test("without DATABASE_URL it brings a PostgreSQL, and leaves no trace of it", async (t) => {
    if (process.platform === "win32") {
      t.skip("Windows has no signals to tell a program with");
      return;
    }
    const folder = mkdtempSync(join(tmpdir(), "lucia-example-"));
    chmodSync(folder, 0o755); // root's PostgreSQL runs as another user
    try {
      const { program, address } = await start({ DATABASE_URL: undefined, TMPDIR: folder });
      assert.equal((await signUp(address, "brief")).status, 303);
      assert.match(program.stdout, /Accounts are gone when this stops/);
      const { stderr } = await program.stop("SIGTERM");
      assert.equal(stderr, "");
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("in production the cookie is for https only", async () => {
    const { program, address } = await start({ NODE_ENV: "production" });
    const response = await signUp(address, "secure");
    assert.match(response.headers.getSetCookie()[0], /; HttpOnly; Secure; SameSite=Lax$/);
    await program.stop();
  });

  test("accounts stay from one start to the next, until --reset", async () => {
    const statuses = [];
    for (const flags of [[], [], ["--reset"]]) {
      const { program, address } = await start({}, ...flags);
      statuses.push((await signUp(address, "lasting")).status);
      await program.stop();
    }
    assert.deepEqual(statuses, [303, 409, 303]);
  });

  test("a port that is taken ends it with the reason", async () => {
    const { program, address } = await start();
    const taken = startProgram(["example/server.mjs"], { DATABASE_URL: database.url, PORT: new URL(address).port });
    const { code, stderr } = await taken.ended;
    assert.equal(code, 1);
    assert.match(stderr, /^example: port \d+ is taken/);
    await program.stop();
  });

  test("a database that refuses ends it with the reason", async () => {
    const url = "postgres://ada:secret@127.0.0.1:1/nowhere";
    const { code, stderr } = await startProgram(["example/server.mjs"], { DATABASE_URL: url }).ended;
    assert.equal(code, 1);
    assert.match(stderr, /^example: .*ECONNREFUSED/);
    assert.doesNotMatch(stderr, /secret/);
  });
});
