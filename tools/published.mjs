// The packages of a release as npm would install them on this machine, made from a clone: the root package without a
// binary, and this platform's package with the one that is built here.
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseTriple } from "@napi-rs/cli";

import { npm } from "./installed.mjs";
import { assembleRelease } from "./release.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What `npm pack` would put into the package of a folder. */
export function packedFiles(folder) {
  const [{ files }] = Object.values(JSON.parse(npm(folder, "pack", "--dry-run", "--json", "--ignore-scripts")));
  return files.map(({ path }) => path);
}

/**
 * Assembles a release in an empty folder, of a repository. The binaries of the other platforms are empty files, but for those
 * that `binaries` names.
 *
 * @param {Record<string, string>} [binaries] the path of a binary by its file name
 * @returns {Promise<{ main: string, platform: string, folders: string[] }>} `platform`: the folder of this one's package
 */
export async function assembleHere(folder, repository, binaries = {}) {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const path of packedFiles(root)) {
    if (!path.endsWith(".node")) cpSync(join(root, path), join(folder, path));
  }
  const built = readdirSync(root).find((name) => name.endsWith(".node"));
  if (!built) throw new Error("no binary is built: npm run build");
  const artifacts = join(folder, "artifacts");
  for (const { platformArchABI } of manifest.napi.targets.map(parseTriple)) {
    const name = `${manifest.napi.binaryName}.${platformArchABI}.node`;
    mkdirSync(join(artifacts, platformArchABI), { recursive: true });
    const binary = binaries[name] ?? (name === built ? join(root, built) : undefined);
    if (binary) copyFileSync(binary, join(artifacts, platformArchABI, name));
    else writeFileSync(join(artifacts, platformArchABI, name), "");
  }
  const folders = await assembleRelease(folder, artifacts, repository);
  const platform = folders.find((path) => built.includes(`.${basename(path)}.`));
  return { main: folder, platform, folders };
}

/** Puts the files of the root package and of this platform's into a `node_modules`. */
export function placeIn(modules, { main, platform }) {
  for (const folder of [main, platform]) {
    const { name } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    for (const path of packedFiles(folder)) {
      cpSync(join(folder, path), join(modules, name, path));
    }
  }
}
