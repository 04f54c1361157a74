// The official suite, and many calls at a time, through what stands between programs and PostgreSQL, or in its place. PgBouncer has
// files of its own.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, describe, test } from "node:test";
import { Worker } from "node:worker_threads";

import { installed } from "../tools/installed.mjs";
import { startServer } from "../tools/server.mjs";
import { pgpoolVersion, startPgpool } from "./support/pgpool.mjs";
import { pgbouncers, startPgbouncer } from "./support/pgbouncer.mjs";

const limit = { timeout: 120_000 };

const server = await startServer({ hba: "host all all all trust" });
after(() => server.stop());

async function startPglite() {
  const folder = installed("pglite", { "@electric-sql/pglite": "0.5.14", "@electric-sql/pglite-socket": "0.2.17" });
  const [{ PGlite }, { PGLiteSocketServer }] = await Promise.all(
    ["pglite/dist/index.js", "pglite-socket/dist/index.js"].map((path) => import(`${folder}/node_modules/@electric-sql/${path}`)),
  );
  const database = await PGlite.create();
  const listener = new PGLiteSocketServer({ db: database, port: 0, host: "127.0.0.1", maxConnections: 20 });
  await listener.start();
  const url = `postgres://postgres:postgres@${listener.getServerConn()}/postgres`;
  return {
    url,
    direct: url,
    async stop() {
      await listener.stop();
      await database.close();
    },
  };
}

const [bouncer] = pgbouncers();
const intermediaries = {
  "Pgpool-II": {
    skip: pgpoolVersion() === undefined && "Pgpool-II is not installed (Debian: apt-get install pgpool2)",
    start: () => startPgpool(server.url()),
    // It keeps answers to prepared statements back: the server is idle, and the client waits.
    options: { prepare: false },
  },
  PgBouncer: {
    skip: bouncer === undefined && "PgBouncer is not installed (Debian: apt-get install pgbouncer)",
    start: () => startPgbouncer(bouncer.program, server.url(), { auth_type: "trust" }),
  },
  "PGlite's socket": { start: startPglite },
};

for (const [name, { skip = false, start, options }] of Object.entries(intermediaries)) {
  describe(name, { skip }, () => {
    test(`${name}: the official suite passes, and many calls at a time are answered rightly`, limit, async () => {
      const { url, direct = server.url(), stop } = await start();
      try {
        const worker = new Worker(new URL("support/through.mjs", import.meta.url), { workerData: { url, direct, options } });
        // An error in it is emitted as such.
        const [code] = await once(worker, "exit");
        assert.equal(code, 0);
      } finally {
        await stop();
      }
    });
  });
}
