// The demo does what it says, says what it does, leaves nothing behind, and fails when it should.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";

import { freshDatabase } from "./support/database.mjs";
import { startProgram } from "./support/program.mjs";
import { startProxy } from "./support/proxy.mjs";

const steps = [
  "sign-up",
  "sign-in",
  "wrong password",
  "taken name",
  "validation",
  "renewal of an idle session",
  "second session",
  "sign-out everywhere",
  "deletion of the user",
];

const runDemo = (environment) => startProgram(["example/demo.mjs"], environment).ended;

function assertSucceeded({ code, stdout, stderr }) {
  assert.equal(stderr, "");
  assert.equal(code, 0, stdout);
  const lines = stdout.split("\n").filter((line) => line.startsWith("ok "));
  assert.equal(lines.length, steps.length, stdout);
  for (const [index, step] of steps.entries()) {
    assert.ok(lines[index].startsWith(`ok  ${step} `), `${lines[index]} is about ${step}`);
    assert.match(lines[index], /\d+\.\d ms/);
  }
  assert.match(stdout, new RegExp(`^${steps.length} steps, each as expected$`, "m"));
}

async function listens(port) {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch (error) {
    assert.equal(error.code, "ECONNREFUSED");
    return false;
  } finally {
    socket.destroy();
  }
}

describe("the demo", { timeout: 120_000 }, () => {
  let database;
  before(async () => {
    database = await freshDatabase();
  });
  after(() => database.drop());

  /** Whether the schema that a demo said it works in is still there. */
  async function leavesSchema(stdout) {
    const [, schema] = /schema (lucia_demo_[0-9a-f]+)$/m.exec(stdout);
    return (await database.sql`SELECT FROM pg_namespace WHERE nspname = ${schema}`).length > 0;
  }

  test("without DATABASE_URL it starts a PostgreSQL, takes every step, and stops it again", async () => {
    const outcome = await runDemo({ DATABASE_URL: undefined });
    assertSucceeded(outcome);
    const [, port] = /started for this demo on port (\d+)/.exec(outcome.stdout);
    assert.equal(await listens(Number(port)), false, "its PostgreSQL still listens");
  });

  test("with DATABASE_URL it takes every step in a schema of its own and removes the schema", async () => {
    const outcome = await runDemo({ DATABASE_URL: database.url });
    assertSucceeded(outcome);
    assert.match(outcome.stdout, /the one of DATABASE_URL; schema lucia_demo_[0-9a-f]+$/m);
    assert.equal(await leavesSchema(outcome.stdout), false);
  });

  test("a step that is not as expected is named, the schema is removed, and the exit code is 1", async (t) => {
    const [{ rolsuper }] = await database.sql`SELECT rolsuper FROM pg_roles WHERE rolname = current_user`;
    if (!rolsuper) {
      t.skip("only a superuser may create the event trigger that spoils the demo's tables");
      return;
    }
    // As soon as the table of sessions exists, deleting from it does nothing.
    await database.sql.unsafe(`
      CREATE FUNCTION keep_sessions() RETURNS event_trigger LANGUAGE plpgsql AS $$
      DECLARE made record;
      BEGIN
        FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%.user_session' LOOP
          EXECUTE format('CREATE OR REPLACE RULE keep AS ON DELETE TO %s DO INSTEAD NOTHING', made.object_identity);
        END LOOP;
      END $$;
      CREATE EVENT TRIGGER keep_sessions ON ddl_command_end
        WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION keep_sessions();
    `);
    try {
      const { code, stdout, stderr } = await runDemo({ DATABASE_URL: database.url });
      assert.equal(code, 1);
      assert.match(stdout, /^ok {2}second session /m, stderr);
      assert.match(stdout, /^FAILED {2}sign-out everywhere$/m);
      assert.doesNotMatch(stdout, /each as expected|deletion of the user/);
      assert.match(stderr, /^demo: sign-out everywhere is not as expected: the rows in the tables/m);
      assert.equal(await leavesSchema(stdout), false);
    } finally {
      await database.sql.unsafe("DROP EVENT TRIGGER keep_sessions; DROP FUNCTION keep_sessions");
    }
  });

  test("a server that refuses the connection makes it fail at once, with the reason", async () => {
    const { code, stdout, stderr } = await runDemo({ DATABASE_URL: "postgres://ada:secret@127.0.0.1:1/nowhere" });
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^demo: no connection to PostgreSQL: .*ECONNREFUSED 127\.0\.0\.1:1$/m);
    assert.doesNotMatch(stderr, /secret/);
  });

  test("a server that stops answering does not keep it for longer than it may take", async () => {
    const proxy = await startProxy(database.url);
    const demo = startProgram(["example/demo.mjs"], { DATABASE_URL: proxy.url(database.url), DEMO_SECONDS: "6" });
    await demo.says(/^ok {2}sign-up/m);
    proxy.stall();
    const { code, stderr } = await demo.ended;
    assert.equal(code, 1);
    assert.match(stderr, /^demo: not over after 6 seconds; the last thing begun was: \w/m);
    await proxy.stop();
  });

  test("interrupted, it removes its schema before it goes", async (t) => {
    if (process.platform === "win32") {
      t.skip("Windows has no signals to interrupt a program with");
      return;
    }
    const demo = startProgram(["example/demo.mjs"], { DATABASE_URL: database.url });
    await demo.says(/^ok {2}sign-up/m);
    const { code, stdout, stderr } = await demo.stop("SIGINT");
    assert.equal(code, 130);
    assert.equal(stderr, "");
    assert.equal(await leavesSchema(stdout), false);
  });
});
