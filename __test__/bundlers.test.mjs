// The recipes of docs/bundlers.md are the fixtures that `npm run test:bundlers` builds and runs.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const fixtures = join(root, "__test__", "fixtures");
const read = (...path) => readFileSync(join(...path), "utf8");

/** The document's sections, each with the files that it names before a block, and its commands. */
const sections = read(root, "docs", "bundlers.md").split(/^## /m).slice(1).map((text) => ({
  title: text.slice(0, text.indexOf("\n")),
  files: [...text.matchAll(/^`([^`\n]+)`:\n\n```\w+\n([^]*?)^```$/gm)].map(([, path, content]) => ({ path, content })),
  versions: [...text.matchAll(/`([@\w/-]+)` (\d+\.\d+\.\d+)/g)].map(([, name, version]) => [name, version]),
  commands: [...text.matchAll(/^```sh\n([^]*?)\n```$/gm)].map(([, command]) => command),
  blocks: [...text.matchAll(/^```\w+$/gm)].length,
}));
const fixtureOf = { "Next.js": "next", "SvelteKit (Vite)": "sveltekit", esbuild: "esbuild" };

test("every recipe has a fixture, and every fixture a recipe", () => {
  assert.deepEqual(sections.map(({ title }) => title), Object.keys(fixtureOf));
  const folders = readdirSync(fixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== "node_modules");
  assert.deepEqual(folders.map(({ name }) => name).sort(), Object.values(fixtureOf).sort());
});

for (const { title, files, versions, commands, blocks } of sections) {
  const folder = join(fixtures, fixtureOf[title] ?? title);
  const { scripts, dependencies, devDependencies } = JSON.parse(read(folder, "package.json"));

  test(`${title}: every block is a file or a command of the fixture`, () => {
    assert.ok(blocks > 0);
    assert.equal(files.length + commands.length, blocks);
    for (const { path, content } of files) assert.equal(content, read(folder, path), path);
    for (const command of commands) assert.ok(Object.values(scripts).includes(command), command);
  });

  test(`${title}: the versions are those of the fixture`, () => {
    assert.ok(versions.length > 0);
    for (const [name, version] of versions) assert.equal({ ...dependencies, ...devDependencies }[name], version, name);
  });

  test(`${title}: the fixture has the package among its dependencies and answers with the account page`, () => {
    assert.equal(dependencies["lucia-postgres-native"], "*");
    assert.match(scripts.start, /^node \S+$/);
    const sources = readdirSync(folder, { recursive: true }).filter((name) => /\.m?js$/.test(name));
    assert.ok(sources.some((name) => /from "[./]+\/account\.js"/.test(read(folder, name))));
  });
}

test("the runner builds every fixture", () => {
  const runner = read(root, "tools", "bundlers.mjs");
  assert.ok(existsSync(join(fixtures, "account.js")));
  for (const name of Object.values(fixtureOf)) assert.ok(runner.includes(`fixture: "${name}", build: `), name);
});
