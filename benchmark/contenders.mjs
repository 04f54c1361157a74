// Who takes part, in the order of the tables, each with its defaults, which are ten connections for all of them. `find`
// returns the program that runs the contender's worker and the version to print, or throws the reason why the contender
// cannot take part.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";

import { findPgbench } from "./contenders/pgbench.mjs";

export const contenders = [
  { id: "this-package", label: "lucia-postgres-native", find: () => node("package.json") },
  { id: "reference-postgres", label: "reference on postgres", find: () => installed("postgres") },
  { id: "reference-pg", label: "reference on pg", find: () => installed("pg") },
  { id: "javascript-postgres", label: "hand-written on postgres", find: () => installed("postgres") },
  { id: "javascript-pg", label: "hand-written on pg", find: () => installed("pg") },
  { id: "bun", label: "Bun.sql", find: bun },
  { id: "memory", label: "in memory, the limit", find: () => node("package.json"), isLimit: true },
  { id: "pgbench", label: "pgbench -M prepared", find: pgbench, scenarios: ["validate"] },
];

export const labelOf = (id) => contenders.find((contender) => contender.id === id).label;

/** The version that the program prints, or undefined if it does not run. */
function version(file) {
  const { status, stdout } = spawnSync(file, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function node(manifest) {
  const { name, version: released } = JSON.parse(readFileSync(new URL(`../${manifest}`, import.meta.url), "utf8"));
  return { file: process.execPath, version: `${name} ${released} on Node ${process.versions.node}` };
}

const installed = (name) => node(`node_modules/${name}/package.json`);

function pgbench() {
  const file = process.platform === "win32" ? undefined : findPgbench();
  if (!file) throw new Error("pgbench is not installed");
  return { file: process.execPath, version: version(file) };
}

/** Where the `bun` package's install script puts the program, else where its platform packages bring it, else PATH. */
function bun() {
  const name = process.platform === "win32" ? "bun.exe" : "bun";
  const files = [];
  try {
    const home = dirname(createRequire(import.meta.url).resolve("bun/package.json"));
    const platforms = join(home, "..", "@oven");
    files.push(join(home, "bin", "bun.exe"));
    files.push(...readdirSync(platforms).map((platform) => join(platforms, platform, "bin", name)));
  } catch {
    // Not among the packages.
  }
  files.push(...process.env.PATH.split(delimiter).map((folder) => join(folder, name)));
  for (const file of files) {
    const found = existsSync(file) && version(file);
    if (found) return { file, version: `Bun ${found}` };
  }
  throw new Error("the bun package is not installed");
}
