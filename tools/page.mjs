// Asks a server for the page that `__test__/fixtures/account.js` answers with.
import { spawn } from "node:child_process";
import { once } from "node:events";

import { freePort } from "./server.mjs";

const expected = '{"username":"Bob","refused":"AUTH_DUPLICATE_KEY_ID"}';

/** What builds and servers print is read when they fail; it needs no colours, and no news of theirs. */
export const quiet = { NEXT_TELEMETRY_DISABLED: "1", NODE_OPTIONS: "", NO_COLOR: "1" };

/** Runs a command of the shell, which starts the server, until the page has come. */
export async function askForPage(folder, command, url, variables = {}) {
  const port = String(await freePort());
  const env = { ...process.env, ...quiet, ...variables, DATABASE_URL: url, PORT: port, HOST: "127.0.0.1", HOSTNAME: "127.0.0.1",
    ORIGIN: "http://localhost" };
  // A group of its own: the shell may not be the server.
  const isGroup = process.platform !== "win32";
  const child = spawn(command, { cwd: folder, env, shell: true, detached: isGroup, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  let output = "";
  const listens = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (/ready|listening/i.test(output)) resolve();
      });
    }
  });
  try {
    await Promise.race([listens, closed]);
    const response = await fetch(`http://127.0.0.1:${port}/account`, { signal: AbortSignal.timeout(30_000) });
    const body = await response.text();
    if (body !== expected) throw new Error(`the page is ${response.status} ${body}`);
  } catch (error) {
    throw new Error(`${error.message}\n${output}`, { cause: error });
  } finally {
    if (child.exitCode === null) process.kill(isGroup ? -child.pid : child.pid);
    await closed;
  }
}
