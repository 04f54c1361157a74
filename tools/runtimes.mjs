// Runs this repository's test files on every runtime that the README lists, each installed from npm, by the runtime's own test
// runner; and in a project of its own, with the packed package, the ways in which a program can be over. `node tools/runtimes.mjs bun
// node-18` runs only those.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createTables, freshDatabase } from "../__test__/support/database.mjs";
import { installed, npm, packed } from "./installed.mjs";
import { startServer } from "./server.mjs";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const program = (path) => (process.platform === "win32" ? `${path}.exe` : path);

/** The test files that say what the adapter is to JavaScript, rather than to the server. */
const contract = ["contract", "names", "arguments", "lifecycle", "workers"];

/** Besides them Node alone runs these: they import what other runtimes lack, or are about what only Node has. */
const ofNode = ["errors", "existing", "realms", "surroundings"];

/** The installed package's own. */
const commandLine = "node_modules/lucia-postgres-native/bin/lucia-postgres-native.mjs";

/** How a program that never calls `end` may be over, and with which code. */
const endings = { "with idle connections": 0, "with calls under way": 7, "in a worker": 0, "with terminated workers": 0 };

/** Node's own binaries, as npm packages that hold one for one platform. */
function node(version) {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const prefix = platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  return {
    title: "Node",
    package: `npm:${prefix}-${platform}-${process.arch}@${version}`,
    command: (modules, name) => [join(modules, name, program("bin/node"))],
    test: (executable, files) => [...executable, "--test", "--test-concurrency=1", "--test-reporter=tap", ...files],
    files: [...contract, ...ofNode],
    outcome: (output) => ["pass", "fail", "cancelled", "skipped"].map((what) => count(output, `^# ${what} (\\d+)$`)),
    // Lucia needs `crypto`, which is global by default from Node 19 on.
    environment: version === "18" ? { NODE_OPTIONS: "--experimental-global-webcrypto" } : {},
  };
}

function bun() {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  return {
    title: "Bun",
    package: "latest",
    command: (modules) => [join(modules, `@oven/bun-${platform}-${arch}`, program("bin/bun"))],
    test: (executable, files) => [...executable, "test", "--timeout=120000", ...files.map((file) => `./${file}`)],
    files: contract,
    outcome: (output) => [count(output, "^ *(\\d+) pass$"), count(output, "^ *(\\d+) fail$"), 0, count(output, "^ *(\\d+) skip$")],
  };
}

