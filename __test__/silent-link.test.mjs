// A link that drops everything without a word, under a connection that has just been used: keep-alive does not notice it, as there is data that
// nobody has acknowledged. In network namespaces of its own.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { startServer } from "../tools/server.mjs";
import { within } from "./support/bounded.mjs";

const INDEX = fileURLToPath(new URL("../index.js", import.meta.url));

/** Two networks and a wire between them; the server is heard at either end of it. */
const NAMESPACE = `
  set -e
  ip link set lo up
  ip link add near type veth peer name far
  unshare -n sleep 120 & other=$!
  trap 'kill $(jobs -p)' EXIT
  until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
  ip link set far netns $other
  nsenter -t $other -n ip addr add 10.9.8.2/24 dev far
  nsenter -t $other -n ip link set far up
  ip addr add 10.9.8.1/24 dev near
  ip link set near up
  nsenter -t $other -n "$NODE" --eval "$RELAY" 10.9.8.2 &
  "$NODE" --eval "$RELAY" 10.9.8.1 &
  "$NODE" --input-type=module --eval "$PROGRAM"
`;

const RELAY = `
  const { connect, createServer } = require("node:net");
  createServer((client) => {
    const server = connect(process.env.SERVER_SOCKET);
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on("error", () => { client.destroy(); server.destroy(); });
  }).listen(5432, process.argv[1]);
`;

/** One lookup, then the far host is silent, then one lookup more. */
const PROGRAM = `
  import { execFileSync } from "node:child_process";
  import { createRequire } from "node:module";
  import { connect } from "node:net";
  import { once } from "node:events";
  const { postgres } = createRequire(process.env.INDEX)(process.env.INDEX);
  for (const host of ["10.9.8.1", "10.9.8.2"]) {
    for (let isHeard = false; !isHeard;) {
      const socket = connect(5432, host);
      isHeard = await once(socket, "connect").then(() => true, () => new Promise((resolve) => setTimeout(resolve, 50, false)));
      socket.destroy();
    }
  }
  const { options, query } = JSON.parse(process.env.OPTIONS);
  const url = "postgres://postgres:" + process.env.PASSWORD + "@10.9.8.2:5432,10.9.8.1:5432/postgres?sslmode=disable" + query;
  const initialize = postgres(url, { user: "auth_user", key: "user_key", session: null },
    { connect_timeout: 2, max: 1, query_timeout: null, ...options });
  const { getUser } = initialize(Error);
  const before = await getUser("u");
  execFileSync("ip", ["neigh", "replace", "10.9.8.2", "lladdr", "02:00:00:00:00:99", "dev", "near", "nud", "permanent"]);
  const since = performance.now();
  const after = await getUser("u").catch(({ code }) => code);
  console.log(JSON.stringify({ before, after, seconds: (performance.now() - since) / 1000 }));
  process.exit();
`;

function withoutNamespaces() {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  try {
    execFileSync("unshare", ["-n", "ip", "link", "add", "near", "type", "veth", "peer", "name", "far"], { stdio: "ignore" });
    return false;
  } catch {
    return "a network namespace needs root, util-linux and iproute2";
  }
}

// Each test waits most of its time.
describe("a lookup that is sent into a link that drops everything", { skip: withoutNamespaces(), concurrency: 2 }, () => {
  let server;
  before(async () => {
    server = await startServer();
    const { default: connect } = await import("postgres");
    const sql = connect(server.url(), { max: 1, onnotice() {} });
    await sql.unsafe("CREATE TABLE auth_user (id TEXT PRIMARY KEY); INSERT INTO auth_user VALUES ('u')");
    await sql.end();
  });
  after(() => server?.stop());

  async function lookUp(options, query) {
    const env = {
      ...process.env, NODE: process.execPath, INDEX, RELAY, PROGRAM, OPTIONS: JSON.stringify({ options, query }),
      PASSWORD: new URL(server.url()).password, SERVER_SOCKET: `${server.socketDirectory}/.s.PGSQL.${server.port}`,
    };
    const child = spawn("unshare", ["-n", "bash", "-c", NAMESPACE], { env, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    await within(80, "the lookup is answered", once(child, "close"));
    assert.match(stdout, /^\{/, stderr);
    return JSON.parse(stdout);
  }

  // `connect_timeout` of the silent host is part of each.
  for (const [title, options, query, most] of [
    ["is done again at another host after `tcp_user_timeout`", {}, "&tcp_user_timeout=2000", 15],
    ["is done again as keep-alive would have it: `keep_alive` and ten probes", { keep_alive: 1 }, "", 30],
  ]) {
    test(title, { timeout: 90_000 }, async () => {
      const { before: first, after: second, seconds } = await lookUp(options, query);
      assert.deepEqual([first, second], [{ id: "u" }, { id: "u" }]);
      assert.ok(seconds < most, `${seconds} s`);
    });
  }
});
