// Makes the packages that a release publishes: one for each platform with its binary, in `npm/`, and the root package,
// which depends on them optionally and has no binary of its own. `node tools/release.mjs FOLDER` takes the binaries of all
// targets from FOLDER and changes package.json; it publishes nothing.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { NapiCli } from "@napi-rs/cli";

const readManifest = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const writeManifest = (folder, manifest) => writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

/** What npm compares with the place that a package's provenance tells: the repository that the workflow runs in. */
export function repositoryOf({ repository }, { GITHUB_SERVER_URL, GITHUB_REPOSITORY }) {
  if (repository || !GITHUB_REPOSITORY) return repository;
  return { type: "git", url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` };
}

/**
 * @param {string} root the folder of package.json
 * @param {string} artifacts the folder with the binaries, at any depth
 * @param {object} [repository] as package.json has it
 * @returns {Promise<string[]>} the folders to publish, in this order
 */
export async function assembleRelease(root, artifacts, repository) {
  writeManifest(root, { ...readManifest(root), repository });
  const napi = new NapiCli();
  await napi.createNpmDirs({ cwd: root });
  await napi.artifacts({ cwd: root, outputDir: artifacts });
  await napi.prePublish({ cwd: root, tagStyle: "npm", ghRelease: false, skipOptionalPublish: true });

  // `artifacts` puts a copy of every binary beside package.json, whose `files` would publish them all.
  for (const name of readdirSync(root)) if (name.endsWith(".node")) rmSync(join(root, name));
  // What only a clone needs would be in the published package.json.
  const { devDependencies: _development, scripts: _scripts, ...manifest } = readManifest(root);
  writeManifest(root, manifest);

  const platforms = readdirSync(join(root, "npm")).sort().map((name) => join(root, "npm", name));
  for (const folder of platforms) copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  return [...platforms, root];
}

/** What must be true of a clone before it is released, as sentences about what is not. */
export function reasonsNotToRelease({ manifest, tag, loader, crate, changelog }) {
  const { version, repository } = manifest;
  return [
    tag !== `v${version}` && `the tag is ${tag}, package.json says ${version}`,
    !loader.includes(`expected ${version} but`) && `binding.js was not built for ${version}`,
    !crate.includes(`\nversion = "${version}"\n`) && `Cargo.toml does not say ${version}`,
    !changelog.includes(`\n## [${version}]`) && `CHANGELOG.md has no section [${version}]`,
    !repository && "the repository is not known: package.json has no `repository`, and this is no run of GitHub Actions",
  ].filter(Boolean);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const read = (name) => readFileSync(join(root, name), "utf8");
  const tag = process.env.GITHUB_REF_NAME ?? execFileSync("git", ["describe", "--tags", "--exact-match"], { cwd: root, encoding: "utf8" }).trim();
  const manifest = readManifest(root);
  const repository = repositoryOf(manifest, process.env);
  const reasons = reasonsNotToRelease({ manifest: { ...manifest, repository }, tag, loader: read("binding.js"),
    crate: read("Cargo.toml"), changelog: read("CHANGELOG.md") });
  for (const reason of reasons) console.error(reason);
  if (reasons.length > 0) process.exit(1);
  for (const folder of await assembleRelease(root, resolve(process.argv[2] ?? "artifacts"), repository)) console.log(folder);
}
