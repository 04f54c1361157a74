// Follows the recipes of docs/deployment.md with the real tools, on this machine, with packages as a registry gives them; asks what
// came out for a page, and looks which binaries are there. `node tools/deployment.mjs pnpm` follows only those of that title.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

import { recipes, tools } from "../__test__/deployment/recipes.mjs";
import { createTables, freshDatabase } from "../__test__/support/database.mjs";
import { installed, npm } from "./installed.mjs";
import { askForPage, quiet } from "./page.mjs";
import { assembleHere } from "./published.mjs";
import { startRegistry } from "./registry.mjs";
import { startServer } from "./server.mjs";

const source = (path) => fileURLToPath(new URL(`../__test__/${path}`, import.meta.url));
const { devDependencies, version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const manifest = {
  private: true, type: "module", dependencies: { lucia: devDependencies.lucia, "lucia-postgres-native": version },
};

/** The commands of a recipe; of a Dockerfile those that it runs while it is built. */
const commandsOf = ({ files = [], commands = [] }) => (files.includes("Dockerfile")
  ? [...readFileSync(source("deployment/Dockerfile"), "utf8").matchAll(/^RUN (.*)$/gm)].map(([, command]) => command)
  : commands);

/** Throws what the command said when it fails. */
async function run(project, command, variables) {
  const child = spawn(command, { cwd: project, shell: true, env: { ...process.env, ...quiet, ...variables }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command}:\n${output}`);
}

function binariesIn(project) {
  const names = ["node_modules", "node_modules/.pnpm", ".yarn/unplugged"].flatMap((folder) => {
    try {
      return readdirSync(join(project, folder));
    } catch {
      return [];
    }
  });
  const platform = /^lucia-postgres-native-((?:linux|darwin|win32)-(?:x64|arm64)(?:-(?:gnu|musl|msvc))?)(?:@|-npm-|$)/;
  return names.map((name) => platform.exec(name)?.[1]).filter(Boolean).sort();
}

async function follow(recipe, { registry, path, url }) {
  const { files = [], variables = {}, moves, start, binaries, lock } = recipe;
  const project = realpathSync(mkdtempSync(join(folder, "project-")));
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(project, ".npmrc"), `registry=${registry}\n`);
  cpSync(source("fixtures/account.js"), join(project, "account.js"));
  cpSync(source("fixtures/esbuild/server.js"), join(project, "server.js"));
  for (const file of files) cpSync(source(`deployment/${file}`), join(project, file));
  const environment = {
    ...variables, PATH: path, npm_config_audit: "false", npm_config_fund: "false",
    npm_config_store_dir: join(folder, "pnpm"), npm_config_cache: join(folder, "npm"),
    YARN_NPM_REGISTRY_SERVER: registry, YARN_UNSAFE_HTTP_WHITELIST: "127.0.0.1", YARN_ENABLE_TELEMETRY: "0", YARN_GLOBAL_FOLDER: join(folder, "yarn"),
    // What has just been published is too new for them otherwise.
    YARN_NPM_MINIMAL_AGE_GATE: "0", pnpm_config_minimum_release_age: "0",
  };
  if (lock) {
    await run(project, `npm install ${lock.join(" ")}`, environment);
    rmSync(join(project, "node_modules"), { recursive: true });
  }
  if (files.includes(".yarnrc.yml")) writeFileSync(join(project, "yarn.lock"), "");
  for (const command of commandsOf(recipe)) await run(project, command, environment);
  if (binaries && binariesIn(project).join(" ") !== binaries.join(" ")) throw new Error(`there are the binaries ${binariesIn(project).join(" ")}`);
  if (!start) return;
  let place = project;
  if (moves) {
    place = realpathSync(mkdtempSync(join(folder, "alone-")));
    for (const name of readdirSync(join(project, "out")).filter((each) => moves.test(each))) cpSync(join(project, "out", name), join(place, name));
  }
  await askForPage(place, start, url, environment);
}

const wanted = process.argv.slice(2);
const chosen = recipes.filter(({ title }) => wanted.length === 0 || wanted.includes(title));
if (chosen.length === 0) throw new Error(`no recipe is called ${wanted}`);
const folder = realpathSync(mkdtempSync(join(tmpdir(), "lucia-deployment-")));
mkdirSync(join(folder, "release"));
const { folders } = await assembleHere(join(folder, "release"));
const registry = await startRegistry(join(folder, "registry"), "lucia-postgres-native");
for (const each of folders) npm(each, "publish", "--ignore-scripts", `--registry=${registry.url}`, registry.token);
const modules = join(installed("deployment", tools), "node_modules");
const bun = readdirSync(join(modules, "@oven")).map((name) => join(modules, "@oven", name, "bin"));
const path = [...bun, join(modules, ".bin"), process.env.PATH].join(delimiter);
const server = process.env.DATABASE_URL ? undefined : await startServer();
process.env.DATABASE_URL ??= server.url();

let failed = 0;
for (const recipe of chosen) {
  const name = [recipe.title, ...Object.values(recipe.variables ?? {})].join(", ");
  const what = recipe.start ? "the page has come" : "not started: the binaries are there";
  const database = await freshDatabase();
  await createTables(database.sql);
  try {
    await follow(recipe, { registry: registry.url, path, url: database.url });
    console.log(`ok ${name}: ${what}`);
  } catch (error) {
    failed += 1;
    console.error(`not ok ${name}\n${error.stack}`);
  }
  await database.drop();
}
await server?.stop();
await registry.stop();
rmSync(folder, { recursive: true, force: true });
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
