// docs/deployment.md says what `npm run test:deployment` does: its blocks are the files and commands of the recipes.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { recipes, tools } from "./deployment/recipes.mjs";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const text = read("../docs/deployment.md");
const sections = Object.fromEntries(text.split(/^## /m).slice(1).map((section) => [section.slice(0, section.indexOf("\n")), section]));
const blocks = (section, language) => [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map(([, block]) => block);

for (const { title, files = [], commands = [], variables = {}, start, moves } of recipes) {
  test(`${[title, ...Object.values(variables)].join(", ")}: the document has the recipe's files and commands, and no others`, () => {
    const section = sections[title];
    assert.ok(section, "there is a section");
    assert.deepEqual(blocks(section, "sh").map((block) => block.trimEnd()), commands);
    const named = [...section.matchAll(/^`([^`\n]+)`:\n\n```\w+\n([^]*?)^```$/gm)].map(([, path, content]) => ({ path, content }));
    assert.deepEqual(named, files.map((path) => ({ path, content: read(`deployment/${path}`) })));
    if (moves?.test("addon.node")) assert.ok(start === "./server" || section.includes(`\`${start}\``));
  });
}

test("every file and every recipe that can be run is used, and what is not run says so", () => {
  const used = new Set(recipes.flatMap(({ files = [] }) => files));
  assert.deepEqual(readdirSync(new URL("deployment/", import.meta.url)).filter((name) => name !== "recipes.mjs").sort(), [...used].sort());
  const started = new Set(recipes.filter(({ start }) => start).map(({ title }) => title));
  for (const { title } of recipes.filter((recipe) => !started.has(recipe.title))) assert.match(sections[title], /[Nn]ot run/, title);
  assert.match(sections.Electron, /^Not run: /m);
});

test("the versions that it names are those of the tools", () => {
  const named = [...text.matchAll(/`(@?[\w/-]+)` (\d+\.\d+\.\d+(?:-[\w.]+\w)?)/g)].filter(([, name]) => name in tools);
  assert.ok(named.length > 4);
  for (const [, name, version] of named) assert.equal(version, tools[name], name);
});
