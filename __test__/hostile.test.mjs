// A server, or what sits in its place, that says what PostgreSQL never says. (`network`, `endings` and the Rust tests of `screen` have more.)
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

import { openAdapter } from "./support/adapter.mjs";
import { within } from "./support/bounded.mjs";
import { createTables, freshDatabase } from "./support/database.mjs";
import { startHostile } from "./support/hostile.mjs";
import { message } from "./support/messages.mjs";

/** So that a call which never settles fails its own test only. */
const limit = { timeout: 120_000 };
const INT4 = 23;
const JSON_TYPE = 114;
let database;

before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  await database.sql`INSERT INTO auth_user (id, username) VALUES ('u1', 'name1'), ('u2', 'name2')`;
});
after(() => database?.drop());

/** Of statements about users only; the package's own questions are answered as they should be. */
const ofUsers = (change) => (said) => (/(?:FROM|JOIN) "auth_user"/.test(said.sql) ? change(said) : [said.bytes]);

/** A row description in which the column `username` has another type. */
function withType(bytes, oid) {
  const changed = Buffer.from(bytes);
  const at = changed.indexOf("username\0");
  if (at >= 0) changed.writeUInt32BE(oid, at + "username\0".length + 6);
  return changed;
}

const two = (number) => Buffer.from([number >> 8, number & 255]);
const four = (number) => Buffer.from([0, 0, number >> 8, number & 255]);

/** A row description, or a row, of one column: `position`, an int8. */
const positionAlone = {
  T: message("T", Buffer.concat([two(1), Buffer.from("position\0"), Buffer.alloc(6), Buffer.from([0, 0, 0, 20]), two(8), Buffer.alloc(4, 255), two(0)])),
  D: message("D", Buffer.concat([two(1), Buffer.from([0, 0, 0, 8]), Buffer.alloc(8)])),
};

/** Says something else in place of each message of one type. */
const inPlaceOf = (wanted, change) => ({ type, bytes }) => (type === wanted ? change(bytes) : [bytes]);

const valuesOf = (row) => row.readInt16BE(5);
const rowOf = (count, ...values) => [message("D", Buffer.concat([two(count), ...values]))];
const ofBatch = (row) => valuesOf(row) === 3 && row.readInt32BE(row.length - 12) === 8;

const isRefusal = (error, [code, text]) => error?.code === code && (text instanceof RegExp ? text.test(error.message) : error.message === text);
const cannotBeUsed = (why) => [["INVALID_ANSWER", `the server's answer cannot be used: ${why}`]];
const incomplete = { code: "INVALID_ANSWER", message: "the server does not say that the command is complete" };
const isInvalid = (why) => [["INVALID_ANSWER", why]];
const unexpected = cannotBeUsed("unexpected message from server");
const noRow = cannotBeUsed("error parsing response from server: DataRow field count does not match the number of columns");
const noConnection = ["CONNECT_TIMEOUT", "waited 2 s (connect_timeout) for a connection: all 1 (max) are busy or being opened"];
/** The connection ends with it, and the lookup is done again, for as long as it may wait for a connection. */
const ended = [
  noConnection,
  ["CONNECTION_CLOSED", /^the server sent a message of another type or length than PostgreSQL: "[tG]/],
];
/** The rows are right all the same: the first lookup of a connection is not described, and one that was sent with others is sent alone. */
const right = undefined;

const noJson = (text) => {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error.message;
  }
};

