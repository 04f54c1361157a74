// The package in the test runners that evaluate packages in a realm of their own, and in those that do not.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { within } from "./support/bounded.mjs";
import { createTables, freshDatabase } from "./support/database.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "__test__", "runners");
const program = (name, file) => join(root, "node_modules", name, file);

let database;
before(async () => {
  database = await freshDatabase();
  const { sql } = database;
  await createTables(sql);
  await sql`ALTER TABLE auth_user ADD born TIMESTAMPTZ, ADD tags TEXT[], ADD meta JSONB`;
  await sql`ALTER TABLE user_session DROP COLUMN IF EXISTS country`;
  await sql`INSERT INTO auth_user (id, username, born, tags, meta) VALUES ('u1', 'one', '2020-01-02T03:04:05Z', '{a,b}', '{"list": [1]}')`;
  await sql`INSERT INTO user_session (id, user_id, active_expires, idle_expires) VALUES ('s1', 'u1', 1000, 2000)`;
});
after(() => database?.drop());

async function run(...args) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, DATABASE_URL: database.url, NODE_OPTIONS: "", CI: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  try {
    const [code] = await within(100, `${args.join(" ")} ends`, once(child, "close"));
    assert.equal(code, 0, output);
    return output;
  } finally {
    child.kill("SIGKILL");
  }
}

for (const version of ["jest-29", "jest-30"]) {
  test(`${version}: rows and errors are the test's own, the clock is the test's, and end leaves no handle`, async () => {
    const config = JSON.stringify({ rootDir: folder, testMatch: ["**/jest.test.cjs"], transform: {} });
    const output = await run(program(version, "bin/jest.js"), "--config", config, "--runInBand", "--detectOpenHandles");
    assert.match(output, /Tests: +5 passed, 5 total/);
    // napi-rs makes one for each environment, which keeps no process alive; jest 29 lists it all the same.
    const handles = [...output.matchAll(/● +(\S+)$/gm)].map(([, name]) => name).filter((name) => name !== "CustomGC");
    assert.deepEqual(handles, []);
  });
}

for (const pool of ["threads", "forks", "vmThreads", "vmForks"]) {
  test(`vitest with the pool ${pool}: rows and errors are the test's own, the clock is the test's`, async () => {
    const output = await run(program("vitest", "vitest.mjs"), "run", "--root", folder, "--pool", pool, "--no-color",
      "--dir", folder, "vitest.test.mjs");
    assert.match(output, /Tests +5 passed \(5\)/);
  });
}
