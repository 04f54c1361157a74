// A real Pgpool-II in front of the server that a URL names, which has to trust its clients.
import { connect } from "node:net";
import { join } from "node:path";

import { freePort } from "../../tools/server.mjs";
import { eventually } from "./bounded.mjs";
import { poolerFolder, runPooler, versionOf } from "./pooler-program.mjs";

/** What it calls itself, or `undefined` where it is not installed. */
export function pgpoolVersion() {
  const version = versionOf("pgpool");
  return version && /pgpool-II version ([\d.]+)/i.exec(version)?.[1];
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
  const { home, write } = poolerFolder("pgpool");
  const [port, control] = [await freePort(), await freePort()];
  const settings = {
    backend_clustering_mode: "streaming_replication", sr_check_period: 0, load_balance_mode: "off", backend_hostname0: hostname, backend_port0: serverPort || 5432, backend_flag0: "DISALLOW_TO_FAILOVER",
    listen_addresses: "127.0.0.1", port, socket_dir: home, pcp_listen_addresses: "", pcp_port: control, pcp_socket_dir: home, wd_ipc_socket_dir: home,
    num_init_children: 8, max_pool: 2, enable_pool_hba: "off", pool_passwd: "", pid_file_name: join(home, "pid"), logdir: home, work_dir: home,
  };
  const file = write("pgpool.conf", Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`).join(""));
  const argv = ["-n", "-f", file, "-F", write("pcp.conf", ""), "-a", write("pool_hba.conf", ""), "-k", write("key", "key")];
  const { child, served } = runPooler("pgpool", argv, { home, signal: "SIGINT", port, databaseUrl });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  await eventually(20, "Pgpool-II listens", async () => {
    if (child.exitCode !== null) throw new Error(`pgpool exited with ${child.exitCode}: ${log}`);
    return answers(port);
  });
  return served;
}
