// The command line: the SQL that `schema` prints, and what `check` says of databases with one thing wrong each.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { LuciaError } from "lucia";

import { exitCodes } from "../bin/exit-codes.mjs";
import { conclusion } from "../bin/check.mjs";
import { serverFindings } from "../bin/findings.mjs";
import { postgres } from "../index.js";
import { freePort, startServer } from "../tools/server.mjs";
import { certificateAuthority } from "./support/certificates.mjs";
import * as command from "./support/command.mjs";
import { code } from "./support/command.mjs";
import { createTables } from "./support/database.mjs";
import { defects } from "./support/defects.mjs";
import { emptyDatabase } from "./support/once.mjs";
import { pgbouncers, startPgbouncer } from "./support/pgbouncer.mjs";

const database = await emptyDatabase();
const { sql } = database;

/** Runs the command with these words; DATABASE_URL is that of this file's database, unless it is given. */
const run = (words, environment = { DATABASE_URL: database.url }) => command.run(words, environment);
const own = (schema) => command.own(schema, ["user", "key", "session"]);

/** A schema with tables as `schema` makes them, named after their roles. */
async function createOwn(schema, changes = "") {
  const { stdout } = await run(["schema", ...own(schema)]);
  await command.createSchema(sql, schema, stdout, changes);
}

describe("schema", () => {
  const names = { user: "own.User Table", key: '"own"."dotted.key"', session: "own.session" };
  const options = Object.entries(names).flatMap(([role, name]) => [`--${role}`, name]);

  test("prints SQL that runs, for tables of which the adapter and check know by the same names", async () => {
    const columns = ["--user-column", "username text NOT NULL", "--user-column", '"born on" date', "--session-column", "country text"];
    const { stdout, code: exitCode, stderr } = await run(["schema", ...options, ...columns]);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    await sql.unsafe(`CREATE SCHEMA own; ${stdout}`);

    const initialize = postgres(database.url, names);
    const adapter = initialize(LuciaError);
    await adapter.setUser({ id: "u", username: "Bob", "born on": "1990-01-01" }, { id: "k", user_id: "u", hashed_password: null });
    await adapter.setSession({ id: "s", user_id: "u", active_expires: 1, idle_expires: 2, country: "PT" });
    const [session, user] = await adapter.getSessionAndUser("s");
    assert.deepEqual([session.country, user.username], ["PT", "Bob"]);
    await assert.rejects(adapter.setKey({ id: "k2", user_id: "nobody", hashed_password: null }), new LuciaError("AUTH_INVALID_USER_ID"));
    await initialize.end();

    const { stdout: said, code: checked } = await run(["check", ...options]);
    assert.equal(checked, code("well"), said);
  });

  test("indexes user_id in both tables that have it", async () => {
    const { stdout } = await run(["schema"]);
    assert.deepEqual(stdout.match(/^CREATE INDEX .*$/gm), [
      'CREATE INDEX ON "user_key" (user_id);',
      'CREATE INDEX ON "user_session" (user_id);',
    ]);
  });

  test("leaves the session table out where sessions are kept elsewhere", async () => {
    const { stdout } = await run(["schema", "--no-session"]);
    assert.deepEqual(stdout.match(/^CREATE TABLE .*$/gm), ['CREATE TABLE "auth_user" (', 'CREATE TABLE "user_key" (']);
  });

  test("puts no name outside of its quotes", async () => {
    const { stdout } = await run(["schema", "--user", 'x"; DROP TABLE y; --']);
    assert.match(stdout, /^CREATE TABLE "x""; DROP TABLE y; --" \($/m);
  });
});

describe("docs/command-line.md", () => {
  const text = readFileSync(new URL("../docs/command-line.md", import.meta.url), "utf8");
  const block = (language) => text.match(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "m"))[1];

  test("shows what the command that it names prints", async () => {
    const [, ...words] = block("sh").trim().match(/^npx lucia-postgres-native |"[^"]*"|\S+/g);
    const { stdout } = await run(words.map((word) => word.replace(/^"(.*)"$/, "$1")));
    assert.equal(stdout, block("sql"));
  });

  test("tells every exit code with its meaning", () => {
    const told = [...text.matchAll(/^\| (\d) \| (.*) \|$/gm)].map(([, number, meaning]) => [Number(number), meaning]);
    assert.deepEqual(told, Object.values(exitCodes));
  });
});

