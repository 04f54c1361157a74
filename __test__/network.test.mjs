// What lies between the adapter and PostgreSQL, or stands in its place: silent addresses, strangers on the port, files that
// block, servers that announce more than anybody can hold.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openAdapter, runningStatements } from "./support/adapter.mjs";
import { eventually } from "./support/bounded.mjs";
import { runChild } from "./support/child.mjs";
import { createTables, freshDatabase } from "./support/database.mjs";
import { message } from "./support/messages.mjs";
import { outcome } from "./support/opened.mjs";
import { startProxy } from "./support/proxy.mjs";

const limit = { timeout: 40_000 };
let database;

before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await database.sql`INSERT INTO auth_user VALUES ('one', 'first')`;
});
after(() => database?.drop());

/** A server that answers whatever it is told with `answer(socket)`. */
async function impostor(t, answer) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => answer(socket));
  });
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

/** Writes `bytes` for ever, as fast as they are taken. */
function flood(socket, bytes) {
  const more = () => {
    while (!socket.destroyed) {
      if (!socket.write(bytes)) return socket.once("drain", more);
    }
  };
  more();
}

const begun = message("R", Buffer.alloc(4));
const noticed = message("N", Buffer.from(`SNOTICE\0VNOTICE\0C00000\0M${"x".repeat(900)}\0\0`));
const announced = (type) => Buffer.concat([Buffer.from(type), Buffer.from([0x7f, 0xff, 0xff, 0xf0])]);

