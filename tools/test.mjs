// Runs everything: the Rust unit tests, then every `__test__/*.test.mjs` against one PostgreSQL (`DATABASE_URL`, or one of
// our own), one file more at a time than there are processors, and last those that measure, one at a time. `node tools/test.mjs names errors` runs only those
// files. A file that executed no test fails the run.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

import { Reported, citations, unproven } from "../__test__/support/evidence.mjs";
import { startServer } from "./server.mjs";

/** What measures, by its file, where another file beside it would be measured too. */
const ALONE = {
  "cold-start": "that what is sent within 15 ms is one flight",
  lifecycle: "the memory, the threads and the descriptors of a process after many calls",
  network: "the memory that a process has had at most, and that an error comes within a second",
  waiting: "that a lookup takes less than 250 ms, and how often a thread is woken",
};
/** The files that take longest, as they begin: one that mostly waits beside one that computes, and none of them at the end. */
const LONGEST = ["slow", "certificates", "writing", "pooler-faults", "random-values", "pooler", "hostile", "example", "silent-link"];

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
const reported = new Reported();

if (wanted.length === 0) {
  const { stdout, status, error } = spawnSync("cargo", ["test", "--locked"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.stdout.write(stdout ?? `cargo: ${error.message}\n`);
  const counts = [...(stdout ?? "").matchAll(/^test result: .* (\d+) passed; (\d+) failed/gm)];
  reported.addRust(stdout ?? "");
  const rust = counts.reduce((sum, [, count]) => sum + Number(count), 0);
  passed += rust;
  failed += counts.reduce((sum, [, , count]) => sum + Number(count), 0);
  if (status !== 0 || rust === 0) failed = Math.max(failed, 1);
}

const folder = join(root, "__test__");
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".test.mjs"))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace(/\.test\.mjs$/, "")))
  .map((name) => join(folder, name));
for (const name of wanted) {
  if (!files.some((file) => basename(file) === `${name}.test.mjs`)) throw new Error(`no test file is called ${name}`);
}

const nameOf = (file) => basename(file, ".test.mjs");
for (const name of [...Object.keys(ALONE), ...LONGEST]) {
  if (wanted.length === 0 && !files.some((file) => nameOf(file) === name)) throw new Error(`no test file is called ${name}`);
}
const isAlone = (file) => nameOf(file) in ALONE;
const turn = (file) => (LONGEST.includes(nameOf(file)) ? LONGEST.indexOf(nameOf(file)) : LONGEST.length);
const alone = files.filter(isAlone);
const together = files.filter((file) => !isAlone(file)).sort((one, other) => turn(one) - turn(other));

const server = process.env.DATABASE_URL ? undefined : await startServer();
if (server) process.env.DATABASE_URL = server.url();

const executed = new Map(files.map((file) => [file, 0]));
const took = new Map();
const reporter = new spec();
reporter.pipe(process.stdout);

/** Runs so many files at a time. Their reports stay apart, in the order of the files. */
async function runFiles(some, concurrency) {
  if (some.length === 0) return;
  const tests = run({ files: some, concurrency });
  reported.follow(tests);
  const count = (event, outcome) => {
    tests.on(event, ({ name, file, details, skip, todo }) => {
      const reason = skip ?? todo;
      if (outcome === "passed" && reason !== undefined) {
        skipped += 1;
        console.log(`skipped: ${name}: ${reason}`);
        return;
      }
      // A file appears among its own tests when it has none, and a suite when its tests have run.
      if (details.type === "suite" || name === file) {
        if (outcome === "failed" && name === file) failed += 1;
        return;
      }
      if (outcome === "failed") failed += 1;
      else {
        passed += 1;
        executed.set(file, executed.get(file) + 1);
      }
    });
  };
  count("test:pass", "passed");
  count("test:fail", "failed");
  tests.on("test:complete", ({ name, file, details }) => {
    if (name === file) took.set(file, details.duration_ms);
  });
  tests.pipe(reporter, { end: false });
  await once(tests, "end");
}

// Some of a file's time it waits.
await runFiles(together, Math.min(3, availableParallelism() + 1));
await runFiles(alone, 1);
reporter.end();
await once(reporter, "end");
await server?.stop();

for (const [file, tested] of executed) {
  if (tested > 0) continue;
  failed += 1;
  console.error(`${basename(file)} executed no test`);
}
const cited = citations(root).filter(({ file }) => wanted.length === 0 || files.includes(join(root, file)));
const { wrong, skipped: notShown } = unproven(root, cited, reported);
failed += wrong.length;
for (const line of [...notShown, ...wrong]) console.error(line);
if (took.size > 1) {
  console.log("\nThe slowest files:");
  const slowest = [...took].sort(([, one], [, other]) => other - one).slice(0, 10);
  for (const [file, duration] of slowest) console.log(`${(duration / 1000).toFixed(1).padStart(7)} s  ${basename(file)}`);
}
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
