// Reads a Markdown document: its blocks of code, its links, its headings, and the tests that it cites.
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

/** The name that GitHub gives a heading in links. */
const anchorOf = (heading) => (
  heading.toLowerCase().replaceAll(/[`*]/g, "").replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(/\s/g, "-")
);

/**
 * A citation is a link to a test file, or to a Rust file, with the titles behind it in quotes, as in
 * `[faults](__test__/faults.test.mjs) "a title", "another"`, up to the end of the cell, line or item.
 *
 * @param {string} path from the root of the repository
 * @param {string} text
 */
export function readDocument(path, text) {
  const blocks = [];
  const links = [];
  const citations = [];
  const anchors = new Set();
  let open;
  for (const [index, line] of text.split("\n").entries()) {
    const number = index + 1;
    const fence = /^```(\S*)\s*$/.exec(line);
    if (open) {
      if (fence) {
        blocks.push(open);
        open = undefined;
      } else open.text += `${line}\n`;
      continue;
    }
    if (fence) {
      open = { language: fence[1], line: number, text: "" };
      continue;
    }
    const heading = /^#+ (.*)$/.exec(line);
    if (heading) anchors.add(anchorOf(heading[1]));
    for (const [, target] of line.matchAll(/\]\(([^)\s]+)\)/g)) links.push({ target, line: number });
    for (const [, file, after] of line.matchAll(/\]\((?:\.\.\/)?((?:__test__|src)\/[\w/-]+\.(?:test\.mjs|rs))\)((?:[,;]? (?:and )?"[^"]+")+)/g)) {
      for (const [, title] of after.matchAll(/"([^"]+)"/g)) citations.push({ file, title, line: number });
    }
  }
  if (open) throw new Error(`${path}:${open.line}: the block does not end`);
  return { path, blocks, links, citations, anchors };
}

/** Whether a path is one that a pattern of package.json's `files` means: a name, a folder, or `*` for a part of a name. */
export function matchesGlob(path, pattern) {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return path.startsWith(`${pattern}/`) || new RegExp(`^${parts.join("[^/]*")}$`).test(path);
}

/** The names of source files in a drawing that no file of the repository has. */
export function missingFiles(root, text) {
  const there = new Set(["src", "lib", "tools", "example", "__test__", "benchmark"]
    .flatMap((name) => readdirSync(join(root, name), { recursive: true }).map((path) => basename(path))));
  const named = [...text.matchAll(/[\w./-]+\.(?:rs|m?js|md)\b/g)].map(([name]) => name);
  return named.filter((name) => !there.has(basename(name)) && !existsSync(join(root, name)));
}
