// What a function of a serverless platform does to an adapter: it is frozen between two requests, and kept awake by a hook.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { installed } from "../tools/installed.mjs";
import { terminate } from "./support/adapter.mjs";
import { within } from "./support/bounded.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";

const limit = { timeout: 30_000 };
const entry = fileURLToPath(new URL("../index.js", import.meta.url));

let database;
before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await database.sql`INSERT INTO auth_user (id, username) VALUES ('u', 'one')`;
});
after(() => database?.drop());

/** A function of its own process, which makes a call for each line that it is given: a method's name and arguments. */
function startFunction(t, name) {
  const url = new URL(database.url);
  url.searchParams.set("application_name", name);
  const text = `
    const { postgres } = require(${JSON.stringify(entry)});
    const adapter = postgres(process.env.DATABASE_URL, ${JSON.stringify(tableNames)}, { max: 1 })(class LuciaError extends Error {});
    require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
      const [method, ...given] = JSON.parse(line);
      const told = await adapter[method](...given).then((value) => ({ value }), ({ code, message }) => ({ code, message }));
      console.log(JSON.stringify(told));
    });`;
  const child = spawn(process.execPath, ["-e", text], { env: { ...process.env, DATABASE_URL: url.href }, stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  t.after(async () => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  });
  return {
    ask: (...call) => child.stdin.write(`${JSON.stringify(call)}\n`),
    answer: async () => JSON.parse((await within(20, "the function answers", lines.next())).value),
    freeze: () => child.kill("SIGSTOP"),
    thaw: () => child.kill("SIGCONT"),
  };
}

const onlyPosix = { ...limit, skip: process.platform === "win32" ? "Windows has no SIGSTOP" : false };

for (const [what, calls] of Object.entries({
  "a lookup": [["getUser", "u"]],
  "a change": [["updateUser", "u", { username: "two" }]],
})) {
  test(`${what} that a function makes when it wakes is answered, though the server has closed its connection meanwhile`, onlyPosix, async (t) => {
    const name = `frozen for ${what}`;
    const { ask, answer, freeze, thaw } = startFunction(t, name);
    ask("getUser", "u");
    assert.equal((await answer()).value.id, "u");
    freeze();
    assert.equal(await terminate(database.sql, name), 1);
    for (const call of calls) ask(...call);
    thaw();
    for (const [method] of calls) {
      const told = await answer();
      assert.equal(told.code, undefined, told.message);
      assert.equal(told.value?.id, method === "getUser" ? "u" : undefined);
    }
  });
}

test("the pool of the recipe keeps a function of Vercel's awake until its connections are closed", limit, async (t) => {
  const folder = installed("vercel", { "@vercel/functions": "3.9.9" });
  const [, recipe] = /```js\n(\/\/ auth-adapter\.mjs\n[^]*?)```/.exec(readFileSync(new URL("../docs/deployment.md", import.meta.url), "utf8"));
  writeFileSync(join(folder, "auth-adapter.mjs"), recipe.replaceAll('"lucia-postgres-native"', JSON.stringify(entry)));
  writeFileSync(join(folder, "program.mjs"), `
    const kept = [];
    globalThis[Symbol.for("@vercel/request-context")] = { get: () => ({ waitUntil: (promise) => kept.push(promise) }) };
    const { adapter } = await import("./auth-adapter.mjs");
    const { getUser } = adapter(class LuciaError extends Error {});
    await Promise.all([getUser("u"), getUser("v")]);
    const isConnected = adapter.stats().connections > 0;
    await Promise.all(kept);
    const { connections, lost } = adapter.stats();
    console.log(JSON.stringify({ kept: kept.length, isConnected, connections, lost }));
    process.exit();`);
  const child = spawn(process.execPath, ["program.mjs"], {
    cwd: folder,
    env: { ...process.env, DATABASE_URL: database.url, VERCEL_URL: "example.com", VERCEL_REGION: "fra1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    printed += text;
  });
  await once(child, "close");
  assert.deepEqual(JSON.parse(printed), { kept: 2, isConnected: true, connections: 0, lost: 0 });
});
