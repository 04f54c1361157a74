// The packages that a release publishes, assembled from this clone; nothing is published.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { spawnSync } from "node:child_process";

import { parseTriple } from "@napi-rs/cli";

import { npm } from "../tools/installed.mjs";
import { assembleHere, packedFiles } from "../tools/published.mjs";
import { reasonsNotToRelease, repositoryOf } from "../tools/release.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const readManifest = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const { name, version, engines, license, napi } = readManifest(root);
const targets = napi.targets.map(parseTriple);

const repository = { type: "git", url: "git+https://github.com/someone/something.git" };

let home;
let release;

before(async () => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "lucia-release-")));
  mkdirSync(join(home, "release"));
  release = await assembleHere(join(home, "release"), repository);
});
after(() => rmSync(home, { recursive: true, force: true }));

test("the root package depends on the package of every target, optionally and in its own version", () => {
  const { optionalDependencies, dependencies } = readManifest(release.main);
  const expected = targets.map(({ platformArchABI }) => [`${name}-${platformArchABI}`, version]);
  assert.deepEqual(Object.entries(optionalDependencies).sort(), expected.sort());
  assert.equal(dependencies, undefined);
});

test("the root package has no binary, no scripts and nothing for its development", () => {
  const files = packedFiles(release.main);
  assert.ok(files.includes("index.js"));
  assert.deepEqual(files.filter((path) => /\.node$|^npm\/|^artifacts\//.test(path)), []);
  const { scripts, devDependencies } = readManifest(release.main);
  assert.deepEqual([scripts, devDependencies], [undefined, undefined]);
});

test("each platform's package has its binary, and is for that platform alone", () => {
  assert.deepEqual(release.folders.slice(0, -1).map((folder) => basename(folder)).sort(),
    targets.map(({ platformArchABI }) => platformArchABI).sort());
  for (const { platform, arch, abi, platformArchABI } of targets) {
    const folder = join(release.main, "npm", platformArchABI);
    const manifest = readManifest(folder);
    const binary = `${napi.binaryName}.${platformArchABI}.node`;
    assert.deepEqual(packedFiles(folder).sort(), ["LICENSE", "README.md", binary, "package.json"].sort());
    assert.deepEqual([manifest.name, manifest.version, manifest.main], [`${name}-${platformArchABI}`, version, binary]);
    assert.deepEqual([manifest.os, manifest.cpu], [[platform], [arch]]);
    assert.deepEqual(manifest.libc, platform === "linux" ? [{ gnu: "glibc", musl: "musl" }[abi]] : undefined);
    assert.deepEqual([manifest.engines, manifest.license], [engines, license]);
  }
});

test("the root package comes last, when all that it depends on is there", () => {
  assert.equal(release.folders.at(-1), release.main);
});

test("npm installs both packages, and the program loads the platform's binary", () => {
  const { optionalDependencies: _, ...manifest } = readManifest(release.main);
  const own = `${name}-${basename(release.platform)}`;
  // The packages of the other platforms are not there to be found.
  writeFileSync(join(release.main, "package.json"), JSON.stringify({ ...manifest, optionalDependencies: { [own]: version } }));
  const tarballs = [release.main, release.platform].map((folder) => {
    const [{ filename }] = Object.values(JSON.parse(npm(folder, "pack", "--json", "--pack-destination", home)));
    return join(home, filename);
  });
  const project = join(home, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), "{}");
  npm(project, "install", ...tarballs, "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund");

  const program = `const { postgres } = require("${name}");
    postgres("postgres://localhost", { user: "u", key: "k", session: null });
    console.log(JSON.stringify(Object.keys(require.cache)))`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", program], { cwd: project, encoding: "utf8" });
  assert.equal(stderr, "");
  const binaries = JSON.parse(stdout).filter((path) => path.endsWith(".node"));
  assert.deepEqual(binaries.map((path) => realpathSync(path)), [join(project, "node_modules", own, `${napi.binaryName}.${basename(release.platform)}.node`)]);
  assert.equal(existsSync(join(project, "node_modules", name, basename(binaries[0]))), false);
});

test("every package names the repository of the workflow, which its provenance tells too", () => {
  const running = { GITHUB_SERVER_URL: "https://github.com", GITHUB_REPOSITORY: "someone/something" };
  assert.deepEqual(repositoryOf({}, running), repository);
  assert.equal(repositoryOf({ repository: "mine" }, running), "mine");
  assert.equal(repositoryOf({}, {}), undefined);
  for (const folder of release.folders) assert.deepEqual(readManifest(folder).repository, repository, folder);
});

describe("a release is refused", () => {
  const good = {
    manifest: { version: "1.2.3", repository: "x/y" },
    tag: "v1.2.3",
    loader: "expected 1.2.3 but got",
    crate: '[package]\nversion = "1.2.3"\n',
    changelog: "# Changelog\n\n## [1.2.3] - 2026-01-01\n",
  };
  test("for no reason when tag, package, binding, crate and changelog agree", () => {
    assert.deepEqual(reasonsNotToRelease(good), []);
  });
  for (const [title, change, reason] of [
    ["when the tag is another version's", { tag: "v1.2.4" }, /the tag is v1\.2\.4/],
    ["when the binding was built for another version", { loader: "expected 1.2.2 but got" }, /was not built for 1\.2\.3/],
    ["when the crate has another version", { crate: '\nversion = "1.2.2"\n' }, /Cargo\.toml/],
    ["when the changelog does not know the version", { changelog: "\n## [Unreleased]\n" }, /no section \[1\.2\.3\]/],
    ["when the repository is not named", { manifest: { version: "1.2.3" } }, /repository is not known/],
  ]) {
    test(title, () => {
      const reasons = reasonsNotToRelease({ ...good, ...change });
      assert.equal(reasons.length, 1);
      assert.match(reasons[0], reason);
    });
  }
});
