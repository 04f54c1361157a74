// A child process that reads and writes lines of JSON: one line asks, the next line answers.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export function startChild(name, file, ...args) {
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  // A child that died is missed when its answer is.
  child.stdin.on("error", () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  async function answer(patience) {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, patience * 1000);
    const { value, done } = await lines.next();
    clearTimeout(timer);
    if (late) throw new Error(`${name} did not answer for ${patience} seconds`);
    if (done) throw new Error(`${name} ended before it answered`);
    return JSON.parse(value);
  }

  return {
    answer,
    ask(request, patience) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answer(patience);
    },
    async end() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      await exited;
      clearTimeout(timer);
    },
  };
}
