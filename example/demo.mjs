// `npm run demo`: takes Lucia through the life of a user on a real PostgreSQL (`DATABASE_URL`, or one of our own), says
// what each step took, and fails when a step is not as expected or all is not over in time (`DEMO_SECONDS`).
import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";

import { LuciaError } from "lucia";
import { generateLuciaPasswordHash, validateLuciaPasswordHash } from "lucia/utils";
import connect from "postgres";

import { postgres } from "../index.js";
import { createAuth } from "./auth.mjs";
import { journey } from "./journey.mjs";
import { createTables, dropTables, tableNames } from "./schema.mjs";

const seconds = Number(process.env.DEMO_SECONDS ?? 60);
const schema = `lucia_demo_${randomBytes(4).toString("hex")}`;
let current = "start";
let leaving = false;

/** What has to be undone, in the order it was done. */
const begun = [];

async function cleanUp() {
  for (let undo = begun.pop(); undo; undo = begun.pop()) {
    await undo().catch((error) => {
      console.error(`demo: while cleaning up: ${error.message || error.code}`);
      process.exitCode = 1;
    });
  }
}

async function leave(code) {
  leaving = true;
  setTimeout(() => process.exit(code), 3000); // a server that does not answer is not waited for
  await cleanUp();
  process.exit(code);
}

// Never cleared, and no reason to stay: it fires only when a step hangs, or when something is left running at the end.
setTimeout(() => {
  console.error(`\ndemo: not over after ${seconds} seconds; the last thing begun was: ${current}`);
  void leave(1);
}, seconds * 1000).unref();

/** Lucia's own hash, with its time kept apart: it is made to be slow, and would hide what the database takes. */
let hashing = 0;
const timed = (hash) => async (...args) => {
  const start = performance.now();
  try {
    return await hash(...args);
  } finally {
    hashing += performance.now() - start;
  }
};
const passwordHash = { generate: timed(generateLuciaPasswordHash), validate: timed(validateLuciaPasswordHash) };

async function attempt({ act, refused }) {
  if (!refused) return act();
  let result;
  try {
    result = await act();
  } catch (error) {
    if (error instanceof LuciaError && error.message === refused) return undefined;
    throw error;
  }
  throw new Error(`it should have been refused with ${refused}, but gave ${JSON.stringify(result)}`);
}

async function walk(auth, sql) {
  const steps = journey(auth, sql, tableNames(schema));
  const column = (value) => `${value.toFixed(1)} ms`.padStart(10);
  console.log(`\n${" ".repeat(34)}time   hashing`);
  for (const step of steps) {
    current = step.name;
    try {
      await step.prepare?.();
      hashing = 0;
      const start = performance.now();
      const result = await attempt(step);
      const time = performance.now() - start - hashing;
      const said = await step.check(result);
      console.log(`ok  ${step.name.padEnd(26)}${column(time)}${hashing ? column(hashing) : " ".repeat(10)}   ${said}`);
    } catch (error) {
      if (!leaving) console.log(`FAILED  ${step.name}`);
      throw new Error(`${step.name} is not as expected: ${error.message}`, { cause: error });
    }
  }
  return steps.length;
}

/** Where the demo runs: `DATABASE_URL`, or a server that lives as long as the demo does. */
async function findServer() {
  if (process.env.DATABASE_URL) {
    process.once("SIGINT", () => leave(130));
    process.once("SIGTERM", () => leave(143));
    return { url: process.env.DATABASE_URL, where: "the one of DATABASE_URL" };
  }
  current = "starting a PostgreSQL";
  const { startServer } = await import("../tools/server.mjs");
  const server = await startServer();
  begun.push(() => server.stop());
  return { url: server.url(), where: `started for this demo on port ${server.port}` };
}

/** A connection beside the adapter's own, to make the tables and to look into them. */
async function openWitness(url) {
  current = "the first connection";
  try {
    const sql = connect(url, { max: 1, connect_timeout: 10, onnotice() {} });
    begun.push(() => sql.end({ timeout: 5 }));
    const [{ version }] = await sql`SELECT split_part(version(), ' ', 2) AS version`;
    return { sql, version };
  } catch (error) {
    throw new Error(`no connection to PostgreSQL: ${error.message || error.code}`, { cause: error });
  }
}

async function main() {
  const { url, where } = await findServer();
  const { sql, version } = await openWitness(url);
  console.log(`PostgreSQL ${version}, ${where}; schema ${schema}`);

  begun.push(() => dropTables(sql, schema));
  await createTables(sql, schema);

  const adapter = postgres(url, tableNames(schema));
  begun.push(() => adapter.end({ timeout: 5 }));
  const walked = await walk(createAuth(adapter, { passwordHash }), sql);
  console.log(`\n${walked} steps, each as expected`);
  console.log("The time is without Lucia's password hash, which is slow by design; sign-up also opened the connection.");
}

try {
  await main();
} catch (error) {
  // After an interruption, what fails is only what was interrupted.
  if (!leaving) console.error(`\ndemo: ${error.message || error.code || error}`);
  process.exitCode = 1;
}
current = "cleaning up";
await cleanUp();
