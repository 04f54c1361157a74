// A document may cite only what the runner has reported as passed.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { startProgram } from "./support/program.mjs";

const root = mkdtempSync(join(tmpdir(), "lucia-evidence-"));
after(() => rmSync(root, { recursive: true, force: true }));

mkdirSync(join(root, "__test__"));
writeFileSync(join(root, "__test__/real.test.mjs"), `
  import { describe, test } from "node:test";
  describe("a lost connection", () => test("fails no read", () => {}));
  for (const kind of ["read", "change"]) test(\`a \${kind} is done once\`, () => {});
  test("a broken promise holds", () => { throw new Error("it does not"); });
  const titleOfNoTest = "fails no change";
  test("is shown elsewhere", { skip: "this machine has no such pooler" }, () => {});
`);
writeFileSync(join(root, "__test__/other.test.mjs"), `import { test } from "node:test"; test("is elsewhere", () => {});`);

const printed = `
test pg::value::rows::tests::rows_are_split_by_position ... ok
test pg::error::tests::an_error_is_shared ... ok
test pg::queue::scheduler::tests::a_call_waits_for_ever ... FAILED
`;

const cited = [
  ["__test__/real.test.mjs", "fails no read", true],
  ["__test__/real.test.mjs", "a lost connection", true],
  ["__test__/real.test.mjs", "a change is done once", true],
  ["__test__/real.test.mjs", "fails every read", false],
  ["__test__/real.test.mjs", "fails no", false],
  ["__test__/real.test.mjs", "fails no change", false],
  ["__test__/real.test.mjs", "a ${kind} is done once", false],
  ["__test__/real.test.mjs", "a .* is done once", false],
  ["__test__/real.test.mjs", "a broken promise holds", false],
  ["__test__/real.test.mjs", "is elsewhere", false],
  ["__test__/real.test.mjs", "is shown elsewhere", "skipped"],
  ["__test__/other.test.mjs", "is elsewhere", true],
  ["__test__/missing.test.mjs", "fails no read", false],
  ["src/pg/value/rows.rs", "rows_are_split_by_position", true],
  ["src/pg/error.rs", "rows_are_split_by_position", false],
  ["src/pg/error/tests.rs", "an_error_is_shared", true],
  ["src/pg/error.rs", "no_error_is_shared", false],
  ["src/pg/queue/scheduler/mod.rs", "a_call_waits_for_ever", false],
];

test("a citation holds only where its file's own test has passed: no invented title, no opposite, no failed or skipped one", async () => {
  const program = `
    import { join } from "node:path";
    import { run } from "node:test";
    import { Reported, unproven } from ${JSON.stringify(new URL("support/evidence.mjs", import.meta.url).href)};
    const root = ${JSON.stringify(root)};
    const reported = new Reported();
    reported.addRust(${JSON.stringify(printed)});
    const tests = run({ files: ["real", "other"].map((name) => join(root, "__test__", name + ".test.mjs")) });
    reported.follow(tests);
    for await (const _ of tests);
    const cited = ${JSON.stringify(cited)}.map(([file, title]) => ({ document: "a document", file, title }));
    console.log(JSON.stringify(unproven(root, cited, reported)));`;
  writeFileSync(join(root, "program.mjs"), program);
  const { stdout, stderr } = await startProgram([join(root, "program.mjs")]).ended;
  assert.equal(stderr, "");
  const lines = (outcome, what) => cited.filter(([, , holds]) => holds === outcome)
    .map(([file, title]) => `a document cites "${title}" of ${file}, which ${what}`);
  const expected = { wrong: lines(false, "no test has shown in this run"), skipped: lines("skipped", "was skipped in this run") };
  assert.deepEqual(JSON.parse(stdout), expected);
});
