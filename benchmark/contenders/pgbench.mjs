// PostgreSQL's own benchmark, in C on libpq: one statement at a time on each of up to ten connections, as many as the
// pools of the others have. It reads every answer and looks into none; a short run before each measurement makes sure
// that every lookup finds exactly one row.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { sessionIdFrom } from "../database.mjs";

const connections = 10;

/** The newest of the installed servers' own, for the one in PATH can be a script that looks for it. */
export function findPgbench() {
  const installed = "/usr/lib/postgresql";
  const versions = existsSync(installed) ? readdirSync(installed).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(installed, version, "bin")), ...process.env.PATH.split(delimiter)];
  return folders.map((folder) => join(folder, "pgbench")).find((file) => existsSync(file));
}

const lookup = ({ sessions }) => String.raw`\set i random(0, ${sessions - 1})
SELECT s.id, s.user_id, s.active_expires, s.idle_expires, s.country, u.username
FROM user_session s JOIN auth_user u ON u.id = s.user_id WHERE s.id = ${sessionIdFrom(":i")}`;

/** Runs pgbench under a shell, whose `times` tells the processor time of its children. */
function run(folder, script, url, ...args) {
  const file = join(folder, "script.sql");
  writeFileSync(file, script);
  const command = [findPgbench(), "-M", "prepared", "-n", "-f", file, ...args.map(String), url];
  const { status, stdout, stderr, error } = spawnSync("sh", ["-c", '"$@" && times', "sh", ...command], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  if (status !== 0) throw new Error(`pgbench: ${error?.message ?? stderr}`);
  return stdout;
}

export function measure(url, request) {
  const folder = mkdtempSync(join(tmpdir(), "lucia-pgbench-"));
  try {
    const clients = Math.min(request.inFlight, connections);
    run(folder, `${lookup(request)} \\gset`, url, "-c", clients, "-t", 50);

    const output = run(folder, `${lookup(request)};`, url, "-c", clients, "-j", Math.min(clients, 2),
      "-T", Math.ceil(request.seconds), "--log", "--log-prefix=log", "--sampling-rate=0.05");
    const calls = Number(/actually processed: (\d+)/.exec(output)[1]);
    const [, minutes, seconds, systemMinutes, systemSeconds] =
      /\n(\d+)m([\d.]+)s (\d+)m([\d.]+)s\s*$/.exec(output).map(Number);
    const latencies = readdirSync(folder).filter((name) => name.startsWith("log."))
      .flatMap((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"))
      .map((line) => Number(line.split(" ")[2]) / 1000)
      .sort((a, b) => a - b);
    return {
      finished: calls,
      figures: {
        callsPerSecond: Number(/tps = ([\d.]+)/.exec(output)[1]),
        p50: latencies[Math.floor(latencies.length * 0.5)],
        p99: latencies[Math.floor(latencies.length * 0.99)],
        processorTime: ((minutes + systemMinutes) * 60 + seconds + systemSeconds) * 1e6 / calls,
        threadProcessorTime: null,
        threadBusyTime: null,
        loopDelay: null,
        memory: null,
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
