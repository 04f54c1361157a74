// A real Pgpool-II in front of the server that a URL names, which has to trust its clients.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { account, freePort } from "../../tools/server.mjs";
import { eventually } from "./bounded.mjs";

// Debian puts it where only the administrator's PATH looks.
const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };

/** What it calls itself, or `undefined` where it is not installed. */
export function pgpoolVersion() {
  const { stderr, stdout, error } = spawnSync("pgpool", ["--version"], { env: environment, encoding: "utf8" });
  return error ? undefined : /Pgpool-II version ([\d.]+)|pgpool-II version ([\d.]+)/i.exec(stdout + stderr)?.slice(1).find(Boolean);
}

const answers = (port) => new Promise((resolve) => {
  const socket = connect(port, "127.0.0.1");
  const settle = (is) => {
    socket.destroy();
    resolve(is);
  };
  socket.once("connect", () => settle(true)).once("error", () => settle(false));
});

export async function startPgpool(databaseUrl) {
  const { hostname, port: serverPort } = new URL(databaseUrl);
  const identity = account();
  const home = mkdtempSync(join(tmpdir(), "lucia-pgpool-"));
  const [port, control] = [await freePort(), await freePort()];
  const settings = {
    backend_clustering_mode: "streaming_replication", sr_check_period: 0, load_balance_mode: "off", backend_hostname0: hostname, backend_port0: serverPort || 5432, backend_flag0: "DISALLOW_TO_FAILOVER",
    listen_addresses: "127.0.0.1", port, socket_dir: home, pcp_listen_addresses: "", pcp_port: control, pcp_socket_dir: home, wd_ipc_socket_dir: home,
    num_init_children: 8, max_pool: 2, enable_pool_hba: "off", pool_passwd: "", pid_file_name: join(home, "pid"), logdir: home, work_dir: home,
  };
  const write = (name, text) => {
    const file = join(home, name);
    writeFileSync(file, text, { mode: 0o600 });
    if (identity.uid !== undefined) chownSync(file, identity.uid, identity.gid);
    return file;
  };
  if (identity.uid !== undefined) chownSync(home, identity.uid, identity.gid);
  const file = write("pgpool.conf", Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`).join(""));
  const child = spawn("pgpool", ["-n", "-f", file, "-F", write("pcp.conf", ""), "-a", write("pool_hba.conf", ""), "-k", write("key", "key")], {
    ...identity, cwd: home, env: environment, stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "exit");
  const kill = () => child.kill("SIGINT");
  process.once("exit", kill);
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  await eventually(20, "Pgpool-II listens", async () => {
    if (child.exitCode !== null) throw new Error(`pgpool exited with ${child.exitCode}: ${log}`);
    return answers(port);
  });
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = port;
  return {
    url: url.href,
    async stop() {
      process.off("exit", kill);
      kill();
      await exited;
      rmSync(home, { recursive: true, force: true });
    },
  };
}
