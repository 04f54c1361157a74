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
const ofUsers = (change) => (said) => (said.sql.includes('FROM "auth_user"') ? change(said) : [said.bytes]);

/** A row description in which the column `username` has another type. */
function withType(bytes, oid) {
  const changed = Buffer.from(bytes);
  const at = changed.indexOf("username\0");
  if (at >= 0) changed.writeUInt32BE(oid, at + "username\0".length + 6);
  return changed;
}

const two = (number) => Buffer.from([number >> 8, number & 255]);

/** A row description, or a row, of one column: `position`, an int8. */
const positionAlone = {
  T: message("T", Buffer.concat([two(1), Buffer.from("position\0"), Buffer.alloc(6), Buffer.from([0, 0, 0, 20]), two(8), Buffer.alloc(4, 255), two(0)])),
  D: message("D", Buffer.concat([two(1), Buffer.from([0, 0, 0, 8]), Buffer.alloc(8)])),
};

/** Each has the server say it, and then the truth. */
const lies = {
  "describes a statement without columns": ({ type, bytes }) => ["TD".includes(type) ? message(type, two(0)) : bytes],
  "describes the position of a call alone": ({ type, bytes }) => [positionAlone[type] ?? bytes],
  "describes 65,535 parameters": ({ type, bytes }) => [type === "t" ? message("t", Buffer.concat([two(65_535), Buffer.alloc(65_535 * 4, 25)])) : bytes],
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
        // A lookup whose connection ends with what PostgreSQL never sends is done again for so long.
        const { adapter } = openAdapter(t, url.href, { max: 1, connect_timeout: 2 });
        const calls = () => Promise.allSettled(ids.map((id) => adapter.getUser(id)));
        const codes = ["INVALID_ANSWER", "CONNECTION_CLOSED", "CONNECT_TIMEOUT"];
        const right = ids.map((id) => id.replace("u", "name"));
        const outcomes = await within(20, "the calls settle", calls());
        // What is not asked is not answered wrongly: the first lookup of a connection is not described.
        outcomes.forEach(({ value, reason }, at) => assert.ok(codes.includes(reason?.code) || value?.username === right[at], reason));
        hostile.becomeHonest({ cut: false });
        const found = await within(20, "the calls settle", calls());
        assert.deepEqual(found.map(({ value }) => value?.username), right);
      });
    }
  }
});

test("60,000 columns in place of three are believed or an INVALID_ANSWER, and hold up nothing", limit, async (t) => {
  const COLUMNS = 60_000;
  const columns = Buffer.concat(Array.from({ length: COLUMNS }, (_, n) => (
    Buffer.concat([Buffer.from(`c${n}\0`), Buffer.alloc(6), Buffer.from([0, 0, 0, 25]), Buffer.alloc(6, 255), two(0)])
  )));
  const values = Buffer.concat(Array.from({ length: COLUMNS }, () => Buffer.from([0, 0, 0, 1, 0x76])));
  const many = { T: message("T", Buffer.concat([two(COLUMNS), columns])), D: message("D", Buffer.concat([two(COLUMNS), values])) };
  const hostile = await startHostile(Number(new URL(database.url).port), ofUsers(({ type, bytes }) => [many[type] ?? bytes]));
  t.after(() => hostile.stop());
  const url = new URL(database.url);
  url.port = String(hostile.port);
  const { adapter } = openAdapter(t, url.href, { max: 1 });
  for (const call of [() => adapter.getUser("u1"), () => Promise.all([adapter.getUser("u1"), adapter.getUser("u2")])]) {
    // Rows that a server says are its own are believed.
    const [{ status, reason }] = await within(20, "the call settles", Promise.allSettled([call()]));
    assert.ok(status === "fulfilled" || reason.code === "INVALID_ANSWER", reason);
  }
  hostile.becomeHonest({ cut: false });
  assert.equal((await within(10, "the call settles", adapter.getUser("u1"))).username, "name1");
});

