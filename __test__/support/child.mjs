// A program of its own, for what can only be seen from outside: how it exits, what it leaves behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { within } from "./bounded.mjs";

const INDEX = new URL("../../index.js", import.meta.url).href;
const LUCIA = import.meta.resolve("lucia");

/** Not the system's: Deno goes by the package that a program is in. */
const PLACE = fileURLToPath(new URL("../../target/", import.meta.url));

/** What every such program begins with; `open` makes an adapter. */
const BEGINNING = `
  import { LuciaError } from ${JSON.stringify(LUCIA)};
  import { postgres } from ${JSON.stringify(INDEX)};
  const tableNames = { user: "auth_user", key: "user_key", session: "user_session" };
  const initializer = postgres(process.env.CHILD_URL, tableNames);
  const adapter = initializer(LuciaError);
`;

/** Runs the text of an ES module with `adapter` and `initializer` in scope; `url` is the database's. */
export async function runChild(text, url, { flags = [], seconds = 30, environment = {}, descriptors } = {}) {
  mkdirSync(PLACE, { recursive: true });
  const folder = mkdtempSync(join(PLACE, "child-"));
  const file = join(folder, "program.mjs");
  writeFileSync(file, BEGINNING + text);
  const args = globalThis.Deno ? ["run", "-A", ...flags.map((flag) => `--v8-flags=${flag}`), file] : [...flags, file];
  const command = descriptors === undefined
    ? [process.execPath, ...args]
    : ["bash", "-c", `ulimit -n ${descriptors}; exec "$@"`, "bash", process.execPath, ...args];
  const child = spawn(command[0], command.slice(1), {
    env: { ...process.env, CHILD_URL: url, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (part) => {
    stdout += part;
  });
  child.stderr.setEncoding("utf8").on("data", (part) => {
    stderr += part;
  });
  try {
    const [code, signal] = await within(seconds, `the program exits:\n${text}`, once(child, "close"));
    return { code, signal, stdout, stderr };
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}
