// The long run of what `faults.test.mjs` and `lifecycle.test.mjs` do for seconds: `npm run soak -- --minutes 60`, and
// `npm run soak -- --calls 2000000` for memory. `--seed` repeats the faults of an earlier run.
import assert from "node:assert/strict";
import { setTimeout as pass } from "node:timers/promises";
import { parseArgs } from "node:util";

import connect from "postgres";
import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { startServer } from "../tools/server.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { dropConstraints, Load, NOTHING_WRONG, populate } from "./support/load.mjs";
import { measure } from "./support/memory.mjs";
import { startProxy } from "./support/proxy.mjs";
import { seeded } from "./support/random.mjs";

const { values } = parseArgs({
  options: { minutes: { type: "string" }, calls: { type: "string" }, seed: { type: "string" } },
});
const random = seeded(values.seed === undefined ? undefined : Number(values.seed));
const server = await startServer();
const administrator = connect(server.url(), { max: 1, onnotice() {} });

async function makeDatabase(name, { unconstrained = false } = {}) {
  await administrator.unsafe(`CREATE DATABASE ${name} TEMPLATE template0`);
  const sql = connect(server.url(name), { max: 1, onnotice() {} });
  await createTables(sql);
  await populate(sql);
  if (unconstrained) await dropConstraints(sql);
  await sql.end();
  return server.url(name);
}

/** Two adapters: one behind a proxy, on tables that store twice what is sent twice, and one on the usual tables. */
async function chaos(minutes) {
  const urls = [await makeDatabase("unconstrained", { unconstrained: true }), await makeDatabase("constrained")];
  const proxy = await startProxy(urls[0]);
  const initializers = [postgres(proxy.url(urls[0]), tableNames), postgres(urls[1], tableNames)];
  const adapters = initializers.map((initializer) => initializer(LuciaError));
  for (const adapter of adapters) await adapter.getUser("u1");
  let loads;

  const faults = {
    async "connections terminated"() {
      await administrator`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < 0.7`;
    },
    async "server stopped fast"() {
      await server.halt("fast");
      // How long the server is away; nothing is waited for.
      await pass(random.between(0, 3000));
      await server.start();
    },
    async "server stopped at once"() {
      await server.halt("immediate");
      await pass(random.between(0, 3000));
      await server.start();
    },
    async "network in chaos"() {
      proxy.chaos(random.split());
      await loads[0].more(random.between(100, 1000));
      proxy.calm();
    },
    async "network cut"() {
      proxy.reset();
    },
    async "network cut in the middle of an answer"() {
      await proxy.cutAfter(random.magnitude(1, 100_000));
    },
    async "port closed"() {
      await proxy.refuse();
      await pass(random.between(0, 3000));
      await proxy.accept();
    },
    async "network silent, then cut"() {
      proxy.stall();
      await pass(random.between(0, 3000));
      proxy.reset();
      proxy.resume();
    },
    async "tables locked"() {
      const sql = connect(urls[1], { max: 1, onnotice() {} });
      await sql.begin(async (other) => {
        await other`LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE`;
        await pass(random.between(0, 500));
      });
      await sql.end();
    },
  };

  const totals = { faults: 0 };
  let wrong = 0;
  const end = performance.now() + minutes * 60_000;
  for (let round = 1; performance.now() < end; round += 1) {
    loads = adapters.map((adapter) => new Load(adapter, random.split()));
    const roundEnds = Math.min(end, performance.now() + 60_000);
    while (performance.now() < roundEnds) {
      const name = random.pick(Object.keys(faults));
      totals[name] = (totals[name] ?? 0) + 1;
      totals.faults += 1;
      await faults[name]();
      await Promise.all(loads.map((load) => load.more(random.between(10, 500))));
    }
    proxy.calm();
    const counts = await Promise.all(loads.map((load) => load.stop(60)));
    for (const [index, load] of loads.entries()) {
      const sql = connect(urls[index], { max: 1, onnotice() {} });
      // What is sent is not counted: a sign-up which the server says that it rolled back may be sent again.
      const audit = await load.signUps.audit(sql);
      await sql`DELETE FROM user_key WHERE user_id LIKE 'new %'`;
      await sql`DELETE FROM auth_user WHERE id LIKE 'new %'`;
      await sql.end();
      const { reads, signUps } = counts[index];
      const tables = index === 0 ? "unconstrained" : "constrained";
      console.log(JSON.stringify({ round, tables, reads, signUps, audit }));
      try {
        assert.deepEqual(audit, NOTHING_WRONG);
        assert.deepEqual([reads.rejected, reads.pending, signUps.pending], [0, 0, 0]);
        assert.ok(Object.keys(signUps.codes).every((code) => code === "OUTCOME_UNKNOWN"));
      } catch (error) {
        wrong += 1;
        console.error(error.message);
      }
    }
  }
  console.log(JSON.stringify(totals));
  await Promise.all(initializers.map((initializer) => initializer.end({ timeout: 5 })));
  await proxy.stop();
  return wrong;
}

/** A tenth of the calls to warm up, and then the memory in use may not grow. */
async function memory(calls) {
  const url = await makeDatabase("memory");
  const initializer = postgres(url, tableNames);
  const used = [];
  await measure(initializer(LuciaError), 20, Math.ceil(calls / 20), (now) => {
    used.push(now);
    console.log(JSON.stringify(now));
  });
  await initializer.end();
  const growth = (kind) => used.at(-1)[kind] - used[1][kind];
  console.log(`bytes more: ${growth("heapUsed")} JavaScript heap, ${growth("external")} external, ${growth("rss")} in all`);
  return growth("heapUsed") > 2_000_000 || growth("external") > 2_000_000 || growth("rss") > 16_000_000 ? 1 : 0;
}

let wrong;
try {
  wrong = values.calls === undefined ? await chaos(Number(values.minutes ?? 10)) : await memory(Number(values.calls));
} finally {
  await administrator.end({ timeout: 1 });
  await server.stop();
}
console.log(wrong === 0 ? "nothing went wrong" : `${wrong} checks failed`);
process.exitCode = wrong === 0 ? 0 : 1;
