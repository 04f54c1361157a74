// The wrong changes that `npm run mutations` makes are texts: they are of use while they stand in the sources.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("each wrong change of `npm run mutations` has its place in the sources", () => {
  const program = fileURLToPath(new URL("../tools/mutations.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [program, "--check"], { encoding: "utf8" });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
});
