// Runs the contract on every runtime that the README lists, each installed from npm: the packed package in a project of
// its own, and on Node this repository's test files too. `node tools/runtimes.mjs bun node-18` runs only those.
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
const contract = ["contract", "arguments", "names", "errors", "existing", "lifecycle", "workers"];

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
    isNode: true,
    // Lucia needs `crypto`, which is global by default from Node 19 on.
    environment: version === "18" ? { NODE_OPTIONS: "--experimental-global-webcrypto" } : {},
  };
}

function bun() {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  return { title: "Bun", package: "latest", command: (modules) => [join(modules, `@oven/bun-${platform}-${arch}`, program("bin/bun"))] };
}

function deno() {
  const platform = `${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  return { title: "Deno", package: "latest", command: (modules) => [join(modules, "@deno", platform, program("deno")), "run", "-A"] };
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

/** Runs a command to its end, but for no longer than two minutes. */
async function run([file, ...args], { cwd = root, environment = {} } = {}) {
  const env = { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", ...environment };
  const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const limit = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const [code, signal] = await once(child, "close");
  clearTimeout(limit);
  return { code, output: signal ? `${output}\nended by ${signal}` : output };
}

/** The packed package, installed beside what the programs import. */
function makeProject() {
  const project = realpathSync(mkdtempSync(join(tmpdir(), "lucia-runtimes-")));
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const beside = ["lucia", "@lucia-auth/adapter-test", "postgres"].map((name) => `${name}@${devDependencies[name]}`);
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  npm(project, "install", packed(project), ...beside, "--ignore-scripts", "--no-audit", "--no-fund");
  for (const name of ["runtime-contract", "runtime-endings", "database"]) {
    copyFileSync(join(root, "__test__/support", `${name}.mjs`), join(project, `${name}.mjs`));
  }
  return project;
}

const closingLine = (output) => output.match(/^(\d+) passed, (\d+) failed$/m);

/** @returns {Promise<{ failures: string[] }>} and what the table says of the runtime */
async function examine(name, { title, command, environment, isNode }, { modules, project, url }) {
  const executable = command(modules, name);
  const options = { cwd: project, environment: { ...environment, DATABASE_URL: url } };
  const failures = [];

  const { output: said } = await run([executable[0], "--version"]);
  const version = said.match(/\d+\.\d+\.\d+/)?.[0] ?? said.trim();

  const kept = await run([...executable, "runtime-contract.mjs"], options);
  const [, passed = "0", failed = "0"] = closingLine(kept.output) ?? [];
  if (kept.code !== 0 || passed === "0" || failed !== "0") failures.push(`the contract:\n${kept.output}`);

  let ended = 0;
  for (const [ending, expected] of Object.entries(endings)) {
    const { code, output } = await run([...executable, "runtime-endings.mjs", ending], options);
    if (code === expected) ended += 1;
    else failures.push(`${ending}: exit code ${code}, not ${expected}\n${output}`);
  }

  const { code: checked, output: report } = await run([...executable, commandLine, "check"], options);
  if (checked !== 0) failures.push(`lucia-postgres-native check: exit code ${checked}\n${report}`);

  let tests = "";
  if (isNode) {
    const files = contract.map((file) => join("__test__", `${file}.test.mjs`));
    const runner = ["--test", "--test-concurrency=1", "--test-reporter=tap"];
    const { code, output } = await run([...executable, ...runner, ...files], { ...options, cwd: root });
    const count = (outcome) => Number(output.match(new RegExp(`^# ${outcome} (\\d+)$`, "m"))?.[1] ?? 0);
    tests = `${count("pass")} passed, ${count("fail") + count("cancelled")} failed`;
    if (code !== 0 || count("pass") === 0) failures.push(`the test files:\n${output}`);
    for (const [, title, reason] of output.matchAll(/^ *ok \d+ - (.*) # SKIP (.*)$/gm)) console.log(`${name} skipped: ${title}: ${reason}`);
  }
  const total = Number(passed) + Number(failed);
  return {
    failures,
    runtime: `${title} ${version}`,
    contract: `${passed} of ${total}`,
    "end of the process": `${ended} of ${Object.keys(endings).length}`,
    "`check`": checked === 0 ? "works" : "fails",
    "test files": tests,
  };
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
