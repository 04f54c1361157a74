// The command line for Lucia 3: the SQL that `schema` prints, and what `check` says of tables with one thing wrong each.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as command from "./support/command.mjs";
import { code } from "./support/command.mjs";
import { emptyDatabase } from "./support/once.mjs";

const database = await emptyDatabase();
const { sql } = database;

const run = (...words) => command.run([...words, "--lucia", "3"], { DATABASE_URL: database.url });
const own = (schema) => command.own(schema, ["user", "session"]);

/** A schema with tables as `schema` makes them, named after their roles. */
async function createOwn(schema, changes) {
  const { stdout } = await run("schema", ...own(schema));
  await command.createSchema(sql, schema, stdout, changes);
}

describe("schema --lucia 3", () => {
  test("prints the two tables, with an index on user_id and one on expires_at", async () => {
    const { stdout, code: exitCode } = await run("schema", "--user-column", "hashed_password text", "--session-column", "country text");
    assert.equal(exitCode, 0);
    assert.equal(stdout, `CREATE TABLE "auth_user" (
  id text NOT NULL PRIMARY KEY,
  hashed_password text
);

CREATE TABLE "user_session" (
  id text NOT NULL PRIMARY KEY,
  user_id text NOT NULL REFERENCES "auth_user" (id),
  expires_at timestamptz NOT NULL,
  country text
);
CREATE INDEX ON "user_session" (user_id);
CREATE INDEX ON "user_session" (expires_at);
`);
  });

  test("prints tables in which check finds nothing to do", async () => {
    await createOwn("good", "");
    const { stdout, code: exitCode } = await run("check", ...own("good"));
    assert.equal(exitCode, code("well"), stdout);
    assert.deepEqual(stdout.match(/^\w+: .*$/gm), ['users: good."user"', "sessions: good.session"]);
  });

  for (const [words, message] of [
    [["--key", "user_key"], /this version of Lucia has no keys/],
    [["--no-session"], /keeps nothing but sessions/],
    [["--session-column", "expires_at text"], /Lucia's own/],
    [["--lucia", "4"], /--lucia takes 2 or 3/],
  ]) {
    test(`refuses ${words.join(" ")}`, async () => {
      const { code: exitCode, stderr } = await command.run(["schema", "--lucia", "3", ...words], { DATABASE_URL: database.url });
      assert.equal(exitCode, code("usage"));
      assert.match(stderr.split("\n")[0], message);
    });
  }
});

/** By title: a change of good tables, the line that tells of it, the name of the exit code. */
const defects = {
  "a missing time": ["ALTER TABLE session DROP COLUMN expires_at", /missing +no column expires_at/, "wrong"],
  "times in milliseconds": ["ALTER TABLE session ALTER expires_at TYPE bigint USING 0", /wrong +expires_at is bigint, but Lucia 3 stores a time/, "wrong"],
  "times without a zone": ["ALTER TABLE session ALTER expires_at TYPE timestamp", /note +expires_at is timestamp without time zone/, "well"],
  "times that are days": ["ALTER TABLE session ALTER expires_at TYPE date", /wrong +expires_at is date: sessions end at midnight/, "wrong"],
  "no index on expires_at": ["DROP INDEX session_expires_at_idx", /slow +no index on expires_at: to delete the sessions that have expired/, "slow"],
  "no index on user_id": ["DROP INDEX session_user_id_idx", /slow +no index on user_id/, "slow"],
  "no foreign key": ["ALTER TABLE session DROP CONSTRAINT session_user_id_fkey", /missing +no foreign key from user_id/, "wrong"],
  "a session id that is too short": ["ALTER TABLE session ALTER id TYPE varchar(32)", /wrong +id is character varying\(32\)/, "wrong"],
  "user ids that are numbers": [`ALTER TABLE session DROP CONSTRAINT session_user_id_fkey; ALTER TABLE "user" ALTER id TYPE int USING 0;
    ALTER TABLE session ALTER user_id TYPE int USING 0; ALTER TABLE session ADD FOREIGN KEY (user_id) REFERENCES "user"`,
  /users: [^]*?ok +has what Lucia needs/, "well"],
  "user ids that are large numbers": [`ALTER TABLE session DROP CONSTRAINT session_user_id_fkey; ALTER TABLE "user" ALTER id TYPE bigint USING 0;
    ALTER TABLE session ALTER user_id TYPE bigint USING 0; ALTER TABLE session ADD FOREIGN KEY (user_id) REFERENCES "user"`,
  /note +id is bigint: user ids come back as text/, "well"],
};

describe("check --lucia 3", () => {
  test("says what prints tables that are missing", async () => {
    const { stdout, code: exitCode } = await run("check", "--user", "no_user", "--session", "no_session");
    assert.equal(stdout.match(/missing +there is no table .*\n +npx lucia-postgres-native schema --lucia 3$/gm)?.length, 2, stdout);
    assert.equal(exitCode, code("wrong"));
  });

  for (const [index, [title, [change, finding, exit]]] of Object.entries(defects).entries()) {
    test(`finds ${title}`, async () => {
      const schema = `defect${index}`;
      await createOwn(schema, change);
      const { stdout, code: exitCode } = await run("check", ...own(schema));
      assert.match(stdout, finding);
      assert.equal(exitCode, code(exit), stdout);
      const remedies = [...stdout.matchAll(/^ {11}((?:ALTER|CREATE) .*;)$/gm)].map(([, remedy]) => remedy);
      for (const remedy of remedies) await sql.unsafe(remedy);
      if (remedies.length === 0) return;
      const healed = await run("check", ...own(schema));
      assert.doesNotMatch(healed.stdout, finding);
    });
  }
});
