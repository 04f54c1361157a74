// A server, or what sits in its place, that says what PostgreSQL never says. (`network`, `endings` and the Rust tests of `screen` have more.)
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openAdapter } from "./support/adapter.mjs";
import { within } from "./support/bounded.mjs";
import { createTables, freshDatabase } from "./support/database.mjs";
import { startHostile } from "./support/hostile.mjs";
import { message } from "./support/messages.mjs";

/** So that a call which never settles fails its own test only. */
const limit = { timeout: 120_000 };
const JSON_TYPE = 114;
let database;

before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await database.sql`INSERT INTO auth_user (id, username) VALUES ('u1', 'name1'), ('u2', 'name2')`;
});
after(() => database?.drop());

/** Of statements about users only; the package's own questions are answered as they should be. */
const ofUsers = (change) => (said) => (said.sql.includes("auth_user") ? change(said) : [said.bytes]);

/** A row description in which the column `username` has another type. */
function withType(bytes, oid) {
  const changed = Buffer.from(bytes);
  const at = changed.indexOf("username\0");
  if (at >= 0) changed.writeUInt32BE(oid, at + "username\0".length + 6);
  return changed;
}

/** Each has the server say it, and then the truth over the same connection. */
const lies = {
  "describes a statement without its parameter": ({ type, bytes }) => [type === "t" ? message("t", Buffer.from([0, 0])) : bytes],
  "calls a text JSON that is none": ({ type, bytes }) => [type === "T" ? withType(bytes, JSON_TYPE) : bytes],
};

describe("an answer that cannot be used is forgotten: a server that", () => {
  for (const [what, change] of Object.entries(lies)) {
    for (const [how, ids] of [["one call", ["u1"]], ["many calls", ["u1", "u2", "u1"]]]) {
      test(`${what} fails ${how}, and is believed when it says the truth`, limit, async (t) => {
        const hostile = await startHostile(Number(new URL(database.url).port), ofUsers(change));
        t.after(() => hostile.stop());
        const url = new URL(database.url);
        url.port = String(hostile.port);
        const { adapter } = openAdapter(t, url.href, { max: 1 });
        const calls = () => Promise.allSettled(ids.map((id) => adapter.getUser(id)));
        const right = ids.map((id) => id.replace("u", "name"));
        const outcomes = await within(20, "the calls settle", calls());
        // What is not asked is not answered wrongly: the first lookup of a connection is not described.
        outcomes.forEach(({ value, reason }, at) => assert.ok(reason?.code === "INVALID_ANSWER" || value?.username === right[at], reason));
        hostile.becomeHonest({ cut: false });
        const found = await within(20, "the calls settle", calls());
        assert.deepEqual(found.map(({ value }) => value?.username), right);
      });
    }
  }
});

test("an answer that ends too early fails its own call, and what follows of it meets no other call", limit, async (t) => {
  let isArmed = false;
  let later = [];
  const hostile = await startHostile(Number(new URL(database.url).port), ({ type, bytes, index }) => {
    if (index === 0) later = [];
    if (isArmed && type === "C") {
      isArmed = false;
      later.push(bytes, message("Z", Buffer.from("I")));
      return [];
    }
    // The rest comes before the next answer.
    return type === "Z" ? [bytes] : [...later.splice(0), bytes];
  });
  t.after(() => hostile.stop());
  const url = new URL(database.url);
  url.port = String(hostile.port);
  const { adapter } = openAdapter(t, url.href, { max: 1 });
  for (const id of ["u1", "u2"]) assert.equal((await adapter.getUser(id)).id, id);
  isArmed = true;
  await within(20, "the call rejects", assert.rejects(adapter.getUser("u1"), { code: "INVALID_ANSWER" }));
  for (const id of ["u2", "u1"]) assert.equal((await within(20, "the call settles", adapter.getUser(id))).id, id);
});

test("notices that come faster than `onnotice` takes them are dropped, and the call that caused them is answered", limit, async (t) => {
  const NOTICES = 40;
  await database.sql.unsafe(`
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN FOR n IN 1..${NOTICES} LOOP RAISE NOTICE ''%'', repeat(''x'', 1000000); END LOOP; RETURN NEW; END';
    CREATE TRIGGER shout AFTER INSERT ON user_key FOR EACH ROW EXECUTE FUNCTION shout();
  `);
  t.after(() => database.sql.unsafe("DROP TRIGGER shout ON user_key"));
  let heard = 0;
  const { adapter } = openAdapter(t, database.url, {
    onnotice() {
      heard += 1;
      // This thread does nothing else meanwhile.
      if (heard === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
    },
  });
  await within(30, "the call is answered", adapter.setKey({ id: "k", user_id: "u1", hashed_password: null }));
  assert.ok(heard >= 1 && heard < NOTICES, `${heard} of ${NOTICES}`);
  assert.equal((await adapter.getKey("k")).user_id, "u1");
});

test("answers that are changed at random, for twenty seconds: no crash, no call that pends, and then the right rows", limit, async () => {
  const other = await freshDatabase();
  const program = fileURLToPath(new URL("support/fuzz.mjs", import.meta.url));
  const child = spawn(process.execPath, [program, "20", "1"], {
    env: { ...process.env, DATABASE_URL: other.url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  const [code, signal] = await once(child, "close");
  await other.drop();
  assert.deepEqual([code, signal], [0, null], output);
  const [, histories] = /^(\d+) histories/m.exec(output);
  assert.ok(Number(histories) > 10, output);
});
