// Publishes a release to a registry on this machine, and installs it from there with every package manager, for every platform:
// each must bring the binary of that platform alone, and Node of the platforms that can run here must find it. The binaries are
// those of `npm run test:platforms`; a platform that was not built has an empty file. `node tools/installs.mjs pnpm` does only that.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseTriple } from "@napi-rs/cli";

import { createTables, freshDatabase } from "../__test__/support/database.mjs";
import { armMuslNodes, armNodes, muslNodes, windowsNodes } from "./emulators.mjs";
import { installed } from "./installed.mjs";
import { assembleHere } from "./published.mjs";
import { startRegistry } from "./registry.mjs";
import { startServer } from "./server.mjs";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { name: own, version, napi, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const built = join(root, "target/platforms/binaries");

const platforms = napi.targets.map(parseTriple).map(({ platformArchABI, platform, arch, abi }) =>
  ({ name: platformArchABI, os: platform, cpu: arch, libc: { gnu: "glibc", musl: "musl" }[platform === "linux" ? abi : ""] }));
const here = platforms.find(({ os, cpu, libc }) => os === process.platform && cpu === process.arch && libc !== "musl");

/** What starts a Node of a platform here. */
const nodes = {
  [here.name]: () => [{ command: [process.execPath] }],
  "linux-arm64-gnu": armNodes,
  "linux-x64-musl": muslNodes,
  "linux-arm64-musl": armMuslNodes,
  "win32-x64-msvc": windowsNodes,
};

const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
const modules = join(installed("managers", { pnpm: "10.34.8", "yarn-1": "npm:yarn@1.22.22", "@yarnpkg/cli-dist": "4.18.1" }), "node_modules");
const script = (path) => [process.execPath, join(modules, path)];

/**
 * The package managers: `install` adds what `package.json` names to an empty project. `choose` tells them to install for
 * another platform; where they cannot, nothing is tried.
 */
const managers = {
  npm: {
    command: () => ["npm", "install", "--no-audit", "--no-fund"],
    choose: ({ os, cpu, libc }) => ({ args: [`--os=${os}`, `--cpu=${cpu}`, ...(libc ? [`--libc=${libc}`] : [])] }),
  },
  pnpm: {
    command: () => [...script("pnpm/bin/pnpm.cjs"), "install"],
    choose: ({ os, cpu, libc }) => ({ manifest: { pnpm: { supportedArchitectures: { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) } } } }),
  },
  "yarn 4": {
    command: () => [...script("@yarnpkg/cli-dist/bin/yarn.js"), "install", "--no-immutable"],
    files: (registry) => ({ "yarn.lock": "", ".yarnrc.yml": json({ npmRegistryServer: registry, unsafeHttpWhitelist: ["127.0.0.1"],
      nodeLinker: "node-modules", globalFolder: "../yarn-4", enableTelemetry: false, npmMinimalAgeGate: 0 }) }),
    choose: ({ os, cpu, libc }) => ({ settings: { supportedArchitectures: { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) } } }),
  },
  // Yarn 1 reads `os` and `cpu` alone: it brings the packages of both C libraries, of which the loader takes one.
  "yarn 1": { command: () => [...script("yarn-1/bin/yarn.js"), "install", "--no-progress"], both: true },
  bun: {
    command: () => [join(root, "node_modules/.bin/bun"), "install"],
    // It installs for the C library of this machine.
    choose: ({ os, cpu, libc }) => libc !== "musl" && { args: [`--os=${os}`, `--cpu=${cpu}`] },
  },
};

const program = `
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const { postgres } = require("${own}");
const { LuciaError } = await import("lucia");
const initializer = postgres(process.env.DATABASE_URL, { user: "auth_user", key: "user_key", session: "user_session" });
const { username } = await initializer(LuciaError).getUser("alice");
await initializer.end();
console.log(JSON.stringify({ username, loaded: Object.keys(require.cache).filter((path) => path.endsWith(".node")) }));
`;

