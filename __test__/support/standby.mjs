// A real primary and a streaming standby of it.
import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";

import { startServer } from "../../tools/server.mjs";
import { eventually } from "./bounded.mjs";

const hba = `
  host all         all      all scram-sha-256
  host replication postgres all scram-sha-256
`;

/** With owners and modes, where there are some: the server insists on its own. */
function copy(from, to) {
  if (process.platform === "win32") {
    cpSync(from, to, { recursive: true });
    return;
  }
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the primary's data could not be copied: ${stderr}`);
}

/** The standby starts as a copy of the primary, whose data `prepare(primary)` may fill before. */
export async function startPair(prepare) {
  const primary = await startServer({ hba });
  try {
    await prepare(primary);
    await primary.halt("fast");
    const login = `user=${primary.user} password=${primary.password} application_name=standby`;
    const standby = await startServer({
      prepare: (data) => copy(primary.data, data),
      files: { "standby.signal": "" },
      settings: { primary_conninfo: `host=${primary.host} port=${primary.port} ${login}`, wal_retrieve_retry_interval: "100ms" },
    });
    await primary.start();
    return { primary, standby };
  } catch (error) {
    await primary.stop();
    throw error;
  }
}

/** Resolves when the standby has everything that the primary has; both are given as `postgres` instances. */
export async function caughtUp(primary, standby) {
  const [{ lsn }] = await primary`SELECT pg_current_wal_flush_lsn()::text AS lsn`;
  await eventually(20, `the standby has replayed ${lsn}`, async () => {
    const [{ done }] = await standby`SELECT coalesce(pg_last_wal_replay_lsn() >= ${lsn}::pg_lsn, false) AS done`;
    return done;
  });
}