/** What the server says in place of the truth, and what becomes of one call, and of many: code and message, or the right row. */
const lies = {
  "describes a statement without columns": [
    ({ type, bytes }) => ["TD".includes(type) ? message(type, two(0)) : bytes],
    cannotBeUsed("its rows have no columns"),
  ],
  "describes the position of a call alone": [({ type, bytes }) => [positionAlone[type] ?? bytes], cannotBeUsed("its rows have no columns")],
  "describes rows, and none to come": [inPlaceOf("T", () => [message("n", Buffer.alloc(0))]), noRow],
  "leaves the description of the rows out": [inPlaceOf("T", () => []), unexpected],
  "describes 65,535 parameters": [inPlaceOf("t", () => [message("t", Buffer.concat([two(65_535), Buffer.alloc(65_535 * 4, 25)]))]), ended],
  "describes a statement without its parameter": [
    inPlaceOf("t", () => [message("t", two(0))]), right, isInvalid("a statement of 1 parameters is described as one of 0"),
  ],
  "calls a text a number": [
    inPlaceOf("T", (bytes) => [withType(bytes, INT4)]),
    isInvalid('the server\'s bytes for the column "username" are not what its type, int4, allows'),
  ],
  "calls a text JSON that is none": [inPlaceOf("T", (bytes) => [withType(bytes, JSON_TYPE)]), cannotBeUsed(noJson("name1")), [
    ...cannotBeUsed(noJson("name1")), ...cannotBeUsed(noJson("name2")),
  ]],
  "sends fewer values than columns": [inPlaceOf("D", (bytes) => rowOf(1, bytes.subarray(7, 11 + bytes.readInt32BE(7)))), noRow],
  "sends more values than columns": [inPlaceOf("D", (bytes) => rowOf(valuesOf(bytes) + 1, bytes.subarray(7), Buffer.alloc(4, 255))), noRow],
  "sends a row for a call that nobody made": [
    inPlaceOf("D", (bytes) => (ofBatch(bytes) ? rowOf(3, bytes.subarray(7, -4), four(99)) : [bytes])), right, right,
  ],
  "leaves ParseComplete out": [inPlaceOf("1", () => []), right, unexpected],
  "leaves BindComplete out": [inPlaceOf("2", () => []), right, unexpected],
  "leaves CommandComplete out": [inPlaceOf("C", () => []), [[incomplete.code, incomplete.message]]],
  "sends CommandComplete twice": [inPlaceOf("C", (bytes) => [bytes, bytes]), isInvalid("a statement is complete twice")],
  // The second is the answer to the next question; where there is none yet, the connection ends.
  "sends ReadyForQuery twice": [
    inPlaceOf("Z", (bytes) => [bytes, bytes]), right, [...unexpected, noConnection, ["CONNECTION_CLOSED", "the connection was lost"]],
  ],
  "has a tag that is none": [inPlaceOf("C", () => [message("C", Buffer.from("HELLO 1\0"))]), isInvalid("a command is complete that PostgreSQL does not know")],
  "has a tag without an end": [
    inPlaceOf("C", () => [message("C", Buffer.from("SELECT 1"))]),
    cannotBeUsed("error parsing response from server: unexpected EOF"),
  ],
  "is in a transaction that nobody began": [inPlaceOf("Z", () => [message("Z", Buffer.from("T"))]), isInvalid("a transaction is under way that was not begun")],
  "sends an error without fields": [
    inPlaceOf("C", () => [message("E", Buffer.alloc(1))]),
    cannotBeUsed("error parsing response from server: `S` field missing"),
  ],
  "begins a COPY": [inPlaceOf("2", () => [message("G", Buffer.alloc(3))]), ended],
};

describe("an answer that cannot be used is forgotten: a server that", () => {
  for (const [what, [change, one, many = one]] of Object.entries(lies)) {
    for (const [how, ids, refusals] of [["one call", ["u1"], one], ["many calls", ["u1", "u2", "u1"], many]]) {
      const title = refusals ? `fails ${how}, and is believed when it says the truth` : `keeps nothing from ${how}`;
      test(`${what} ${title}`, limit, async (t) => {
        const hostile = await startHostile(Number(new URL(database.url).port), ofUsers(change));
        t.after(() => hostile.stop());
        const url = new URL(database.url);
        url.port = String(hostile.port);
        // A lookup whose connection ends with what PostgreSQL never sends is done again for so long.
        const { adapter } = openAdapter(t, url.href, { max: 1, connect_timeout: 2 });
        const calls = () => Promise.allSettled(ids.map((id) => adapter.getUser(id)));
        const rows = ids.map((id) => ({ id, username: id.replace("u", "name") }));
        const outcomes = await within(20, "the calls settle", calls());
        for (const [at, { value, reason }] of outcomes.entries()) {
          if (refusals) assert.ok(refusals.some((refusal) => isRefusal(reason, refusal)), inspect({ value, reason }));
          else assert.deepEqual({ value, reason }, { value: rows[at], reason: undefined });
        }
        hostile.becomeHonest({ cut: false });
        const found = await within(20, "the calls settle", calls());
        assert.deepEqual(found.map(({ value }) => value), rows);
      });
    }
  }
});