function deno() {
  const platform = `${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  return {
    title: "Deno",
    package: "latest",
    command: (modules) => [join(modules, "@deno", platform, program("deno")), "run", "-A"],
    test: ([executable], files) => [executable, "test", "-A", "--no-check", ...files],
    files: contract,
    outcome: (output) => [count(output, "(\\d+) passed"), count(output, "(\\d+) failed"), 0, count(output, "(\\d+) ignored")],
  };
}

const runtimes = {
  "node-18": node("18"),
  "node-20": node("20"),
  "node-22": node("22"),
  "node-24": node("24"),
  "node-newest": node("latest"),
  bun: bun(),
  deno: deno(),
};

/** The sum of the numbers that a pattern finds. */
const count = (output, pattern) =>
  [...output.matchAll(new RegExp(pattern, "gm"))].reduce((sum, [, number]) => sum + Number(number), 0);

/** Runs a command to its end, but for no longer than so many seconds. */
async function run([file, ...args], { cwd = root, environment = {}, seconds = 120 } = {}) {
  const env = { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", ...environment };
  const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const limit = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  const [code, signal] = await once(child, "close");
  clearTimeout(limit);
  return { code, output: signal ? `${output}\nended by ${signal}` : output };
}

/** The packed package, installed beside what the programs import. */
function makeProject() {
  const project = realpathSync(mkdtempSync(join(tmpdir(), "lucia-runtimes-")));
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const beside = ["lucia", "postgres"].map((name) => `${name}@${devDependencies[name]}`);
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  npm(project, "install", packed(project), ...beside, "--ignore-scripts", "--no-audit", "--no-fund");
  for (const name of ["runtime-endings", "database"]) {
    copyFileSync(join(root, "__test__/support", `${name}.mjs`), join(project, `${name}.mjs`));
  }
  return project;
}

/** @returns {Promise<{ failures: string[] }>} and what the table says of the runtime */
async function examine(name, { title, command, environment, test, files, outcome }, { modules, project, url }) {
  const executable = command(modules, name);
  const options = { cwd: project, environment: { ...environment, DATABASE_URL: url } };
  const failures = [];

  const { output: said } = await run([executable[0], "--version"]);
  const version = said.match(/\d+\.\d+\.\d+/)?.[0] ?? said.trim();

  let ended = 0;
  for (const [ending, expected] of Object.entries(endings)) {
    const { code, output } = await run([...executable, "runtime-endings.mjs", ending], options);
    if (code === expected) ended += 1;
    else failures.push(`${ending}: exit code ${code}, not ${expected}\n${output}`);
  }

  const { code: checked, output: report } = await run([...executable, commandLine, "check"], options);
  if (checked !== 0) failures.push(`lucia-postgres-native check: exit code ${checked}\n${report}`);

  // One file after the other: some count what the process has open.
  const totals = [0, 0, 0, 0];
  for (const file of files) {
    const path = join("__test__", `${file}.test.mjs`);
    const { code, output } = await run(test(executable, [path]), { ...options, cwd: root, seconds: 600 });
    const counts = outcome(output);
    counts.forEach((number, at) => {
      totals[at] += number;
    });
    if (code !== 0 || counts[0] === 0) failures.push(`${path}:\n${output}`);
    for (const [, skipped, reason] of output.matchAll(/^ *ok \d+ - (.*) # SKIP (.*)$/gm)) console.log(`${name} skipped: ${skipped}: ${reason}`);
  }
  const [passed, failed, cancelled, skipped] = totals;

  const left = await connectionsLeft(executable, options);
  if (left !== 0) failures.push(`${WORKERS} workers that ended without \`end()\` have left ${left} connections`);
  return {
    failures,
    runtime: `${title} ${version}`,
    "test files": `${passed} passed, ${failed + cancelled} failed, ${skipped} skipped`,
    "end of the process": `${ended} of ${Object.keys(endings).length}`,
    "connections that workers leave": String(left),
    "`check`": checked === 0 ? "works" : "fails",
  };
}

const WORKERS = 20;

/** How many connections are open when workers have ended without `end()`, while their process goes on. */
async function connectionsLeft(executable, options) {
  const name = `workers-of-${process.pid}-${executable.length}-${Math.trunc(performance.now())}`;
  const url = new URL(options.environment.DATABASE_URL);
  url.searchParams.set("application_name", name);
  const ended = [...executable, "runtime-endings.mjs", "while workers have ended"];
  const { output } = await run(ended, { ...options, environment: { ...options.environment, WORKERS, NAME: name, CHILD_URL: url.href } });
  const found = output.match(/^(\d+) connections are left$/m);
  return found ? Number(found[1]) : Number.NaN;
}

const wanted = process.argv.slice(2);
for (const name of wanted) if (!runtimes[name]) throw new Error(`no runtime is called ${name}: ${Object.keys(runtimes)}`);
const names = Object.keys(runtimes).filter((name) => wanted.length === 0 || wanted.includes(name));
const folder = installed("runtimes", Object.fromEntries(Object.entries(runtimes).map(([name, { package: spec }]) => [name, spec])));
const project = makeProject();
const server = process.env.DATABASE_URL ? undefined : await startServer();
process.env.DATABASE_URL ??= server.url();
const database = await freshDatabase();
await createTables(database.sql);
await database.sql`INSERT INTO auth_user VALUES ('alice', 'Alice')`;

const rows = [];
let failed = 0;
for (const name of names) {
  const place = { modules: join(folder, "node_modules"), project, url: database.url };
  const { failures, ...row } = await examine(name, runtimes[name], place);
  for (const failure of failures) console.error(`${name}: ${failure}\n`);
  failed += failures.length > 0 ? 1 : 0;
  rows.push(row);
  console.log(`${failures.length === 0 ? "ok" : "not ok"} ${row.runtime}`);
}
console.log(`\n${table(rows)}\n`);
await database.drop();
await server?.stop();
rmSync(project, { recursive: true, force: true });
console.log(`${names.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
