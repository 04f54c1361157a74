// What a program is told when the binary of its platform is not there, or is there and cannot be loaded.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { parseTriple } from "@napi-rs/cli";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const targets = manifest.napi.targets.map(parseTriple);

/** The package as npm installs it without any optional dependency. */
const folder = mkdtempSync(join(tmpdir(), "lucia-loader-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const installed = join(folder, "node_modules", "lucia-postgres-native");
mkdirSync(installed, { recursive: true });
for (const name of ["package.json", "index.js", "lib", "binding.js", "bin"]) cpSync(join(root, name), join(installed, name), { recursive: true });

/** What `require` and `import` of the package come to where Node says that it runs on this platform. */
function load({ platform, arch, libc } = process, how = 'require("lucia-postgres-native")', variables = {}) {
  const pretend = `
    Object.defineProperty(process, "platform", { value: ${JSON.stringify(platform)} });
    Object.defineProperty(process, "arch", { value: ${JSON.stringify(arch)} });
    const fs = require("node:fs");
    const { readFileSync } = fs;
    const ldd = ${JSON.stringify(libc)};
    fs.readFileSync = (path, ...rest) => (ldd && path === "/usr/bin/ldd" ? ldd : readFileSync(path, ...rest));
    (async () => ${how})().then(Object.keys, ({ message, code, cause }) => ({ message, code, caused: cause instanceof Error }))
      .then((outcome) => console.log(JSON.stringify(outcome)));`;
  const { NAPI_RS_NATIVE_LIBRARY_PATH: _, ...env } = process.env;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", pretend], { cwd: folder, encoding: "utf8", env: { ...env, ...variables } });
  assert.ok(stdout, stderr);
  return JSON.parse(stdout);
}

const libraries = { gnu: " (glibc)", musl: " (musl)" };

for (const { platform, arch, abi, platformArchABI } of targets) {
  const library = platform === "linux" ? libraries[abi] : "";
  test(`without the binary for ${platform} ${arch}${library} the error names platform, C library and package`, () => {
    const error = load({ platform, arch, libc: library });
    assert.equal(error.code, "BINARY_MISSING");
    assert.equal(error.caused, true);
    assert.ok(error.message.includes(`for ${platform} ${arch}${library} is missing`), error.message);
    assert.ok(error.message.endsWith(`npm install lucia-postgres-native-${platformArchABI}`), error.message);
  });
}

for (const [platform, arch] of [["freebsd", "x64"], ["linux", "riscv64"], ["win32", "ia32"], ["aix", "ppc64"]]) {
  test(`on ${platform} ${arch}, which has no binary, the error says so`, () => {
    const error = load({ platform, arch, libc: "glibc" });
    assert.equal(error.code, "PLATFORM_UNSUPPORTED");
    assert.ok(error.message.includes(`no binary for ${platform} ${arch}.`), error.message);
  });
}

test("import is told the same as require", () => {
  assert.deepEqual(load(process, 'import("lucia-postgres-native")'), load());
});

test("a binary that cannot be loaded is reported with the reason of the operating system", () => {
  const [{ platformArchABI }] = targets.filter(({ platform, arch, abi }) =>
    platform === process.platform && arch === process.arch && abi !== "musl");
  const place = join(folder, "node_modules", `lucia-postgres-native-${platformArchABI}`);
  mkdirSync(place);
  writeFileSync(join(place, "package.json"), JSON.stringify({ version: manifest.version, main: "not-a-binary.node" }));
  writeFileSync(join(place, "not-a-binary.node"), "This is text.\n".repeat(1000));
  const error = load({ platform: process.platform, arch: process.arch, libc: "glibc" });
  assert.equal(error.code, "BINARY_UNUSABLE");
  assert.match(error.message, /cannot be loaded: .*not-a-binary\.node/);
  rmSync(place, { recursive: true });
});

test("the command line prints SQL without a binary, and says why it cannot ask a server", () => {
  const file = join(installed, manifest.bin[manifest.name]);
  const run = (...words) => spawnSync(process.execPath, [file, ...words], { encoding: "utf8" });
  assert.match(run("schema").stdout, /^CREATE TABLE/);
  const { stdout, status } = run("check", "postgres://localhost/app");
  assert.match(stdout, /^localhost\/app cannot be asked: The binary of lucia-postgres-native for .* is missing/);
  assert.equal(status, 3);
});

test("NAPI_RS_NATIVE_LIBRARY_PATH is named in the error when it leads nowhere", () => {
  const error = load(process, undefined, { NAPI_RS_NATIVE_LIBRARY_PATH: join(folder, "nowhere.node") });
  assert.equal(error.code, "BINARY_UNUSABLE");
  assert.match(error.message, /nowhere\.node, as NAPI_RS_NATIVE_LIBRARY_PATH has it, cannot be loaded: Cannot find module/);
});

test("what the variables of the loader ask for is told as it is: WebAssembly, another version, another package's binary", () => {
  for (const variables of [{ NAPI_RS_FORCE_WASI: "error" }, { NAPI_RS_WASI_FLAVOR: "wasm32-wasi" }]) {
    const error = load(process, undefined, variables);
    assert.deepEqual([error.code, /no build for WebAssembly, which NAPI_RS_\w+ asks for$/.test(error.message)], ["BINARY_UNUSABLE", true], error.message);
  }

  const [{ platformArchABI }] = targets.filter(({ platform, arch, abi }) =>
    platform === process.platform && arch === process.arch && abi !== "musl");
  const place = join(folder, "node_modules", `lucia-postgres-native-${platformArchABI}`);
  mkdirSync(place);
  writeFileSync(join(place, "package.json"), JSON.stringify({ version: "0.0.1", main: "index.js" }));
  writeFileSync(join(place, "index.js"), "");
  const mismatch = load(process, undefined, { NAPI_RS_ENFORCE_VERSION_CHECK: "1" });
  assert.equal(mismatch.code, "BINARY_UNUSABLE");
  assert.match(mismatch.message, /cannot be loaded: .*version mismatch, expected \S+ but got 0\.0\.1/);
  rmSync(place, { recursive: true });

  const other = join(folder, "other.cjs");
  writeFileSync(other, "module.exports = { something() {} };");
  const error = load(process, undefined, { NAPI_RS_NATIVE_LIBRARY_PATH: other });
  assert.equal(error.code, "BINARY_UNUSABLE");
  assert.match(error.message, /other\.cjs, as NAPI_RS_NATIVE_LIBRARY_PATH has it, is not the binary of lucia-postgres-native$/);
});

test("a binary that was found in the place of its own and is another one's is told as such", () => {
  const [{ platformArchABI }] = targets.filter(({ platform, arch, abi }) =>
    platform === process.platform && arch === process.arch && abi !== "musl");
  const place = join(folder, "node_modules", `lucia-postgres-native-${platformArchABI}`);
  mkdirSync(place);
  writeFileSync(join(place, "package.json"), JSON.stringify({ version: manifest.version, main: "index.js" }));
  writeFileSync(join(place, "index.js"), "module.exports = { something() {} };");
  const error = load(process);
  assert.deepEqual(error, { code: "BINARY_UNUSABLE", message: "The binary that was found is not the binary of lucia-postgres-native", caused: false });
  rmSync(place, { recursive: true });
});

test("the entry exports what is declared, and nothing of the loader's own", async () => {
  const declared = readFileSync(join(root, "index.d.ts"), "utf8");
  const values = [...declared.matchAll(/^export declare (?:function|const|class) (\w+)/gm)].map(([, name]) => name).sort();
  const exported = Object.keys(await import("../index.js")).filter((name) => !["default", "module.exports"].includes(name));
  assert.deepEqual(exported.sort(), values);
});
