// Runs everything: the Rust unit tests, then every `__test__/*.test.mjs` against one PostgreSQL (`DATABASE_URL`, or one of
// our own). `node tools/test.mjs names errors` runs only those files. A file that executed no test fails the run.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

import { Reported, citations, unproven } from "../__test__/support/evidence.mjs";
import { startServer } from "./server.mjs";

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

const server = process.env.DATABASE_URL ? undefined : await startServer();
if (server) process.env.DATABASE_URL = server.url();

const executed = new Map(files.map((file) => [file, 0]));
const tests = run({ files, concurrency: 1 });
reported.follow(tests);
const took = new Map();
let at = performance.now();
const count = (event, outcome) => {
  tests.on(event, ({ name, file, details, skip, todo }) => {
    const now = performance.now();
    took.set(file, (took.get(file) ?? 0) + now - at);
    at = now;
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
tests.compose(new spec()).pipe(process.stdout);
await new Promise((resolve) => {
  tests.once("end", resolve);
});
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
