// Makes the packages that a release publishes: one for each platform with its binary, in `npm/`, and the root package,
// which depends on them optionally and has no binary of its own. `node tools/release.mjs FOLDER` takes the binaries of all
// targets from FOLDER and changes package.json; it publishes nothing.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { NapiCli } from "@napi-rs/cli";

const readManifest = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

/**
 * @param {string} root the folder of package.json
 * @param {string} artifacts the folder with the binaries, at any depth
 * @returns {Promise<string[]>} the folders to publish, in this order
 */
export async function assembleRelease(root, artifacts) {
  const napi = new NapiCli();
  await napi.createNpmDirs({ cwd: root });
  await napi.artifacts({ cwd: root, outputDir: artifacts });
  await napi.prePublish({ cwd: root, tagStyle: "npm", ghRelease: false, skipOptionalPublish: true });

  // `artifacts` puts a copy of every binary beside package.json, whose `files` would publish them all.
  for (const name of readdirSync(root)) if (name.endsWith(".node")) rmSync(join(root, name));
  // What only a clone needs would be in the published package.json.
  const { devDependencies: _development, scripts: _scripts, ...manifest } = readManifest(root);
  writeFileSync(join(root, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

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
    !repository && "package.json has no `repository`, which provenance compares with the workflow's",
  ].filter(Boolean);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const read = (name) => readFileSync(join(root, name), "utf8");
  const tag = process.env.GITHUB_REF_NAME ?? execFileSync("git", ["describe", "--tags", "--exact-match"], { cwd: root, encoding: "utf8" }).trim();
  const reasons = reasonsNotToRelease({ manifest: readManifest(root), tag, loader: read("binding.js"), crate: read("Cargo.toml"),
    changelog: read("CHANGELOG.md") });
  for (const reason of reasons) console.error(reason);
  if (reasons.length > 0) process.exit(1);
  for (const folder of await assembleRelease(root, resolve(process.argv[2] ?? "artifacts"))) console.log(folder);
}
