// What it means for a change when its connection ends: done again only where the server itself has said that nothing was done.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { LuciaError } from "lucia";
import connect from "postgres";

import { postgres } from "../index.js";
import { startServer } from "../tools/server.mjs";
import { openAdapter } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { errorResponse, message, messagesOf } from "./support/messages.mjs";
import { databaseWith } from "./support/once.mjs";
import { startProxy } from "./support/proxy.mjs";

/** So that a call which never settles fails its own test only. */
const limit = { timeout: 40_000 };
const database = await databaseWith();
const { sql } = database;
// Every change that is committed leaves a row.
await sql.unsafe(`
  CREATE TABLE committed (user_id TEXT);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO committed VALUES (NEW.id); RETURN NEW; END';
  CREATE TRIGGER note AFTER INSERT OR UPDATE ON auth_user FOR EACH ROW EXECUTE FUNCTION note();
`);

/** An adapter behind a proxy; `user` is stored, and the next update of it is the first. */
async function connected(t, user, options = {}) {
  const proxy = await startProxy(database.url);
  t.after(() => proxy.stop());
  const { adapter } = openAdapter(t, proxy.url(database.url), options);
  await adapter.setUser({ id: user, username: "before" }, null);
  await adapter.updateUser(user, { username: "before" });
  await sql`DELETE FROM committed`;
  return { adapter, proxy };
}

async function timesCommitted(user) {
  const [{ count }] = await sql`SELECT count(*)::int FROM committed WHERE user_id = ${user}`;
  return count;
}

const unknown = { code: "OUTCOME_UNKNOWN" };
/** For a write whose answer makes no sense, for this reason. */
const unknownSince = (why) => ({ message, code, cause }) => {
  const told = { message, code, cause: { message: cause.message, code: cause.code } };
  assert.deepEqual(told, {
    message: "the server's answer did not come: the change may have been made or not",
    code: "OUTCOME_UNKNOWN",
    cause: { message: why, code: "INVALID_ANSWER" },
  });
  return true;
};
const localized = { S: "FATAL", C: "57P01", M: "terminating connection" };
const source = { F: "postgres.c", L: "3300", R: "ProcessInterrupts" };
const own = { ...localized, V: "FATAL", ...source };

/** The answer with an error in the place of the first message of that type, and of all that follow. */
const endingAt = (type, fields) => (bytes) => {
  const all = messagesOf(bytes);
  const kept = all.slice(0, all.findIndex((each) => each.type === type));
  return Buffer.concat([...kept.map((each) => each.bytes), errorResponse(fields)]);
};

describe("a FATAL in place of a committed change's answer", () => {
  const cases = [
    ["that a pooler makes up (XX000 of Supavisor)", { S: "FATAL", V: "FATAL", C: "XX000", M: "DbHandler exited" }, {}],
    ["without the fields F, L and R", { ...localized, V: "FATAL" }, {}],
    ["without the field V", { ...localized, ...source }, {}],
    ["with every field, from behind what may be a pooler", own, { prepare: false }],
  ];
  for (const [what, fields, options] of cases) {
    test(`${what} rejects with OUTCOME_UNKNOWN, and the change is made once`, limit, async (t) => {
      const user = `user ${what}`;
      const { adapter, proxy } = await connected(t, user, options);
      const changed = proxy.changeAnswer("UPDATE 1", () => errorResponse(fields));
      const update = adapter.updateUser(user, { username: "after" });
      await within(10, "the update rejects", assert.rejects(update, unknown));
      await changed;
      assert.equal(await timesCommitted(user), 1);

      const another = proxy.changeAnswer("INSERT 0 1", () => errorResponse(fields));
      const signUp = adapter.setUser({ id: `new ${what}`, username: null }, null);
      await within(10, "the sign-up rejects", assert.rejects(signUp, unknown));
      await another;
      assert.equal(await timesCommitted(`new ${what}`), 1);
    });
  }

  test("in place of ReadyForQuery, after CommandComplete, rejects with OUTCOME_UNKNOWN", limit, async (t) => {
    const { adapter, proxy } = await connected(t, "complete");
    const changed = proxy.changeAnswer("UPDATE 1", endingAt("Z", own));
    const update = adapter.updateUser("complete", { username: "after" });
    await within(10, "the update rejects", assert.rejects(update, unknown));
    await changed;
    assert.equal(await timesCommitted("complete"), 1);
  });
});

