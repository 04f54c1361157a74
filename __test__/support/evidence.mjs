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

/**
 * The citations that no passed test bears out.
 *
 * @param {{ document: string, file: string, title: string }[]} cited
 * @param {(file: string, title: string) => boolean} hasPassed
 */
export function unproven(cited, hasPassed) {
  return cited.filter(({ file, title }) => !hasPassed(file, title))
    .map(({ document, file, title }) => `${document} cites "${title}" of ${file}, which no test has shown in this run`);
}