const NO_ANSWER = "what answered the request for TLS is no PostgreSQL";
const MORE = "more than an answer came before encryption: who sent it is not known";
/** What it is, how what it says begins, what it answers with, and what the request for TLS comes to: whoever is asked for TLS is judged by one byte. */
const strangers = [
  ["a web server", "HTTP/1.1 400 Bad", (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"), NO_ANSWER],
  ["a server that greets as SSH does", "SSH-2.0-OpenSSH_", (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"), MORE],
  ["a server that asks for a hash with half a salt", "\\x00\\x00\\x00\\x05\\x01\\x02", (socket) => (
    socket.write(message("R", Buffer.from([0, 0, 0, 5, 1, 2])))
  ), NO_ANSWER],
  ["a server that lets in while it is asked for a proof", "\\x00\\x00\\x00\\x00", (socket) => {
    socket.write(message("R", Buffer.from("\0\0\0\nSCRAM-SHA-256\0\0")));
    socket.once("data", () => socket.write(begun));
  }, NO_ANSWER],
  ["a message of no length", "R\\x00\\x00\\x00\\x00", (socket) => socket.write(Buffer.from("R\0\0\0\0"))],
  ["an announced request of 2 GB", "R\\x7f\\xff\\xff\\xf0", (socket) => flood(socket, announced("R"))],
  ["an announced error of 2 GB", "E\\x7f\\xff\\xff\\xf0", (socket) => flood(socket, announced("E"))],
];

describe("what is no PostgreSQL is said to be none, with host and port, within a second:", () => {
  for (const [what, begin, answer, encrypted] of strangers) {
    const reasons = {
      disable: ["INVALID_ANSWER", `what answered is no PostgreSQL: "${begin}`],
      ...(encrypted && { prefer: ["TLS_FAILED", encrypted], require: ["TLS_FAILED", encrypted] }),
    };
    for (const [sslmode, [code, reason]] of Object.entries(reasons)) {
      test(`${what}, with sslmode=${sslmode}`, limit, async (t) => {
        const port = await impostor(t, answer);
        const { adapter } = openAdapter(t, `postgres://u:p@127.0.0.1:${port}/d?sslmode=${sslmode}`);
        const since = performance.now();
        const { error } = await outcome(adapter.getUser("one"));
        assert.ok(error.message.startsWith(`127.0.0.1:${port} cannot be connected to: ${reason}`), error.message);
        assert.deepEqual([error.code, error.address, error.port], [code, "127.0.0.1", port]);
        assert.ok(performance.now() - since < 1000, `${performance.now() - since} ms`);
      });
    }
  }
});

const asksPassword = message("R", Buffer.from([0, 0, 0, 3]));
const mayBegin = Buffer.concat([begun, message("K", Buffer.alloc(8)), message("Z", Buffer.from("I"))]);
const notified = message("A", Buffer.from(`\0\0\0\0channel\0${"x".repeat(900)}\0`));
let settings = 0;
const setting = () => message("S", Buffer.from(`setting_${settings += 1}\0${"v".repeat(5000)}\0`));
const hundred = (make) => Buffer.concat(Array.from({ length: 100 }, make));
const nothing = Buffer.alloc(0);
const zeros = Buffer.alloc(2 ** 20);
const noPostgresql = { code: "INVALID_ANSWER", message: /^127\.0\.0\.1:\d+ cannot be connected to: what answered is no PostgreSQL: / };
const tooMuch = {
  code: "INVALID_ANSWER",
  message: /^127\.0\.0\.1:\d+ cannot be connected to: the server sent more than 1048576 bytes of settings and notices unasked$/,
};
const otherLength = {
  code: "INVALID_ANSWER",
  message: /^127\.0\.0\.1:\d+ cannot be connected to: the server sent a message of another type or length than PostgreSQL: /,
};
const silence = { code: "CONNECT_TIMEOUT", message: /^127\.0\.0\.1:\d+ did not answer within connect_timeout \(2 s\)$/ };
const sent = { code: "CONNECTION_CLOSED", message: /^the server sent more than 1048576 bytes of settings and notices unasked$/ };
const sentOther = { code: "CONNECTION_CLOSED", message: /^the server sent a message of another type or length than PostgreSQL: / };
/** MB beyond what the process had before the call. */
const MOST_GROWTH = 64;

describe(`a server that sends for ever takes ${MOST_GROWTH} MB of memory at most:`, () => {
  for (const [what, expected, { first = nothing, begin = nothing, bytes }] of [
    ["a request for authentication of 2 GB", noPostgresql, { begin: announced("R"), bytes: zeros }],
    ["an error of 2 GB, before authentication", noPostgresql, { begin: announced("E"), bytes: zeros }],
    ["notices, before authentication", noPostgresql, { bytes: hundred(() => noticed) }],
    ["requests for a password, before authentication", noPostgresql, { bytes: hundred(() => asksPassword) }],
    ["notices, before the session", tooMuch, { begin: begun, bytes: hundred(() => noticed) }],
    ["settings, before the session", tooMuch, { begin: begun, bytes: hundred(setting) }],
    ["an error of 2 GB, before the session", otherLength, { begin: Buffer.concat([begun, announced("E")]), bytes: zeros }],
    ["notices, in the session", silence, { first: mayBegin, bytes: hundred(() => noticed) }],
    ["notifications, in the session", silence, { first: mayBegin, bytes: hundred(() => notified) }],
    ["settings, in the session", sent, { first: mayBegin, bytes: hundred(setting) }],
    ["a setting of 2 GB, in the session", sentOther, { first: mayBegin, begin: announced("S"), bytes: zeros }],
    ["a row of 2 GB, in the session", sentOther, { first: mayBegin, begin: announced("D"), bytes: zeros }],
  ]) {
    test(what, limit, async (t) => {
      const port = await impostor(t, (socket) => {
        const sayForEver = () => {
          socket.write(begin);
          flood(socket, bytes);
        };
        if (first.length === 0) return sayForEver();
        socket.write(first);
        socket.once("data", sayForEver);
      });
      // In a process of its own, whose peak is known to the system.
      const { stdout, stderr } = await runChild(`
        const own = postgres(process.env.CHILD_URL, tableNames, { connect_timeout: 2, query_timeout: 2, onnotice() {} });
        const earlier = process.resourceUsage().maxRSS;
        const { code, message, address, port } = await own(LuciaError).getUser("one").catch((error) => error);
        const grown = (process.resourceUsage().maxRSS - earlier) / 1024;
        console.log(JSON.stringify({ code, message, address, port, grown }));
        await own.end();
      `, `postgres://u:p@127.0.0.1:${port}/d?sslmode=disable`);
      assert.equal(stderr, "");
      const { code, message: text, grown, ...place } = JSON.parse(stdout);
      assert.equal(code, expected.code);
      assert.deepEqual(place, { address: "127.0.0.1", port });
      assert.match(text, expected.message);
      assert.ok(grown <= MOST_GROWTH, `${grown} MB`);
    });
  }
});

describe("a file that blocks whoever reads it", { skip: process.platform === "win32" && "Windows has no named pipes in its file system" }, () => {
  let folder;
  let pipe;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "lucia-pipe-"));
    pipe = join(folder, "pipe");
    execFileSync("mkfifo", ["-m", "600", pipe]);
  });
  after(() => rmSync(folder, { recursive: true }));

  test("as sslrootcert ends with CONNECT_TIMEOUT, and holds up no other adapter", limit, async (t) => {
    const url = new URL(database.url);
    url.searchParams.set("sslmode", "verify-full");
    url.searchParams.set("sslrootcert", pipe);
    const blocked = openAdapter(t, url, { connect_timeout: 2 }).adapter.getUser("one");
    const other = openAdapter(t, database.url).adapter;
    assert.deepEqual(await outcome(other.getUser("one")), { value: { id: "one", username: "first" } });
    assert.equal((await outcome(blocked)).error.code, "CONNECT_TIMEOUT");
    assert.deepEqual(await outcome(other.getUser("one")), { value: { id: "one", username: "first" } });
  });

  test("as password file counts as empty, as libpq has it", limit, async (t) => {
    const url = new URL(database.url);
    url.password = "";
    url.searchParams.set("passfile", pipe);
    const { error } = await outcome(openAdapter(t, url, { connect_timeout: 10 }).adapter.getUser("one"));
    assert.equal(error.code, "PASSWORD_MISSING");
  });
});