for (const [how, options] of [["where statements are prepared", {}], ["with `prepare: false`", { prepare: false }]]) {
  test(`types that lead to other types for ever are not followed for long ${how}`, limit, async (t) => {
    let oid = 800_000;
    const ofType = (number) => Buffer.from([0, 0, 0, 4, number >> 24, (number >> 16) & 255, (number >> 8) & 255, number & 255]);
    const text = (value) => Buffer.concat([Buffer.from([0, 0, 0, value.length]), Buffer.from(value)]);
    // name, kind, element, subtype of a range, type under a domain, schema, table: each is a domain over the next one.
    const domain = () => message("D", Buffer.concat([two(7), text(`t${oid}`), text("b"), ofType(0), Buffer.alloc(4, 255), ofType(oid += 1), text("public"), ofType(0)]));
    const hostile = await startHostile(Number(new URL(database.url).port), ({ type, bytes, sql }) => {
      if (/pg_type/.test(sql) && type === "C") return [domain(), message("C", Buffer.from("SELECT 1\0"))];
      return [type === "T" && sql.includes("auth_user") ? withType(bytes, oid += 1) : bytes];
    });
    t.after(() => hostile.stop());
    const url = new URL(database.url);
    url.port = String(hostile.port);
    const { adapter } = openAdapter(t, url.href, { max: 1, query_timeout: 5, ...options });
    for (let times = 0; times < 3; times += 1) {
      const [{ value, reason }] = await within(30, "the call settles", Promise.allSettled([adapter.getUser("u1")]));
      // The driver asks for a type behind the rows: where these come in many pieces it is not answered.
      assert.ok(["INVALID_ANSWER", "QUERY_TIMEOUT"].includes(reason?.code) || value?.username === "name1", reason);
    }
    hostile.becomeHonest();
    assert.equal((await within(30, "the call settles", adapter.getUser("u1"))).username, "name1");
  });
}

// The driver reads nothing more from the socket while an answer of more than two pieces waits to be taken.
test("a proxy that passes each message on by itself holds nothing up", limit, async (t) => {
  const proxy = await startHostile(Number(new URL(database.url).port), ({ bytes }) => [bytes]);
  t.after(() => proxy.stop());
  const url = new URL(database.url);
  url.port = String(proxy.port);
  for (let times = 0; times < 20; times += 1) {
    const { adapter } = openAdapter(t, url.href, { max: 2 });
    const found = await within(4, "the calls settle", Promise.all(["u1", "u2", "u1"].map((id) => adapter.getUser(id))));
    assert.deepEqual(found.map(({ username }) => username), ["name1", "name2", "name1"]);
  }
});

describe("the first question of a connection answered", () => {
  const values = (bytes, change) => {
    const changed = Buffer.from(bytes);
    for (let at = 7; at < changed.length;) {
      const length = changed.readInt32BE(at);
      change(changed, at + 4, Math.max(length, 0));
      at += 4 + Math.max(length, 0);
    }
    return changed;
  };
  const answers = {
    "with fewer columns than were asked for": ({ type, bytes }) => (positionAlone[type] ?? bytes),
    "in bytes that are no UTF-8": ({ type, bytes }) => (type === "D" ? values(bytes, (changed, at, length) => changed.fill(0xff, at, at + length)) : bytes),
  };
  for (const [how, change] of Object.entries(answers)) {
    test(`${how} is an INVALID_ANSWER at once, with host and port`, limit, async (t) => {
      let isAnswered = false;
      const hostile = await startHostile(Number(new URL(database.url).port), (said) => {
        if (said.index === 0) isAnswered = false;
        const instead = isAnswered ? said.bytes : change(said);
        isAnswered ||= said.type === "C";
        return [instead];
      });
      t.after(() => hostile.stop());
      const url = new URL(database.url);
      url.port = String(hostile.port);
      const { adapter } = openAdapter(t, url.href, { max: 1 });
      const found = await within(5, "the call rejects", adapter.getUser("u1").catch(({ code, address, port }) => ({ code, address, port })));
      assert.deepEqual(found, { code: "INVALID_ANSWER", address: "127.0.0.1", port: hostile.port });
      hostile.becomeHonest();
      assert.equal((await within(10, "the call settles", adapter.getUser("u1"))).username, "name1");
    });
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
