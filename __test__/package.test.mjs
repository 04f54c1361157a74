// The packed package, installed in an empty folder by a machine without Rust.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { createTables, freshDatabase } from "./support/database.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const windows = process.platform === "win32";
const folder = realpathSync(mkdtempSync(join(tmpdir(), "lucia-package-")));
const database = await freshDatabase();
await createTables(database.sql);
after(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** An environment in which neither Rust nor a C compiler is found, and nothing of the npm run that started this. */
function environmentWithoutCompilers() {
  const programs = ["cargo", "rustc", "cc", "gcc", "clang"].map((name) => (windows ? `${name}.exe` : name));
  const folders = process.env.PATH.split(delimiter).filter(Boolean);
  const bin = join(folder, "bin");
  mkdirSync(bin);
  // Node and npm, which may live beside a compiler, by links.
  for (const name of windows ? [] : ["node", "npm", "sh"]) {
    const found = name === "node" ? process.execPath : folders.map((path) => join(path, name)).find((path) => existsSync(path));
    assert.ok(found, `${name} is not in the PATH`);
    symlinkSync(realpathSync(found), join(bin, name));
  }
  const rest = folders.filter((path) => !programs.some((name) => existsSync(join(path, name))));
  const foreign = /^(CARGO|RUST|NODE_|INIT_CWD|npm_(package|lifecycle|command|execpath|config_local_prefix))/;
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return { ...Object.fromEntries(kept), PATH: [bin, ...rest].join(delimiter) };
}
const environment = environmentWithoutCompilers();

function run(cwd, command, args) {
  const result = spawnSync(command, args, { cwd, encoding: "utf8", env: { ...environment, DATABASE_URL: database.url },
    shell: windows && command === "npm", timeout: 120_000 });
  const said = `${result.error ?? ""}${result.signal ?? ""}\n${result.stdout}${result.stderr}`;
  assert.equal(result.status, 0, `${command} ${args.join(" ")}: ${said}`);
  return result.stdout;
}

const [packed] = Object.values(JSON.parse(run(root, "npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder])));
const tarball = packed.filename;
const project = join(folder, "project");
mkdirSync(project);
const installed = join(project, "node_modules", "lucia-postgres-native");

test("the package holds what a user needs and nothing else", () => {
  const files = packed.files.map(({ path }) => path);
  const binaries = files.filter((path) => path.endsWith(".node"));
  const others = files.filter((path) => !binaries.includes(path));
  const commands = readdirSync(join(root, "bin")).map((name) => `bin/${name}`);
  const entries = ["binding.js", "index.d.ts", "index.js", "options.d.ts", "v3.d.ts", ...readdirSync(join(root, "lib")).filter((name) => name.endsWith(".js")).map((name) => `lib/${name}`)];
  const documents = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`);
  assert.deepEqual(others.sort(), ["CHANGELOG.md", "LICENSE", "README.md", "package.json", ...documents, ...commands, ...entries].sort());
  assert.equal(binaries.length, 1, "one binary");
  assert.match(binaries[0], new RegExp(`^lucia-postgres-native\\.${process.platform}-${process.arch}[a-z-]*\\.node$`));
});

test("npm installs the package beside lucia in an empty folder, without Rust and without scripts", () => {
  for (const program of ["cargo", "rustc", "cc"]) {
    assert.equal(spawnSync(program, ["--version"], { env: environment }).error?.code, "ENOENT", `${program} is found`);
  }
  writeFileSync(join(project, "package.json"), "{}");
  run(project, "npm", ["i", `../${tarball}`, "lucia@2.7.7", "--ignore-scripts", "--no-audit", "--no-fund"]);
  const names = readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith("."));
  assert.deepEqual(names.sort(), ["lucia", "lucia-postgres-native"]);
});

test("the installed package has no install script and no dependency but lucia, as a peer", () => {
  const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  for (const name of ["preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare", "prepublish", "dependencies"]) {
    assert.equal(manifest.scripts?.[name], undefined, name);
  }
  assert.equal(existsSync(join(installed, "binding.gyp")), false);
  assert.deepEqual(manifest.dependencies ?? {}, {});
  assert.deepEqual(manifest.optionalDependencies ?? {}, {});
  assert.deepEqual(manifest.peerDependencies, { lucia: "^2.0.0 || ^3.0.0" });
  const lock = JSON.parse(readFileSync(join(project, "package-lock.json"), "utf8"));
  assert.equal(lock.packages["node_modules/lucia-postgres-native"].hasInstallScript, undefined);
});

const program = `
const initialize = postgres(process.env.DATABASE_URL, { user: "auth_user", key: "user_key", session: "user_session" });
const auth = lucia({ adapter: initialize, env: "DEV", getUserAttributes: ({ username }) => ({ username }) });
const key = { providerId: "username", providerUserId: NAME, password: null };
const user = await auth.createUser({ key, attributes: { username: NAME } });
const session = await auth.createSession({ userId: user.userId, attributes: {} });
const validated = await auth.validateSession(session.sessionId);
const refused = await auth.createUser({ key, attributes: {} }).catch((error) => error.message);
await auth.deleteUser(user.userId);
await initialize.end();
console.log(JSON.stringify([validated.user.username, refused]));
`;
const programs = {
  "import.mjs": `
    import { lucia } from "lucia";
    import { postgres } from "lucia-postgres-native";
    const NAME = "imported";
    ${program}`,
  "require.cjs": `
    const { postgres } = require("lucia-postgres-native");
    const NAME = "required";
    (async () => { const { lucia } = await import("lucia"); ${program} })();`,
  "default.mjs": `
    import { lucia } from "lucia";
    import whole from "lucia-postgres-native";
    const { postgres } = whole;
    const NAME = "default";
    ${program}`,
};
for (const [file, text] of Object.entries(programs)) {
  test(`a program runs with the installed package and ends by itself: ${file}`, () => {
    writeFileSync(join(project, file), text);
    const name = text.match(/NAME = "(\w+)"/)[1];
    assert.deepEqual(JSON.parse(run(project, process.execPath, [file])), [name, "AUTH_DUPLICATE_KEY_ID"]);
  });
}

const lucia3 = `
const adapter = new PostgresAdapter(process.env.DATABASE_URL, { user: "user_3", session: "session_3" });
const lucia = new Lucia(adapter, { getUserAttributes: ({ username }) => ({ username }) });
const { id } = await lucia.createSession("u", {});
const { user } = await lucia.validateSession(id);
await lucia.invalidateSession(id);
console.log(JSON.stringify([user.username, (await lucia.validateSession(id)).session]));
await adapter.end();
`;
test("npm installs the package beside Lucia 3, and programs run with its adapter", async () => {
  await database.sql`CREATE TABLE user_3 (id TEXT PRIMARY KEY, username TEXT)`;
  await database.sql`CREATE TABLE session_3 (id TEXT PRIMARY KEY, user_id TEXT, expires_at TIMESTAMPTZ)`;
  await database.sql`INSERT INTO user_3 VALUES ('u', 'Ada')`;
  const beside3 = join(folder, "lucia-3");
  mkdirSync(beside3);
  writeFileSync(join(beside3, "package.json"), "{}");
  run(beside3, "npm", ["i", `../${tarball}`, "lucia@3.2.2", "--ignore-scripts", "--no-audit", "--no-fund"]);
  writeFileSync(join(beside3, "import.mjs"), `
    import { Lucia } from "lucia";
    import { PostgresAdapter } from "lucia-postgres-native/v3";
    globalThis.crypto ??= (await import("node:crypto")).webcrypto;
    ${lucia3}`);
  writeFileSync(join(beside3, "require.cjs"), `
    const { PostgresAdapter } = require("lucia-postgres-native/v3");
    globalThis.crypto ??= require("node:crypto").webcrypto;
    (async () => { const { Lucia } = await import("lucia"); ${lucia3} })();`);
  for (const file of ["import.mjs", "require.cjs"]) {
    assert.deepEqual(JSON.parse(run(beside3, process.execPath, [file])), ["Ada", null], file);
  }
});

test("npx finds the command, which needs nothing but the package", () => {
  const npx = (...words) => run(project, "npm", ["exec", "--offline", "--", "lucia-postgres-native", ...words]);
  assert.match(npx("schema"), /^CREATE TABLE "auth_user" \($/m);
  assert.match(npx("check"), /^users: public\.auth_user$/m);
});

test("what the program loads is the installed package's own", () => {
  const loaded = `require("lucia-postgres-native");
    console.log(JSON.stringify(Object.keys(require.cache).concat(process.report.getReport().sharedObjects)))`;
  const ours = /lucia-postgres-native[^/\\]*(\.node|[/\\](index|binding)\.js)$/;
  const paths = JSON.parse(run(project, process.execPath, ["-e", loaded])).filter((path) => ours.test(path));
  assert.ok(paths.some((path) => path.endsWith(".node")));
  for (const path of paths) assert.ok(path.startsWith(installed), path);
});
