// Builds the binary of every platform that a Debian for x64 can build, runs the test files with a Node of that platform, and
// says what cannot be done here. `node tools/platforms.mjs win32-x64-msvc` does only that one. While a binary is tested the next
// one is built. With `--built` the binaries of an earlier run are tested.
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { armBun, armMuslNodes, armNodes, muslNodes, windowsNodes } from "./emulators.mjs";
import { binaryOf, build, check, newestGlibc } from "./build.mjs";
import { runToEnd } from "./group.mjs";
import { packedFiles } from "./published.mjs";
import { startServer } from "./server.mjs";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const binaries = join(root, "target/platforms/binaries");
const thisNode = () => [{ title: `Node ${process.versions.node}`, command: [process.execPath] }];

/** What a platform's Node cannot do here, by test file. */
const underWine = "a program under Wine cannot start PostgreSQL, a program of Linux";

const platforms = {
  "linux-x64-gnu": { target: "x86_64-unknown-linux-gnu", runtimes: thisNode },
  "linux-arm64-gnu": { target: "aarch64-unknown-linux-gnu", runtimes: () => [...armNodes(), armBun()] },
  "linux-x64-musl": { target: "x86_64-unknown-linux-musl", runtimes: muslNodes },
  "linux-arm64-musl": { target: "aarch64-unknown-linux-musl", runtimes: armMuslNodes },
  "win32-x64-msvc": { target: "x86_64-pc-windows-gnu", runtimes: windowsNodes, without: { connect: underWine, outages: underWine, faults: underWine } },
};

/** What is compiled here and linked by the workflow only, and why. */
const elsewhere = {
  "win32-x64-msvc": { target: "x86_64-pc-windows-msvc", reason: "linking needs Microsoft's libraries; MinGW's stand in for them above" },
  "win32-arm64-msvc": { target: "aarch64-pc-windows-msvc", reason: "linking needs Microsoft's libraries" },
  "darwin-x64": { target: "x86_64-apple-darwin", reason: "linking needs Apple's frameworks" },
  "darwin-arm64": { target: "aarch64-apple-darwin", reason: "linking needs Apple's frameworks" },
};

/** The test files for the newest Node of a platform, and those of them for its older ones. */
const files = ["contract", "arguments", "errors", "lucia-3-contract", "names", "existing", "values", "platform", "connect", "lifecycle",
  "workers", "faults", "outages", "rollbacks"];
const ofOlder = files.slice(0, 3);