describe("arguments that cannot be used are explained, with exit code 2", () => {
  for (const [title, arguments_, message, environment] of [
    ["no command", [], /a command is needed/],
    ["an unknown command", ["chek"], /no command chek/],
    ["an unknown option", ["schema", "--users", "x"], /--users/],
    ["an empty table name", ["schema", "--user", "a."], /a part is empty/],
    ["a name of three parts", ["check", "--user", "a.b.c"], /a schema before it/],
    ["a column without a type", ["schema", "--user-column", "username"], /its name and its type/],
    ["a column that is Lucia's", ["schema", "--session-column", "User_Id text"], /Lucia's own/],
    ["session columns without a session table", ["schema", "--no-session", "--session-column", "a text"], /needs a session table/],
    ["check without a URL", ["check"], /DATABASE_URL/, { DATABASE_URL: undefined }],
    ["a URL of another kind", ["check", "https://localhost/app"], /postgres:\/\//],
    ["two URLs", ["check", "postgres://a", "postgres://b"], /one URL/],
  ]) {
    test(title, async () => {
      const { code: exitCode, stdout, stderr } = await run(arguments_, environment);
      assert.equal(exitCode, code("usage"));
      assert.equal(stdout, "");
      assert.match(stderr.split("\n")[0], message);
      assert.match(stderr, /^Usage: /m);
    });
  }

  test("--help tells every option, and every exit code with its meaning; --version the version", async () => {
    const { stdout, code: exitCode } = await run(["--help"]);
    assert.equal(exitCode, 0);
    for (const [number, meaning] of Object.values(exitCodes)) assert.ok(stdout.includes(`  ${number}  ${meaning}\n`), meaning);
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
    assert.equal((await run(["--version"])).stdout, `${version}\n`);
  });
});

describe("check", () => {
  test("finds nothing to do in the tables of the documentation", async () => {
    await createTables(sql);
    const { stdout, code: exitCode } = await run(["check", database.url], { DATABASE_URL: undefined });
    assert.equal(exitCode, code("well"), stdout);
    assert.deepEqual(stdout.match(/^\w+: .*$/gm), ["users: public.auth_user", "keys: public.user_key", "sessions: public.user_session"]);
    assert.equal(stdout.match(/^ {2}ok +has what Lucia needs$/gm).length, 3);
  });

  for (const [index, [title, [change, finding, exit, { heals = true } = {}]]] of Object.entries(defects).entries()) {
    test(`finds ${title}${heals ? ", and what it tells to do heals it" : ""}`, async () => {
      const schema = `defect${index}`;
      await createOwn(schema, change);
      const { stdout, code: exitCode } = await run(["check", ...own(schema)]);
      assert.match(stdout, finding);
      assert.equal(exitCode, code(exit), stdout);
      const remedies = [...stdout.matchAll(/^ {11}((?:ALTER|CREATE) .*;)$/gm)].map(([, remedy]) => remedy);
      if (!heals) return;
      assert.ok(remedies.length > 0, stdout);
      for (const remedy of remedies) await sql.unsafe(remedy);
      const healed = await run(["check", ...own(schema)]);
      assert.doesNotMatch(healed.stdout, finding);
      assert.equal(healed.code, code("well"), healed.stdout);
    });
  }

  test("says in which schema a table is that the search path does not reach", async () => {
    await createOwn("hidden");
    const { stdout, code: exitCode } = await run(["check", "--user", "user", "--key", "hidden.key", "--session", "hidden.session"]);
    assert.equal(exitCode, code("wrong"));
    assert.match(stdout, /no table user in the search path .*but there is .*hidden\."user".*: give its schema too/);
  });

  test("says what a user may not do, to a user that may do nothing", async () => {
    await createOwn("guarded", 'ALTER TABLE "user" ENABLE ROW LEVEL SECURITY');
    const role = `role_${new URL(database.url).pathname.slice(1)}`;
    await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA guarded TO ${role};
      GRANT SELECT, INSERT ON guarded.key TO ${role}; GRANT ALL ON guarded.user, guarded.session TO ${role}`);
    const url = Object.assign(new URL(database.url), { username: role, password: "secret" });
    const { stdout, code: exitCode } = await run(["check", url.href, ...own("guarded")]);
    await sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    assert.match(stdout, /wrong +this user may not UPDATE, DELETE/);
    assert.match(stdout, /note +row security is on/);
    assert.equal(exitCode, code("wrong"));
  });

  for (const [title, change, reason] of [
    ["a server that is not there", async (url) => Object.assign(url, { port: await freePort() }), /nothing listens there/],
    ["a wrong password", (url) => Object.assign(url, { password: "hunter2" }), /the user name or the password is wrong/],
    ["a database that is not there", (url) => Object.assign(url, { pathname: "/no_such_database" }), /no such database/],
  ]) {
    test(`explains ${title}, without the password, with exit code 3`, async () => {
      const url = await change(new URL(database.url));
      const { stdout, stderr, code: exitCode } = await run(["check", url.href]);
      assert.equal(exitCode, code("unreachable"));
      assert.match(stdout, reason);
      assert.ok(stdout.startsWith(`${url.host}${url.pathname} cannot be asked`), stdout);
      assert.doesNotMatch(stdout + stderr, /hunter2/);
    });
  }

  test("says that changes are refused where transactions are read-only, and makes none itself", async () => {
    await createOwn("reading");
    const name = new URL(database.url).pathname.slice(1);
    await sql.unsafe(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    const { stdout, code: exitCode } = await run(["check", ...own("reading")]);
    await sql.unsafe(`SET default_transaction_read_only = off; ALTER DATABASE ${name} RESET default_transaction_read_only`);
    assert.match(stdout, /wrong +transactions are read-only here/);
    assert.equal(exitCode, code("wrong"));
  });

  const [installed] = pgbouncers();
  const pooler = !installed && "PgBouncer is not installed (Debian: apt-get install pgbouncer)";
  test("finds a pooler, and works through it", { skip: pooler }, async () => {
    await createOwn("pooled");
    const pgbouncer = await startPgbouncer(installed.program, database.url);
    try {
      const { stdout, code: exitCode } = await run(["check", pgbouncer.url, ...own("pooled")]);
      assert.match(stdout, /note +there is a pooler before the server/);
      assert.equal(exitCode, code("well"), stdout);
    } finally {
      await pgbouncer.stop();
    }
  });

  test("says that the server's certificate is verified where it is", async () => {
    const authority = certificateAuthority("The authority");
    const { certificate, key } = authority.issue({ name: "server", hosts: ["localhost", "127.0.0.1"] });
    const server = await startServer({ settings: { ssl: "on" }, files: { "server.crt": certificate, "server.key": key, "root.crt": authority.certificate } });
    try {
      const url = `${server.url()}?sslmode=verify-full`;
      const { stdout } = await run(["check", url], { NODE_EXTRA_CA_CERTS: `${server.data}/root.crt` });
      assert.match(stdout, /ok +the connection is encrypted, and the server's certificate is verified/);
    } finally {
      await server.stop();
    }
  });

  test("calls a connection to another machine unsafe, unless it is encrypted and the certificate verified", () => {
    const facts = { number: 180000, isReadOnly: false, isStandby: false };
    const kinds = (answer) => serverFindings(facts, { isPooled: false, isLocal: false, ...answer }).map(({ kind }) => kind);
    assert.deepEqual(kinds({ tls: "none" }), ["unsafe"]);
    assert.deepEqual(kinds({ tls: "encrypted" }), ["unsafe"]);
    assert.deepEqual(kinds({ tls: "verified" }), ["ok"]);
    assert.deepEqual(kinds({ tls: "none", isLocal: true }), ["ok"]);
    assert.deepEqual(kinds({ tls: "none", isPooled: true }), ["note", "unsafe"]);
  });

  test("ends with another exit code when something is unsafe, slow, missing or wrong", () => {
    const ends = (...kinds) => conclusion(kinds.map((kind) => ({ kind })))[0];
    assert.deepEqual([ends(), ends("ok", "note")], [code("well"), code("well")]);
    assert.deepEqual([ends("ok", "unsafe"), ends("slow", "note")], [code("slow"), code("slow")]);
    assert.deepEqual([ends("unsafe", "missing"), ends("wrong", "slow")], [code("wrong"), code("wrong")]);
  });

  test("finds tables with quotes and backslashes in their names", async () => {
    const names = ["user", "key", "session"].map((role) => `it's "the" \\ ${role}`);
    const options = names.flatMap((name, index) => [`--${["user", "key", "session"][index]}`, name]);
    const { stdout } = await run(["schema", ...options]);
    await sql.unsafe(stdout);
    const checked = await run(["check", ...options]);
    assert.equal(checked.code, code("well"), checked.stdout);
    await sql`DROP TABLE ${sql(names[2])}, ${sql(names[1])}, ${sql(names[0])}`;
  });

  test("of TLS that the server may refuse, it says whether there is any; of that before a pooler, nothing good", () => {
    const said = (isEncrypted, isPooled) =>
      serverFindings({ number: 180000, isEncrypted }, { isPooled, isLocal: false, tls: "optional" }).at(-1).text;
    assert.match(said(true, false), /is encrypted, but another server could answer/);
    assert.match(said(false, false), /is not encrypted/);
    assert.match(said(true, true), /is not encrypted/);
  });

  test("says of a standby that it takes no changes, and of an old server that it is not tested", () => {
    const facts = { number: 120000, isReadOnly: true, isStandby: true };
    const [standby, old] = serverFindings(facts, { isPooled: false, isLocal: true, tls: "none" });
    assert.deepEqual([standby.kind, old.kind], ["wrong", "note"]);
    assert.match(standby.text, /standby/);
    assert.match(old.text, /13 and later/);
  });
});
