// What the documents promise, and the tests that show it: which of those the runner has reported as passed.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { readDocument } from "./documents.mjs";

/** The page that lists the promises with their tests, made from `promises.json`. */
export function evidence(promises) {
  const rows = promises.map(({ promise, tests }) => {
    const shown = tests.map(([file, title]) => `[${file.replace(/^.*\/|\.(test\.mjs|rs)$/g, "")}](../${file}) "${title}"`);
    return `| ${promise} | ${shown.join("; ")} |`;
  });
  return `# Evidence

What is promised, and the tests that show it on a real server. This page is made from \`__test__/promises.json\` by
\`node tools/evidence.mjs\`. \`npm test\` compares it, and every other citation of these documents, with the titles that its runner has
reported as passed.

| promise | test |
|---|---|
${rows.join("\n")}
`;
}

/** Every citation of the documents: `{ document, file, title }`. */
export function citations(root) {
  const paths = ["README.md", ...readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)];
  return paths.flatMap((path) => readDocument(path, readFileSync(join(root, path), "utf8")).citations
    .map(({ file, title }) => ({ document: path, file, title })));
}

/** The titles that the runners have reported: what has passed, or was skipped and has said why. */
export class Reported {
  /** By the absolute path of the file; Rust's by the path of their module, `pg::value::rows::tests`. */
  #titles = new Map();

  #add(place, title) {
    this.#titles.set(place, (this.#titles.get(place) ?? new Set()).add(title));
  }

  /** @param {string} output what `cargo test` has printed */
  addRust(output) {
    for (const [, place, title] of output.matchAll(/^test (\S+)::(\w+) \.\.\. ok$/gm)) this.#add(place, title);
  }

  /** @param {import("node:test").TestsStream} tests what `run` of `node:test` has given */
  follow(tests) {
    tests.on("test:pass", ({ file, name }) => this.#add(file, name));
  }

  /** @param {string} file from the root of the repository */
  has(root, file, title) {
    const module = /^src\/(.*?)(?:\/mod)?\.rs$/.exec(file)?.[1].replaceAll("/", "::");
    const places = module === undefined ? [join(root, file)] : [module, `${module}::tests`];
    return places.some((place) => this.#titles.get(place)?.has(title));
  }
}

/**
 * The citations that no passed test bears out.
 *
 * @param {string} root of the repository
 * @param {{ document: string, file: string, title: string }[]} cited
 * @param {Reported} reported
 */
export function unproven(root, cited, reported) {
  return cited.filter(({ file, title }) => !reported.has(root, file, title))
    .map(({ document, file, title }) => `${document} cites "${title}" of ${file}, which no test has shown in this run`);
}