describe("an answer that cannot be decoded is asked for once more at most, and its error names column and type", () => {
  const EXPIRES = 77;
  const whole = Buffer.from([0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, EXPIRES]);
  const short = Buffer.from([0, 0, 0, 3, 0, 0, EXPIRES]);
  /** A row in which the bigint has three bytes. */
  const shortened = (row) => {
    const at = row.indexOf(whole);
    return message("D", Buffer.concat([row.subarray(5, at), short, row.subarray(at + whole.length)]));
  };
  before(() => database.sql`INSERT INTO user_session (id, user_id, active_expires, idle_expires) VALUES ('s1', 'u1', ${EXPIRES}, 2)`);

  for (const [how, options] of [["where statements are prepared", {}], ["with `prepare: false`", { prepare: false }]]) {
    for (const [when, earlier] of [["as the first of its connection", 0], ["when the statement is known", 3]]) {
      test(`${how}, ${when}`, limit, async (t) => {
        let isHostile = false;
        let sent = 0;
        const hostile = await startHostile(Number(new URL(database.url).port), ({ type, bytes, sql }) => {
          if (!isHostile || type !== "D" || !sql.includes('FROM "user_session"')) return [bytes];
          sent += 1;
          return [shortened(bytes)];
        });
        t.after(() => hostile.stop());
        const url = new URL(database.url);
        url.port = String(hostile.port);
        const { adapter } = openAdapter(t, url.href, { max: 1, ...options });
        for (let times = 0; times < earlier; times += 1) assert.equal((await adapter.getSession("s1")).active_expires, EXPIRES);
        isHostile = true;
        const rejected = { code: "INVALID_ANSWER", message: 'the server\'s bytes for the column "active_expires" are not what its type, int8, allows' };
        await within(10, "the call rejects", assert.rejects(adapter.getSession("s1"), rejected));
        assert.ok(sent === 1 || sent === 2, `the row was sent ${sent} times`);
        isHostile = false;
        assert.equal((await within(10, "the call settles", adapter.getSession("s1"))).active_expires, EXPIRES);
      });
    }
  }
});

test("60,000 columns in place of three are believed, and hold up nothing", limit, async (t) => {
  const COLUMNS = 60_000;
  const ofTable = Buffer.from([0, 0, 64, 1, 0, 1]);
  const columns = Buffer.concat(Array.from({ length: COLUMNS }, (_, n) => (
    Buffer.concat([Buffer.from(`c${n}\0`), ofTable, Buffer.from([0, 0, 0, 25]), Buffer.alloc(6, 255), two(0)])
  )));
  const values = Buffer.concat(Array.from({ length: COLUMNS }, () => Buffer.from([0, 0, 0, 1, 0x76])));
  const many = { T: message("T", Buffer.concat([two(COLUMNS), columns])), D: message("D", Buffer.concat([two(COLUMNS), values])) };
  const hostile = await startHostile(Number(new URL(database.url).port), ofUsers(({ type, bytes }) => [many[type] ?? bytes]));
  t.after(() => hostile.stop());
  const url = new URL(database.url);
  url.port = String(hostile.port);
  const { adapter } = openAdapter(t, url.href, { max: 1 });
  for (const ids of [["u1"], ["u1", "u2"]]) {
    for (const row of await within(20, "the calls settle", Promise.all(ids.map((id) => adapter.getUser(id))))) {
      assert.deepEqual([Object.keys(row).length, row.c0, row[`c${COLUMNS - 1}`]], [COLUMNS, "v", "v"]);
    }
  }
  hostile.becomeHonest({ cut: false });
  assert.equal((await within(10, "the call settles", adapter.getUser("u1"))).username, "name1");
});

const withoutEnd = ["INVALID_ANSWER", "the types of the statement lead to other types without end"];
const unanswered = ["QUERY_TIMEOUT", "the server did not answer within query_timeout (5 s)"];
for (const [how, options, refusals] of [
  ["where statements are prepared", {}, [withoutEnd, unanswered]],
  ["with `prepare: false`", { prepare: false }, [withoutEnd]],
]) {
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
      const error = await within(30, "the call rejects", adapter.getUser("u1").then(assert.fail, (reason) => reason));
      // The driver asks for a type behind the rows: where these come in many pieces it is not answered.
      assert.ok(refusals.some((refusal) => isRefusal(error, refusal)), inspect(error));
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
    "with fewer columns than were asked for": [({ type, bytes }) => (positionAlone[type] ?? bytes), "invalid column `1`"],
    "in bytes that are no UTF-8": [
      ({ type, bytes }) => (type === "D" ? values(bytes, (changed, at, length) => changed.fill(0xff, at, at + length)) : bytes),
      "error deserializing column 1: invalid utf-8 sequence of 1 bytes from index 0",
    ],
  };
  for (const [how, [change, why]] of Object.entries(answers)) {
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
      const error = await within(5, "the call rejects", adapter.getUser("u1").then(assert.fail, (reason) => reason));
      const { code, message: text, address, port } = error;
      assert.deepEqual([[code, text]], cannotBeUsed(why));
      assert.deepEqual({ address, port }, { address: "127.0.0.1", port: hostile.port });
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
  await within(20, "the call rejects", assert.rejects(adapter.getUser("u1"), incomplete));
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
