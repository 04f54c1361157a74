// Gives bytes that libFuzzer makes, guided by the branches that they reach, to each parser of what comes from outside:
// `npm run fuzz:parsers -- --seconds 900 --only url,pem --jobs 1`. One parser for each processor is run at a time, each for
// so many seconds. Ends with a non-zero exit code when one panics, hangs or takes too much memory, after naming the file
// with the bytes. What is found interesting is kept in `target/fuzz/corpus` for the next run.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = join(root, "target/fuzz");
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "180" },
    only: { type: "string" },
    jobs: { type: "string", default: String(availableParallelism()) },
  },
});

// What `cargo fuzz` sets, but for the sanitizers, which stable Rust does not have and safe Rust does not need.
const coverage = ["level=4", "inline-8bit-counters", "pc-table", "trace-compares"];
const flags = ["--cfg", "fuzzing", "-Cpasses=sancov-module", ...coverage.map((name) => `-Cllvm-args=-sanitizer-coverage-${name}`)];

function output(program, args, options) {
  const { stdout, status } = spawnSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], ...options });
  return { stdout, status };
}

const [, host] = /^host: (.*)$/m.exec(output("rustc", ["-vV"]).stdout);
// With `--target`, build scripts and macros are left as they are.
const built = output("cargo", ["build", "--locked", "--release", "--target", host, "--target-dir", target], {
  cwd: join(root, "fuzz"),
  env: { ...process.env, RUSTFLAGS: flags.join(" ") },
});
if (built.status !== 0) process.exit(1);
const program = join(target, host, "release", "fuzz");
const all = [...readFileSync(join(root, "src/pg/fuzz.rs"), "utf8").matchAll(/^ +\("(\w+)", /gm)].map(([, name]) => name);
const chosen = values.only?.split(",") ?? all;
for (const name of chosen) if (!all.includes(name)) throw new Error(`no parser is called ${name}; there are: ${all.join(", ")}`);

/** Gives a parser bytes until the time is up, or one of its limits is passed. */
async function fuzz(name) {
  const corpus = join(target, "corpus", name);
  const found = join(target, "found", name);
  for (const folder of [corpus, found]) mkdirSync(folder, { recursive: true });
  const limits = [`-max_total_time=${values.seconds}`, "-timeout=5", "-rss_limit_mb=1024", "-max_len=4096", "-print_final_stats=1"];
  const child = spawn(program, [...limits, `-artifact_prefix=${found}/`, corpus, join(root, "fuzz/corpus", name)], {
    env: { ...process.env, FUZZ_TARGET: name },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let told = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    told += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) {
    process.exitCode = 1;
    console.error(`${name}:\n${told.slice(-4000)}`);
  }
  const executions = Number(/number_of_executed_units: (\d+)/.exec(told)?.[1] ?? 0);
  const branches = [...told.matchAll(/ cov: (\d+)/g)].at(-1)?.[1] ?? "none";
  return { parser: name, executions: executions.toLocaleString("en"), branches, outcome: code === 0 ? "nothing found" : "see above" };
}

const rows = new Map();
const waiting = [...chosen];
const work = async () => {
  for (let name = waiting.shift(); name; name = waiting.shift()) rows.set(name, await fuzz(name));
};
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
console.log(table(chosen.map((name) => rows.get(name))));
