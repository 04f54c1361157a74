// Programs that end with the one that started them, whatever ends it, and with all that they have started themselves.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The programs, each with the folder of its output. */
const running = new Map();

/** Each program leads a process group of its own, which a signal to the group ends with what it has started. */
function endGroup({ pid }, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // All of it has ended.
  }
}

process.on("exit", () => {
  for (const [child, folder] of running) {
    endGroup(child, "SIGTERM");
    rmSync(folder, { recursive: true });
  }
});
// A signal without a handler would end this program without the event above.
for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]]) {
  process.once(signal, () => process.exit(128 + number));
}

/**
 * Runs a program to its end, but for no longer than so many seconds. Its output goes to a file: Node under Wine cannot write
 * to a pipe.
 *
 * @returns {Promise<{ code: number | null, text: string }>} `code`: null where a signal has ended it
 */
export async function runToEnd([file, ...args], { cwd, env, seconds }) {
  const folder = mkdtempSync(join(tmpdir(), "lucia-output-"));
  const path = join(folder, "output.txt");
  const descriptor = openSync(path, "w");
  const child = spawn(file, args, { cwd, env, stdio: ["ignore", descriptor, descriptor], detached: true });
  closeSync(descriptor);
  running.set(child, folder);
  const limit = seconds && setTimeout(() => endGroup(child, "SIGKILL"), seconds * 1000);
  try {
    const [code] = await once(child, "close");
    return { code, text: readFileSync(path, "utf8") };
  } finally {
    clearTimeout(limit);
    running.delete(child);
    rmSync(folder, { recursive: true });
  }
}
