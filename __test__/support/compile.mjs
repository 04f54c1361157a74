// Programs in TypeScript, compiled strictly.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const folders = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export const moduleSystems = {
  nodenext: { module: "nodenext" },
  node16: { module: "node16" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

/**
 * Compiles the files in a folder of their own.
 *
 * @param {string} lucia the folder of the Lucia that they find
 * @returns the errors but other packages', as `{ file, line, text }`
 */
export function compile(files, options, lucia = join(root, "node_modules", "lucia")) {
  const folder = mkdtempSync(join(tmpdir(), "lucia-types-"));
  folders.push(folder);
  mkdirSync(join(folder, "node_modules", "@types"), { recursive: true });
  const link = (name, target) => symlinkSync(target, join(folder, "node_modules", name), "junction");
  link("lucia", lucia);
  // Copies: a link would lead to the Lucia beside the link's target.
  const installed = join(folder, "node_modules", "lucia-postgres-native");
  mkdirSync(installed);
  for (const name of ["package.json", "index.d.ts", "options.d.ts", "v3.d.ts"]) copyFileSync(join(root, name), join(installed, name));
  link(join("@types", "node"), join(root, "node_modules", "@types", "node"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const compilerOptions = { strict: true, noEmit: true, target: "es2022", lib: ["es2023", "dom"], types: ["node"], skipLibCheck: true,
    exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true, isolatedModules: true, ...options };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: Object.keys(files) }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const { stdout, stderr, error } = spawnSync(process.execPath, [compiler, "-p", folder, "--pretty", "false"], { encoding: "utf8" });
  assert.equal(error, undefined);
  assert.equal(stderr, "");
  return [...stdout.matchAll(/^(?:(.+)\((\d+),\d+\): )?error (.*)$/gm)]
    .filter(([, file = ""]) => !/[\\/]node_modules[\\/](?!lucia-postgres-native[\\/])/.test(`/${file}`))
    .map(([, file = "", line = "0", text]) => ({ file: file.split(/[\\/]/).pop(), line: Number(line), text }));
}
