// Builds the fixtures of `__test__/fixtures` with the tool each is for, starts what was built, away from the sources where
// the recipe says that this works, and asks each for one page. `node tools/bundlers.mjs next` runs only those of Next.js.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { createTables, freshDatabase } from "../__test__/support/database.mjs";
import { npm } from "./installed.mjs";
import { askForPage, quiet } from "./page.mjs";
import { assembleHere, placeIn } from "./published.mjs";
import { startServer } from "./server.mjs";

const fixtures = fileURLToPath(new URL("../__test__/fixtures", import.meta.url));

/** `alone`: the folder of the build that is started with nothing beside it. */
const recipes = [
  { name: "next", fixture: "next", build: "build", start: "start" },
  { name: "next, standalone folder", fixture: "next", start: "start", alone: ".next/standalone" },
  { name: "sveltekit", fixture: "sveltekit", build: "build", start: "start" },
  { name: "esbuild", fixture: "esbuild", build: "build", start: "start" },
  { name: "esbuild, one folder", fixture: "esbuild", build: "build:folder", start: "start:folder", alone: "folder" },
];

/** Builds evaluate the modules, and `postgres()` wants a connection string: one that leads nowhere, since none connects. */
const whileBuilding = "postgres://127.0.0.1:1/nowhere";

/** The fixture with everything that it imports, outside this repository: tools treat what is in `node_modules` otherwise. */
function prepare(fixture, release, project) {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(fixtures, fixture, "package.json"), "utf8"));
  const { "lucia-postgres-native": _, ...others } = { ...dependencies, ...devDependencies };
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, dependencies: others }));
  npm(project, "install", "--prefer-offline", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund");
  placeIn(join(project, "node_modules"), release);
  cpSync(join(fixtures, fixture), project, { recursive: true });
  cpSync(join(fixtures, "account.js"), join(project, "account.js"));
}

function build(project, script) {
  const { status, stdout, stderr } = spawnSync("npm", ["run", script], { cwd: project, encoding: "utf8",
    shell: process.platform === "win32", env: { ...process.env, ...quiet, DATABASE_URL: whileBuilding } });
  if (status !== 0) throw new Error(`npm run ${script}:\n${stdout}${stderr}`);
}

async function follow({ fixture, build: script, start, alone }, release, url) {
  const project = join(folder, fixture);
  if (!existsSync(project)) prepare(fixture, release, project);
  if (script) build(project, script);
  const { scripts } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
  const [, file] = scripts[start].match(/^node (\S+)$/);
  if (!alone) return await askForPage(project, `node ${file}`, url);
  const elsewhere = realpathSync(mkdtempSync(join(tmpdir(), "lucia-alone-")));
  try {
    cpSync(join(project, alone), elsewhere, { recursive: true, verbatimSymlinks: true });
    await askForPage(elsewhere, `node ${basename(file)}`, url);
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
}

const wanted = process.argv.slice(2);
const chosen = recipes.filter(({ fixture }) => wanted.length === 0 || wanted.includes(fixture));
if (chosen.length === 0) throw new Error(`no recipe is for ${wanted}`);
const folder = realpathSync(mkdtempSync(join(tmpdir(), "lucia-bundlers-")));
mkdirSync(join(folder, "release"));
const release = await assembleHere(join(folder, "release"));
const server = process.env.DATABASE_URL ? undefined : await startServer();
process.env.DATABASE_URL ??= server.url();

let failed = 0;
for (const recipe of chosen) {
  const database = await freshDatabase();
  await createTables(database.sql);
  try {
    await follow(recipe, release, database.url);
    console.log(`ok ${recipe.name}`);
  } catch (error) {
    failed += 1;
    console.error(`not ok ${recipe.name}\n${error.stack}`);
  }
  await database.drop();
}
await server?.stop();
rmSync(folder, { recursive: true, force: true });
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
