// Runs histories of the simulated PostgreSQL on every processor: `npm run simulate -- --seeds 100000 --from 0`. Each seed is
// one history, the same every time. Ends with a non-zero exit code when one breaks a promise, after telling the seed and
// the smallest history that breaks it.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const test = "simulation::histories::every_history_keeps_what_is_promised";
/** Seeds that a process is given at a time. */
const portion = 2_000;

const { values } = parseArgs({ options: { seeds: { type: "string", default: "100000" }, from: { type: "string", default: "0" } } });
const [seeds, from] = [values.seeds, values.from].map(Number);
if (!Number.isSafeInteger(seeds) || seeds < 1 || !Number.isSafeInteger(from) || from < 0) {
  throw new Error("usage: npm run simulate -- [--seeds COUNT] [--from SEED]");
}

/** Builds the test program, with optimisation and with the checks of a debug build, and returns its path. */
function build() {
  const flags = ["test", "--locked", "--profile", "simulation", "--no-run", "--message-format", "json"];
  const { stdout, status } = spawnSync("cargo", flags, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 2 ** 28 });
  if (status !== 0) process.exit(1);
  const messages = stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  return messages.findLast(({ executable, profile }) => executable && profile.test).executable;
}

const program = build();
const began = performance.now();
let next = from;
let done = 0;
let failure;

function progress() {
  const seconds = (performance.now() - began) / 1000;
  return `${done.toLocaleString("en")} of ${seeds.toLocaleString("en")} histories, ${Math.round(done / seconds).toLocaleString("en")} a second`;
}

async function work() {
  while (next < from + seeds && failure === undefined) {
    const first = next;
    const count = Math.min(portion, from + seeds - first);
    next += count;
    const environment = { ...process.env, SIMULATION_FROM: first, SIMULATION_SEEDS: count };
    const child = spawn(program, ["--exact", test, "--nocapture"], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    const [code] = await once(child, "close");
    // A program that runs no test ends well too.
    if (code !== 0 || !output.includes("1 passed")) failure ??= output;
    else done += count;
    if (process.stdout.isTTY) process.stdout.write(`\r${progress()}`);
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, work));
console.log(`${process.stdout.isTTY ? "\r" : ""}${progress()}, seeds ${from} to ${from + seeds - 1}`);
if (failure !== undefined) {
  console.log(failure);
  process.exitCode = 1;
}
