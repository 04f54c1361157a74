// A module that runs in a process of its own, where the environment can be another one.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { within } from "./bounded.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The environment of this process without what PostgreSQL's clients read from it. */
function environmentWithoutPostgres() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PG")));
}

/**
 * Runs the text of a module, whose imports are relative to the repository. `answers` are the lines that it printed, parsed
 * as JSON; `say` gives it a line on its standard input.
 */
export function startModule(source, environment = {}) {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: root,
    env: { ...environmentWithoutPostgres(), ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  let complaints = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaints += text;
  });
  const exited = once(child, "close");
  const answers = async () => {
    const [code] = await within(60, "the process ends", exited).finally(() => child.kill("SIGKILL"));
    if (code !== 0) throw new Error(`the process exited with ${code}: ${complaints}`);
    return output.trim().split("\n").map((line) => JSON.parse(line));
  };
  return {
    answers,
    /** Resolves when the module has printed its first line. */
    async ready() {
      while (!output.includes("\n")) await Promise.race([once(child.stdout, "data"), answers()]);
    },
    say(line) {
      child.stdin.write(`${line}\n`);
    },
  };
}

const asking = `
  import { whoami } from "./__test__/support/whoami.mjs";
  const { connection, options } = JSON.parse(process.env.TEST_ARGUMENTS);
  const told = ({ code, message, address, port }) => ({ error: { code, message, address, port } });
  console.log(JSON.stringify(await whoami(connection, options).catch(told)));
`;

/** `whoami(connection, options)` where the environment holds `environment`; a rejection becomes `{ error }`. */
export async function whoamiIn(environment, connection = {}, options = undefined) {
  const given = JSON.stringify({ connection, options });
  const [answer] = await startModule(asking, { TEST_ARGUMENTS: given, ...environment }).answers();
  return answer;
}