/** How a runtime is asked for the tests of a file, and what its report says: of Node's own runner, and of Bun's. */
const byNode = {
  args: (file) => ["--test-reporter=tap", file],
  count: (text, outcome) => Number(text.match(new RegExp(`^# ${outcome} (\\d+)\\r?$`, "m"))?.[1] ?? 0),
  skipped: /^ *ok \d+ - (.*) # SKIP ?(.*)$/gm,
};
const byBun = {
  args: (file) => ["test", "--timeout=120000", `./${file}`],
  count: (text, outcome) => Number(text.match(new RegExp(`^ *(\\d+) ${outcome}$`, "m"))?.[1] ?? 0),
  skipped: /^\(skip\) (.*?)( \[.*)?$/gm,
};

/** The newest glibc that a binary may ask for: that of Debian 10 and RHEL 8. */
const newestAllowed = 28;

/** The most bytes that a binary may have. */
const largestAllowed = 3_500_000;

/** A folder with the package and its tests, in which the platform's Node finds the binary. Its path is not an easy one. */
function stage(binary) {
  const folder = join(realpathSync(mkdtempSync(join(tmpdir(), "lucia-platform-"))), "with spaces é");
  mkdirSync(folder);
  for (const path of packedFiles(root)) if (!path.endsWith(".node")) cpSync(join(root, path), join(folder, path));
  for (const path of ["__test__", "tools", "example"]) cpSync(join(root, path), join(folder, path), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  cpSync(binary, join(folder, binary.slice(binary.lastIndexOf("/") + 1)));
  return folder;
}

/** Runs a program of the platform, but for no longer than twenty minutes: QEMU beside a compiler is slow. */
const output = ({ command, environment }, args, cwd) =>
  runToEnd([...command, ...args], { cwd, env: { ...process.env, NO_COLOR: "1", ...environment }, seconds: 1200 });

const secondsSince = (begun) => ((performance.now() - begun) / 1000).toFixed(0);

async function examine(name, runtime, folder, { wanted, without = {} }) {
  const failures = [];
  const { args, count: countIn, skipped } = runtime.isBun ? byBun : byNode;
  let passed = 0;
  let failed = 0;
  for (const file of wanted) {
    if (without[file]) {
      console.log(`${name} leaves out ${file}: ${without[file]}`);
      continue;
    }
    const begun = performance.now();
    const { code, text } = await output(runtime, args(`__test__/${file}.test.mjs`), folder);
    console.log(`${name}, ${file}: ${secondsSince(begun)} s, exit code ${code}`);
    const count = (outcome) => countIn(text, outcome);
    passed += count("pass");
    const lost = count("fail") + count("cancelled");
    failed += lost;
    for (const [, title, reason] of text.matchAll(skipped)) console.log(`${name} skipped: ${title}: ${reason}`);
    if (code === 0 && count("pass") > 0) continue;
    if (lost === 0) failed += 1;
    failures.push(`${file}: exit code ${code}\n${text.slice(-6000)}`);
  }
  const demo = await output(runtime, ["example/demo.mjs"], folder);
  if (demo.code !== 0) failures.push(`the demo: exit code ${demo.code}\n${demo.text}`);
  return { failures, tests: `${passed} passed, ${failed} failed`, demo: demo.code === 0 ? "as expected" : "fails" };
}

const [options, wanted] = [true, false].map((isOption) => process.argv.slice(2).filter((word) => word.startsWith("--") === isOption));
const isBuilt = options.includes("--built");
const known = [...Object.keys(platforms), ...Object.keys(elsewhere)];
for (const name of wanted) if (!known.includes(name)) throw new Error(`no platform is called ${name}: ${known}`);
const isWanted = (name) => wanted.length === 0 || wanted.includes(name);

const server = process.env.DATABASE_URL ? undefined : await startServer();
process.env.DATABASE_URL ??= server.url();
process.env.EMBEDDED_POSTGRES_PLATFORM = `${process.platform}-${process.arch}`;
const rows = [];
let passed = 0;
let failed = 0;
const report = (name, failures) => {
  for (const failure of failures) console.error(`${name}: ${failure}\n`);
  console.log(`${failures.length === 0 ? "ok" : "not ok"} ${name}`);
  if (failures.length === 0) passed += 1;
  else failed += 1;
};

/** What is compiled one after the other, while the tests of what was compiled before run. */
let last = Promise.resolve();
function compiled(act) {
  last = last.then(async () => {
    const begun = performance.now();
    try {
      return { binary: await act(), seconds: secondsSince(begun) };
    } catch (error) {
      return { error, seconds: secondsSince(begun) };
    }
  });
  return last;
}

async function test(name, { binary, error, seconds }, { runtimes, without }) {
  if (error) throw error;
  const glibc = newestGlibc(binary);
  const { size } = statSync(binary);
  console.log(`${name}, built: ${seconds} s, ${size} bytes`);
  report(`${name}, built`, [
    Number(glibc?.split(".")[1] ?? 0) > newestAllowed && `asks for glibc ${glibc}, newer than 2.${newestAllowed}`,
    size > largestAllowed && `has ${size} bytes, more than ${largestAllowed}`,
  ].filter(Boolean));
  const ofBinary = { platform: name, size: `${(size / 1e6).toFixed(2)} MB`, glibc: glibc ?? "" };
  const folder = stage(binary);
  for (const [at, runtime] of runtimes().entries()) {
    const started = performance.now();
    const { failures, tests, demo } = await examine(`${name}, ${runtime.title}`, runtime, folder, { wanted: at === 0 ? files : ofOlder, without });
    report(`${name}, ${runtime.title}`, failures);
    rows.push({ ...ofBinary, "run with": runtime.title, "test files": tests, demo, seconds: secondsSince(started) });
  }
  rmSync(join(folder, ".."), { recursive: true });
}

const chosen = (list) => Object.entries(list).filter(([name]) => isWanted(name));
const toRun = chosen(platforms).map(([name, platform]) => [name, platform,
  compiled(() => (isBuilt ? binaryOf : build)(platform.target, binaries))]);
const toLinkElsewhere = chosen(isBuilt ? {} : elsewhere).map(([name, { target, reason }]) => [name, { target, reason }, compiled(() => check(target))]);
for (const [name, platform, compilation] of toRun) {
  try {
    await test(name, await compilation, platform);
  } catch (error) {
    report(name, [error.message]);
    rows.push({ platform: name, size: "", glibc: "", "run with": "", "test files": "not built or not started", demo: "", seconds: "" });
  }
}
for (const [name, { target, reason }, compilation] of toLinkElsewhere) {
  const { error, seconds } = await compilation;
  report(`${target}, compiled`, error ? [error.message] : []);
  console.log(`${target} is linked by the workflow only: ${reason}`);
  rows.push({ platform: name, size: "", glibc: "", "run with": "", "test files": `compiled: ${reason}`, demo: "", seconds });
}
console.log(`\n${table(rows)}\n`);
await server?.stop();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
