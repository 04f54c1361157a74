// `npm run example`: the web application on http://localhost:3000 (`PORT`), with the PostgreSQL of `DATABASE_URL`, where
// accounts stay, or with one of its own that is thrown away. `npm run example -- --reset` begins without accounts.
import { once } from "node:events";

import { createAdaptorServer } from "@hono/node-server";
import connect from "postgres";

import { postgres } from "../index.js";
import { createApp } from "./app.mjs";
import { createAuth } from "./auth.mjs";
import { createTables, tableNames } from "./schema.mjs";

const schema = "lucia_example";
const port = Number(process.env.PORT ?? 3000);
const given = process.env.DATABASE_URL;

async function main() {
  const url = given ?? (await (await import("../tools/server.mjs")).startServer()).url();

  const sql = connect(url, { max: 1, connect_timeout: 10, onnotice() {} });
  try {
    await createTables(sql, schema, { dropFirst: process.argv.includes("--reset") });
  } finally {
    await sql.end();
  }

  // A visitor should not look at an empty page for the half a minute that is the default.
  const adapter = postgres(url, tableNames(schema), { connect_timeout: 5 });
  const server = createAdaptorServer({ fetch: createApp(createAuth(adapter)).fetch });
  server.listen(port, process.env.HOST ?? "127.0.0.1");
  await once(server, "listening");

  // With a PostgreSQL of our own, tools/server.mjs is first to hear these, and takes the server down with the process.
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, async () => {
      server.close();
      server.closeIdleConnections();
      await adapter.end({ timeout: 5 });
    });
  }

  console.log(`Open http://localhost:${server.address().port}`);
  if (given) console.log(`Accounts are kept in the schema ${schema} of DATABASE_URL.`);
  else console.log("Accounts are gone when this stops.");
  console.log("Stop with Ctrl+C.");
}

try {
  await main();
} catch (error) {
  const hints = { EADDRINUSE: `port ${port} is taken; choose another one with PORT=...` };
  console.error(`example: ${hints[error.code] ?? (error.message || error.code || error)}`);
  process.exit(1);
}
