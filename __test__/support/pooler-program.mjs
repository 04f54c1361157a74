// A pooler's program, run in a folder of its own in front of the server that a URL names.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";

import { account } from "../../tools/server.mjs";

// Debian puts it where only the administrator's PATH looks.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };

/** What the program prints of its version, `undefined` where it is not installed. */
export function versionOf(program) {
  const { stdout, stderr, error } = spawnSync(program, ["--version"], { env, encoding: "utf8" });
  return error ? undefined : stdout + stderr;
}

/** A folder, which `write` puts files in that the pooler's account alone may read. */
export function poolerFolder(name) {
  const { uid, gid } = account();
  const home = mkdtempSync(join(tmpdir(), `lucia-${name}-`));
  const own = (path) => uid === undefined || chownSync(path, uid, gid);
  own(home);
  const write = (file, text) => {
    const path = join(home, file);
    writeFileSync(path, text, { mode: 0o600 });
    own(path);
    return path;
  };
  return { home, write };
}

/** The program where the pooler's account may run it: that need not be allowed to look into the folder of a checkout. */
function reachable(program, home) {
  if (!isAbsolute(program)) return program;
  const copy = join(home, "program");
  copyFileSync(program, copy);
  chmodSync(copy, 0o755);
  return copy;
}

/** Runs it until `stop`, which deletes the folder too. `url` is that of the server, by way of the pooler on `port`. */
export function runPooler(program, argv, { home, signal, port, databaseUrl }) {
  const child = spawn(reachable(program, home), argv, { ...account(), cwd: home, env, stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  const kill = () => child.kill(signal);
  process.once("exit", kill);
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = port;
  const stop = async () => {
    process.off("exit", kill);
    kill();
    await exited;
    rmSync(home, { recursive: true, force: true });
  };
  return { child, served: { url: url.href, stop } };
}
