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

/** The titles that the runners have reported: what has passed, and what was skipped and has said why. */
export class Reported {
  /** By the absolute path of the file; Rust's by the path of their module, `pg::value::rows::tests`. */
  #passed = new Map();
  #skipped = new Map();

  #add(titles, place, title) {
    titles.set(place, (titles.get(place) ?? new Set()).add(title));
  }

  /** @param {string} output what `cargo test` has printed */
  addRust(output) {
    for (const [, place, title] of output.matchAll(/^test (\S+)::(\w+) \.\.\. ok$/gm)) this.#add(this.#passed, place, title);
  }

  /** @param {import("node:test").TestsStream} tests what `run` of `node:test` has given */
  follow(tests) {
    tests.on("test:pass", ({ file, name, skip, todo }) => {
      this.#add(skip === undefined && todo === undefined ? this.#passed : this.#skipped, file, name);
    });
  }

  /**
   * @param {string} file from the root of the repository
   * @returns {"passed" | "skipped" | undefined}
   */
  outcome(root, file, title) {
    const module = /^src\/(.*?)(?:\/mod)?\.rs$/.exec(file)?.[1].replaceAll("/", "::");
    const places = module === undefined ? [join(root, file)] : [module, `${module}::tests`];
    const has = (titles) => places.some((place) => titles.get(place)?.has(title));
    if (has(this.#passed)) return "passed";
    return has(this.#skipped) ? "skipped" : undefined;
  }
}

/**
 * A line for each citation that no test bears out: `wrong`, where no test of this title has passed or was skipped; `skipped`,
 * where this machine lacks what the test needs.
 *
 * @param {string} root of the repository
 * @param {{ document: string, file: string, title: string }[]} cited
 * @param {Reported} reported
 */
export function unproven(root, cited, reported) {
  const lines = (outcome, what) => cited.filter(({ file, title }) => reported.outcome(root, file, title) === outcome)
    .map(({ document, file, title }) => `${document} cites "${title}" of ${file}, which ${what}`);
  return { wrong: lines(undefined, "no test has shown in this run"), skipped: lines("skipped", "was skipped in this run") };
}
