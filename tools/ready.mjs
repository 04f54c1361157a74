// Brings a fresh clone to the point where the addon can be loaded: installs the locked npm packages and builds the
// binary, each only when it is missing or older than what it is made from. Uses nothing but Node, so that it can be the
// first step of every npm script.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

function newest(path) {
  const entry = statSync(join(root, path), { throwIfNoEntry: false });
  if (!entry) return 0;
  if (!entry.isDirectory()) return entry.mtimeMs;
  return Math.max(entry.mtimeMs, ...readdirSync(join(root, path)).map((name) => newest(join(path, name))));
}

function run(command, ...args) {
  const shell = process.platform === "win32";
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], shell });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

if (newest("node_modules/.package-lock.json") < newest("package-lock.json")) {
  // Not `npm ci`: that refuses a lock file which lacks the packages of a platform that a registry does not have.
  run("npm", "install", "--no-audit", "--no-fund");
}

const sources = ["src", "Cargo.toml", "Cargo.lock", "build.rs", "package.json"];
const built = readdirSync(root).filter((name) => name.endsWith(".node") || name.startsWith("binding."));
if (built.length < 3 || Math.min(...built.map(newest)) < Math.max(...sources.map(newest))) {
  for (const name of built) rmSync(join(root, name));
  run("npm", "run", "build");
}