/** A network of its own: a name that leads to a silent IPv6 address and to an IPv4 address, and an interface. */
const NAMESPACE = `
  set -e
  ip link set lo up
  ip link add apart type veth peer name far
  ip addr add 10.9.9.1/24 dev apart
  ip addr add 2001:db8::1/64 dev apart nodad
  ip addr add fe80::9/64 dev apart nodad
  ip link set apart up
  ip link set far up
  ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev apart
  printf '2001:db8::2 twofold\\n10.9.9.1 twofold\\n' > "$FOLDER/hosts"
  mount --bind "$FOLDER/hosts" /etc/hosts
  exec "$NODE" --input-type=module --eval "$PROGRAM"
`;
const PROGRAM = `
  import { createServer } from "node:net";
  import { createRequire } from "node:module";
  import { once } from "node:events";
  const { postgres } = createRequire(process.env.INDEX)(process.env.INDEX);
  const refusal = Buffer.from("SFATAL\\0VFATAL\\0C28000\\0Mreached\\0\\0");
  const length = Buffer.alloc(4);
  length.writeInt32BE(refusal.length + 4);
  const server = createServer((socket) => socket.once("data", () => socket.end(Buffer.concat([Buffer.from("E"), length, refusal]))));
  server.listen(0, "::");
  await once(server, "listening");
  const { port } = server.address();
  const tables = { user: "auth_user", key: "user_key", session: "user_session" };
  const outcomes = {};
  for (const [name, host] of [["name", "twofold"], ["zone", "fe80::9%apart"]]) {
    const initialize = postgres({ host, port, user: "u", database: "d", connect_timeout: 5 }, tables);
    const since = performance.now();
    const { message } = await initialize(Error).getUser("one").catch((error) => error);
    outcomes[name] = { message, late: performance.now() - since > 2000 };
    await initialize.end();
  }
  server.close();
  console.log(JSON.stringify(outcomes));
`;

const INDEX = fileURLToPath(new URL("../index.js", import.meta.url));

function withoutNamespaces() {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  try {
    execFileSync("unshare", ["-n", "-m", "ip", "link", "add", "apart", "type", "veth", "peer", "name", "far"], { stdio: "ignore" });
    return false;
  } catch {
    return "a network namespace needs root, util-linux and iproute2";
  }
}

describe("in a network of its own", { skip: withoutNamespaces() }, () => {
  let outcomes;
  before(() => {
    const folder = mkdtempSync(join(tmpdir(), "lucia-network-"));
    const env = { ...process.env, FOLDER: folder, NODE: process.execPath, PROGRAM, INDEX };
    outcomes = JSON.parse(execFileSync("unshare", ["-n", "-m", "bash", "-c", NAMESPACE], { env, encoding: "utf8", timeout: 30_000 }));
    rmSync(folder, { recursive: true });
  });

  test("a name whose first address is silent is reached by the next one, within a second or two", () => {
    assert.deepEqual(outcomes.name, { message: "reached", late: false });
  });

  test("an IPv6 address with a zone is reached through its interface", () => {
    assert.deepEqual(outcomes.zone, { message: "reached", late: false });
  });
});

describe("a request to cancel", () => {
  test("goes to the server over a connection of its own, and ends the statement there", limit, async (t) => {
    const proxy = await startProxy(database.url);
    t.after(() => proxy.stop());
    proxy.record();
    const { adapter, name } = openAdapter(t, proxy.url(database.url), { query_timeout: 1 });
    await adapter.getUser("one");
    const { error } = await database.sql.begin(async (sql) => {
      await sql`SELECT FROM auth_user WHERE id = 'one' FOR UPDATE`;
      const settled = await outcome(adapter.updateUser("one", { username: "late" }));
      await eventually(5, "the statement has ended while its row is locked", async () => await runningStatements(database.sql, name) === 0);
      return settled;
    });
    assert.equal(error.code, "QUERY_TIMEOUT");
    // A CancelRequest begins with int32 16 and int32 80877102.
    const begun = String.fromCharCode(0, 0, 0, 16, 4, 210, 22, 46);
    assert.deepEqual([...proxy.timesSent(new RegExp(`^${begun}`, "g")).values()], [1]);
    assert.deepEqual((await adapter.getUser("one")).username, "first");
  });
});
