// npm packages that only one command needs, too heavy to be development dependencies: they are installed when the command
// runs, into a folder that stays for the next time. Deleting `node_modules/.cache` brings newer ones.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const cache = fileURLToPath(new URL("../node_modules/.cache/lucia-postgres-native", import.meta.url));

/** Runs npm; throws with what it said when it fails. */
export function npm(folder, ...args) {
  const options = { cwd: folder, encoding: "utf8", shell: process.platform === "win32" };
  const { status, stdout, stderr, error } = spawnSync("npm", [...args, "--prefix", "."], options);
  if (status !== 0) throw new Error(`npm ${args.join(" ")} failed in ${folder}: ${error?.message ?? stdout + stderr}`);
  return stdout;
}

/**
 * Installs packages without their scripts, and returns the folder whose `node_modules` has them.
 *
 * @param {string} name of the folder in the cache
 * @param {Record<string, string>} dependencies as in package.json
 * @param {...string} flags of npm, where the packages are for another platform
 */
export function installed(name, dependencies, ...flags) {
  return installedProject(name, { dependencies }, ...flags);
}

/** The same for more than dependencies: the fields of a package.json. */
export function installedProject(name, fields, ...flags) {
  const folder = join(cache, name);
  const manifest = join(folder, "package.json");
  const wanted = `${JSON.stringify({ private: true, ...fields }, null, 2)}\n`;
  const found = existsSync(manifest) ? readFileSync(manifest, "utf8") : "";
  if (found === wanted && existsSync(join(folder, "node_modules/.package-lock.json"))) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(manifest, wanted);
  npm(folder, "install", "--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", ...flags);
  return folder;
}

/** Packs this package as it would be published, without building it, and returns the tarball's path. */
export function packed(folder) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const arguments_ = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const [{ filename }] = Object.values(JSON.parse(npm(root, ...arguments_)));
  return join(folder, filename);
}