function run([file, ...args], cwd, environment = {}) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, encoding: "utf8", timeout: 300_000, env: { ...process.env, NO_COLOR: "1", ...environment } });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${error?.message ?? stdout + stderr}`);
  return stdout;
}

/** An empty project that depends on the release and on Lucia, installed by a package manager, with what chooses a platform. */
function install({ command, files = () => ({}) }, chosen, { project, registry }) {
  mkdirSync(project, { recursive: true });
  const write = (name, text) => writeFileSync(join(project, name), text);
  write("package.json", json({ name: "project", private: true, dependencies: { [own]: version, lucia: devDependencies.lucia }, ...chosen.manifest }));
  write(".npmrc", `registry=${registry}\n`);
  write("program.mjs", program);
  for (const [name, text] of Object.entries(files(registry))) {
    write(name, name === ".yarnrc.yml" ? json({ ...JSON.parse(text), ...chosen.settings }) : text);
  }
  run([...command(), ...(chosen.args ?? [])], project, { npm_config_registry: registry, npm_config_cache: join(project, "..", "cache"),
    YARN_CACHE_FOLDER: join(project, "..", "yarn"), BUN_INSTALL_CACHE_DIR: join(project, "..", "bun"),
    NPM_CONFIG_STORE_DIR: join(project, "..", "pnpm") });
}

/** The platforms whose packages stand in a project, hoisted or in a store. */
function present(project) {
  const folders = [join(project, "node_modules"), join(project, "node_modules/.pnpm"), join(project, "node_modules/.pnpm/node_modules")];
  const names = folders.filter(existsSync).flatMap((folder) => readdirSync(folder));
  return platforms.filter(({ name }) => names.some((each) => each === `${own}-${name}` || each.startsWith(`${own}-${name}@`))).map(({ name }) => name);
}

/** Runs the program in a project by the platform's Node. Its output goes to a file, as Node under Wine cannot write to a pipe. */
function tryOut({ command, environment }, project, expected) {
  const quoted = [...command, "program.mjs"].map((word) => `'${word}'`).join(" ");
  run(["sh", "-c", `${quoted} > output.txt 2> errors.txt < /dev/null || { cat output.txt errors.txt >&2; exit 1; }`], project, environment);
  const { username, loaded } = JSON.parse(readFileSync(join(project, "output.txt"), "utf8"));
  const names = loaded.map((path) => path.split(/[\\/]/).at(-1));
  if (username !== "Alice") throw new Error(`the user is ${username}`);
  if (names.join() !== `${napi.binaryName}.${expected}.node`) throw new Error(`loaded ${names}`);
}

const wanted = process.argv.slice(2);
for (const name of wanted) if (!managers[name]) throw new Error(`no package manager is called ${name}: ${Object.keys(managers)}`);

const home = realpathSync(mkdtempSync(join(tmpdir(), "lucia-installs-")));
const binaries = Object.fromEntries((existsSync(built) ? readdirSync(built) : []).map((name) => [name, join(built, name)]));
const release = join(home, "release");
mkdirSync(release);
const { folders } = await assembleHere(release, { type: "git", url: "git+https://example.com/someone/something.git" }, binaries);
const server = process.env.DATABASE_URL ? undefined : await startServer();
process.env.DATABASE_URL ??= server.url();
const database = await freshDatabase();
await createTables(database.sql);
await database.sql`INSERT INTO auth_user VALUES ('alice', 'Alice')`;
const registry = await startRegistry(join(home, "registry"), own);

const rows = [];
let passed = 0;
let failed = 0;
function attempt(title, act) {
  try {
    act();
    passed += 1;
    console.log(`ok ${title}`);
    return true;
  } catch (error) {
    failed += 1;
    console.error(`not ok ${title}: ${error.message}`);
    return false;
  }
}

for (const folder of folders) {
  attempt(`${basename(folder)} can be published`, () => {
    const publish = ["npm", "publish", "--ignore-scripts", `--registry=${registry.url}`, registry.token];
    run([...publish, "--dry-run"], folder);
    run(publish, folder);
  });
}

const isEmpty = (name) => statSync(join(release, "npm", name, `${napi.binaryName}.${name}.node`)).size === 0;
for (const [manager, means] of Object.entries(managers).filter(([name]) => wanted.length === 0 || wanted.includes(name))) {
  const row = { "package manager": manager };
  for (const platform of platforms) {
    const chosen = platform === here ? {} : means.choose?.(platform);
    if (!chosen) {
      row[platform.name] = "not asked for";
      continue;
    }
    const project = join(home, `${manager} ${platform.name}`.replace(" ", "-"), "project");
    const right = attempt(`${manager} installs the binary for ${platform.name}`, () => {
      install(means, chosen, { project, registry: registry.url });
      const expected = platforms.filter((each) => each === platform || (means.both && each.os === platform.os && each.cpu === platform.cpu));
      const found = present(project);
      if (found.join() !== expected.map(({ name }) => name).join()) throw new Error(`installed ${found}`);
    });
    row[platform.name] = right ? "installed" : "fails";
    if (!right || !nodes[platform.name] || isEmpty(platform.name)) continue;
    for (const node of nodes[platform.name]().slice(0, 1)) {
      const runs = attempt(`${manager}'s project for ${platform.name} runs`, () =>
        tryOut({ ...node, environment: { ...node.environment, DATABASE_URL: database.url } }, project, platform.name));
      row[platform.name] = runs ? "runs" : "fails";
    }
  }
  rows.push(row);
}
for (const { name } of platforms) if (isEmpty(name)) console.log(`${name} was not built here: an empty file stands for its binary`);
console.log(`\n${table(rows)}\n`);
await registry.stop();
await database.drop();
await server?.stop();
rmSync(home, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
