// Programs of this package, run as a user runs them: in a process of their own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const running = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts `node FILE ARGUMENTS...`. A variable of `environment` that is `undefined` is taken out.
 *
 * @param {string[]} command
 * @param {Record<string, string | undefined>} [environment]
 */
export function startProgram(command, environment = {}) {
  const env = { ...process.env, ...environment };
  for (const [name, value] of Object.entries(env)) if (value === undefined) delete env[name];
  // A test file's own channel to the runner must not be taken for the program's.
  delete env.NODE_TEST_CONTEXT;
  delete env.NODE_CHANNEL_FD;
  const child = spawn(process.execPath, command, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  child.once("close", () => running.delete(child));
  const program = {
    stdout: "",
    stderr: "",
    /** Settles when the program is over and has said everything. */
    ended: once(child, "close").then(([code, signal]) => ({
      code,
      signal,
      stdout: program.stdout,
      stderr: program.stderr,
    })),
    stop(signal = "SIGTERM") {
      child.kill(signal);
      return program.ended;
    },
    /** Resolves to the match of `pattern` in what the program prints; rejects when it ends without. */
    async says(pattern) {
      for (;;) {
        const match = pattern.exec(program.stdout);
        if (match) return match;
        const over = await Promise.race([once(child.stdout, "data").then(() => false), program.ended]);
        if (over && !pattern.test(program.stdout)) {
          throw new Error(`the program ended without ${pattern}: ${over.stdout}${over.stderr}`);
        }
      }
    },
  };
  for (const name of ["stdout", "stderr"]) {
    child[name].setEncoding("utf8").on("data", (text) => {
      program[name] += text;
    });
  }
  return program;
}