test("a FATAL of the server itself, before CommandComplete, has the change done again", limit, async (t) => {
  const { adapter, proxy } = await connected(t, "terminated");
  // The server does not lie; that the update is committed twice shows that it was sent twice.
  const changed = proxy.changeAnswer("UPDATE 1", endingAt("C", own));
  await within(10, "the update resolves", adapter.updateUser("terminated", { username: "after" }));
  await changed;
  assert.equal(await timesCommitted("terminated"), 2);
});

describe("an answer without CommandComplete", () => {
  const incomplete = "the server does not say that the command is complete";
  const inItsPlace = (instead) => (bytes) => Buffer.concat(messagesOf(bytes).map((each) => (each.type === "C" ? instead : each.bytes)));
  const instead = {
    "but with PortalSuspended": message("s", Buffer.alloc(0)),
    "but with EmptyQueryResponse": message("I", Buffer.alloc(0)),
    "that a proxy has dropped": Buffer.alloc(0),
  };
  for (const [name, replacement] of Object.entries(instead)) {
    test(`${name} rejects a write with OUTCOME_UNKNOWN, and a read with INVALID_ANSWER`, limit, async (t) => {
      const { adapter, proxy } = await connected(t, name);
      const changed = proxy.changeAnswer("UPDATE 1", inItsPlace(replacement), { how: "stay" });
      const update = adapter.updateUser(name, { username: "after" });
      await within(10, "the update rejects", assert.rejects(update, unknownSince(incomplete)));
      await changed;
      assert.equal(await timesCommitted(name), 1);

      assert.equal((await adapter.getUser(name)).username, "after");
      const again = proxy.changeAnswer("SELECT 1", inItsPlace(replacement), { how: "stay" });
      await within(10, "the read rejects", assert.rejects(adapter.getUser(name), { code: "INVALID_ANSWER", message: incomplete }));
      await again;
      assert.equal((await adapter.getUser(name)).username, "after");
    });
  }
});

describe("an answer whose end is none of PostgreSQL's", () => {
  const each = (type, change) => (bytes) => Buffer.concat(messagesOf(bytes).flatMap((one) => (one.type === type ? change(one.bytes) : one.bytes)));
  const cases = [
    ["a command that is not known", each("C", () => message("C", Buffer.from("HELLO 1\0"))), "a command is complete that PostgreSQL does not know"],
    ["two completions of one statement", each("C", (bytes) => [bytes, bytes]), "a statement is complete twice"],
    ["a transaction that nobody began", each("Z", () => message("Z", Buffer.from("T"))), "a transaction is under way that was not begun"],
    ["a failed transaction that nobody began", each("Z", () => message("Z", Buffer.from("E"))), "a transaction is under way that was not begun"],
  ];
  for (const [what, change, why] of cases) {
    test(`${what}: a write rejects with OUTCOME_UNKNOWN, a read with INVALID_ANSWER, and the connection is replaced`, limit, async (t) => {
      const { adapter, proxy } = await connected(t, what, { max: 1 });
      const { accepted } = proxy;
      const changed = proxy.changeAnswer("UPDATE 1", change, { how: "stay" });
      await within(10, "the update rejects", assert.rejects(adapter.updateUser(what, { username: "after" }), unknownSince(why)));
      await changed;
      assert.equal((await adapter.getUser(what)).username, "after");
      assert.equal(proxy.accepted, accepted + 1);
      const again = proxy.changeAnswer("SELECT 1", change, { how: "stay" });
      await within(10, "the read rejects", assert.rejects(adapter.getUser(what), { code: "INVALID_ANSWER", message: why }));
      await again;
      assert.equal((await adapter.getUser(what)).username, "after");
      assert.equal(await timesCommitted(what), 1);
    });
  }
});

