// A real PgBouncer in transaction mode, in front of the server that a URL names.
import { freePort } from "../../tools/server.mjs";
import { poolerFolder, runPooler, versionOf } from "./pooler-program.mjs";

/**
 * The PgBouncers to test: the one that is installed, and the one whose path `PGBOUNCER` is. Each with its name, and its
 * version as a number to compare, 1.21 as 121.
 */
export function pgbouncers() {
  const found = (program) => {
    const version = versionOf(program);
    if (version === undefined) return [];
    const [, major, minor, patch = ""] = /PgBouncer (\d+)\.(\d+)((?:\.\d+)*)/.exec(version);
    return [{ program, name: `PgBouncer ${major}.${minor}${patch}`, version: Number(major) * 100 + Number(minor) }];
  };
  const named = process.env.PGBOUNCER;
  const [installed] = found("pgbouncer");
  const [given] = named ? found(named) : [];
  if (named && !given) throw new Error(`PGBOUNCER: ${named} is not a program`);
  return [installed, given?.name === installed?.name ? undefined : given].filter(Boolean);
}

/** Starts one on 127.0.0.1; `settings` go into the section `[pgbouncer]` of its configuration. */
export async function startPgbouncer(program, databaseUrl, { listen_port: port, ...settings } = {}) {
  if (port === undefined) return startPgbouncer(program, databaseUrl, { ...settings, listen_port: await freePort() });
  const { hostname, port: serverPort, username, password } = new URL(databaseUrl);
  const { home, write } = poolerFolder("pgbouncer");
  const quote = (text) => `"${decodeURIComponent(text).replaceAll("\"", "\"\"")}"`;
  const configuration = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: write("users", `${quote(username)} ${quote(password)}\n`),
    pool_mode: "transaction",
    default_pool_size: 4,
    max_client_conn: 200,
    ...settings,
  };
  const lines = Object.entries(configuration).map(([name, value]) => `${name} = ${value}`);
  const file = write("pgbouncer.ini", [
    "[databases]",
    `* = host=${hostname} port=${serverPort || 5432}`,
    "[pgbouncer]",
    ...lines,
    "",
  ].join("\n"));

  const { child, served } = runPooler(program, [file], { home, signal: "SIGKILL", port, databaseUrl });
  let log = "";
  await new Promise((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
      if (log.includes("process up")) resolve();
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`pgbouncer exited with ${code}: ${log}`)));
  });
  return served;
}