test("a type that leads to others, and these to others, is read as text", limit, async (t) => {
  const chain = Array.from({ length: 150 }, (_, n) => `CREATE TYPE chain${n} AS (next ${n === 0 ? "INT" : `chain${n - 1}`});`);
  await sql.unsafe(chain.join(" "));
  for (const length of [20, 150]) {
    const user = `with_${length}`;
    await sql.unsafe(`CREATE TABLE ${user} (id TEXT PRIMARY KEY, chain chain${length - 1}); INSERT INTO ${user} VALUES ('u', NULL)`);
    const { adapter } = openAdapter(t, database.url, { max: 1 }, { ...tableNames, user });
    // The first lookup is not prepared, the later ones are.
    for (let times = 0; times < 3; times += 1) {
      assert.deepEqual(await within(10, "the call settles", adapter.getUser("u")), { id: "u", chain: null });
    }
    assert.equal((await adapter.getKey("nobody")), null);
  }
});

describe("transaction_timeout", () => {
  test("is the error of the statement that it ends, and of no other", limit, async (t) => {
    const [{ known }] = await sql`SELECT current_setting('transaction_timeout', true) IS NOT NULL AS known`;
    if (!known) {
      t.skip("transaction_timeout came with PostgreSQL 17");
      return;
    }
    await sql`INSERT INTO auth_user VALUES ('slow', NULL), ('locked', NULL)`;
    await sql.unsafe(`CREATE VIEW slow_user AS
      SELECT id, CASE id WHEN 'slow' THEN pg_sleep(30)::text ELSE username END AS username FROM auth_user`);
    const timedOut = { code: "25P04", severity: "FATAL" };
    const url = `${database.url}?transaction_timeout=300ms`;
    const reading = openAdapter(t, url, { max: 2 }, { ...tableNames, user: "slow_user" });
    await within(5, "the read rejects", assert.rejects(reading.adapter.getUser("slow"), timedOut));
    assert.equal((await reading.adapter.getUser("locked")).id, "locked");

    const writing = openAdapter(t, url, { max: 2 });
    const held = await sql.begin(async (other) => {
      await other`SELECT FROM auth_user WHERE id = 'locked' FOR UPDATE`;
      const update = assert.rejects(writing.adapter.updateUser("locked", { username: "after" }), timedOut);
      await within(5, "the update rejects", update);
      return { update };
    });
    await held.update;
    assert.equal((await writing.adapter.getUser("locked")).username, null);
  });
});

describe("a server that takes no writes any more", () => {
  test("with target_session_attrs=read-write is left for the next host", limit, async (t) => {
    const servers = await Promise.all([startServer(), startServer()]);
    t.after(() => Promise.all(servers.map((server) => server.stop())));
    const [first, second] = await Promise.all(servers.map(async (server) => {
      const own = connect(server.url(), { max: 1, onnotice() {} });
      t.after(() => own.end({ timeout: 1 }));
      await createTables(own);
      return own;
    }));
    const hosts = servers.map(({ host, port }) => `${host}:${port}`).join(",");
    const url = `postgres://postgres:postgres@${hosts}/postgres?target_session_attrs=read-write`;
    const initializer = postgres(url, tableNames, { max: 2 });
    t.after(() => initializer.end({ timeout: 1 }));
    const adapter = initializer(LuciaError);
    await adapter.setUser({ id: "on the first", username: null }, null);
    assert.equal((await first`SELECT id FROM auth_user`).length, 1);

    await first.unsafe("ALTER SYSTEM SET default_transaction_read_only = on");
    await first`SELECT pg_reload_conf()`;
    await eventually(10, "the first server takes no writes", async () => {
      const [{ setting }] = await first`SELECT current_setting('default_transaction_read_only') AS setting`;
      return setting === "on";
    });
    await within(10, "the write resolves", adapter.setUser({ id: "on the second", username: null }, null));
    assert.deepEqual((await second`SELECT id FROM auth_user`).map(({ id }) => id), ["on the second"]);
  });
});
