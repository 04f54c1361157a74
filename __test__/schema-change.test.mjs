// The schema changes under a live adapter: the next call answers for the new schema, without a restart. What is expected
// comes from a reference that connects after every change, since it learns the array types only when it connects.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { difference, noComplaints } from "./support/compare.mjs";
import { freshDatabase } from "./support/database.mjs";
import { openBoth, readings, refusal, settled } from "./support/reference.mjs";

const names = { user: "auth_user", key: "user_key", session: "user_session" };
const tables = Object.values(names);

const created = {
  auth_user: (columns) => `CREATE TABLE auth_user (id TEXT PRIMARY KEY, ${columns})`,
  user_key: (columns) =>
    `CREATE TABLE user_key (id TEXT PRIMARY KEY, user_id TEXT, hashed_password TEXT, ${columns})`,
  user_session: (columns) => {
    return `CREATE TABLE user_session
      (id TEXT PRIMARY KEY, user_id TEXT, active_expires INT8, idle_expires INT8, ${columns})`;
  },
};

/** Creates a table with two rows, `1` and `2`. */
const createFilled = (table, columns, values) => {
  const own = { auth_user: "", user_key: ", id, 'hash'", user_session: ", id, 1, 2" }[table];
  return `${created[table](columns)};
    INSERT INTO ${table} SELECT id ${own}${values ? `, ${values}` : ""} FROM unnest(ARRAY['1', '2']) AS id`;
};

/** A database with the three tables, and one adapter of ours that lives as long as it. */
async function openLive(columns, values) {
  const database = await freshDatabase();
  await database.sql.unsafe(tables.map((table) => createFilled(table, columns, values)).join(";"));
  const live = openBoth(database.url, names, { max: 2 });
  return {
    ...database,
    ours: live.ours,
    // Statements sent together are one transaction.
    async change(statement) {
      for (const table of tables) await database.sql.unsafe(statement(table));
    },
    async reference() {
      const fresh = openBoth(database.url, names, { max: 2 });
      return { adapter: fresh.reference, end: fresh.end };
    },
    async drop() {
      await live.end();
      await database.drop();
    },
  };
}

/** The value, or the refusal in words. */
function outcome({ value, error }) {
  if (error === undefined) return value;
  return `refused with ${refusal(error)}${error.constructor === Error ? `: ${error.message}` : ""}`;
}

const retyped = (column, type, value) => (table) => {
  return `ALTER TABLE ${table} ALTER ${column} DROP DEFAULT, ALTER ${column} TYPE ${type} USING ${value}`;
};

/** Every reading of the rows and of a missing one: many at a time, so that lookups share statements, then alone. */
async function compareReadings(live, moment) {
  const { adapter, end } = await live.reference();
  const calls = Object.keys(readings).flatMap((method) => ["1", "2", "3"].map((id) => ({ method, id })));
  const expected = [];
  for (const { method, id } of calls) expected.push(outcome(await settled(readings[method](adapter, id))));
  await end();

  const complaint = (mine, index) => {
    const { method, id } = calls[index % calls.length];
    return difference(outcome(mine), expected[index % calls.length], `${moment}: ${method}(${id})`);
  };
  const together = await Promise.all(
    [...calls, ...calls, ...calls].map(({ method, id }) => settled(readings[method](live.ours, id))),
  );
  const alone = [];
  for (const { method, id } of calls) alone.push(await settled(readings[method](live.ours, id)));
  noComplaints([...together, ...alone].map(complaint));
}

/** The changes of a table's life, each on the table that the one before left. */
const changes = {
  "a column is added": (table) => `ALTER TABLE ${table} ADD number INT4 DEFAULT 1`,
  "a column of a type that is sent as text is added": (table) =>
    `ALTER TABLE ${table} ADD span INTERVAL DEFAULT '1 day'`,
  "one more column is added beside it": (table) => `ALTER TABLE ${table} ADD late DATE DEFAULT '2024-02-29'`,
  "a column is renamed": (table) => `ALTER TABLE ${table} RENAME number TO digits`,
  "the column that is sent as text is renamed": (table) => `ALTER TABLE ${table} RENAME span TO period`,
  "two columns swap their names": (table) => `ALTER TABLE ${table} RENAME digits TO swapped;
    ALTER TABLE ${table} RENAME late TO digits; ALTER TABLE ${table} RENAME swapped TO late`,
  "an integer becomes text": (table) => `ALTER TABLE ${table} ALTER late TYPE TEXT`,
  "an interval becomes text": (table) => `ALTER TABLE ${table} ALTER period TYPE TEXT`,
  "text becomes jsonb": retyped("period", "JSONB", '\'{"b": [1], "a": null}\''),
  "jsonb becomes an interval": retyped("period", "INTERVAL", "'2 hours'"),
  "an interval becomes an integer": retyped("period", "INT4", "5"),
  "an integer becomes an inet": retyped("period", "INET", "'10.0.0.1'"),
  "an inet becomes a timestamp": retyped("period", "TIMESTAMP", "'2024-02-29 12:00'"),
  "a timestamp becomes an array": retyped("period", "TEXT[]", "'{a,\"b c\"}'"),
  "an array becomes an array of another type": retyped("period", "INT4[]", "'{1,2}'"),
  "an array becomes char": retyped("period", "CHAR(5)", "'ab'"),
  "char becomes varchar": (table) => `ALTER TABLE ${table} ALTER period TYPE VARCHAR(3)`,
  "a column is dropped": (table) => `ALTER TABLE ${table} DROP late`,
  "a dropped column returns at the end, as another type": (table) =>
    `ALTER TABLE ${table} DROP digits; ALTER TABLE ${table} ADD digits BOOL DEFAULT true`,
  "the column that is sent as text is dropped": (table) =>
    `ALTER TABLE ${table} ADD span CIDR DEFAULT '10.0.0.0/8', DROP period`,
  "no attribute is left": (table) => `ALTER TABLE ${table} DROP span, DROP digits`,
  "the table is dropped and made again with attributes": (table) =>
    `DROP TABLE ${table}; ${createFilled(table, "a INT4, b TEXT", "1, 'b'")}`,
  "the table is made again in another order": (table) =>
    `DROP TABLE ${table}; ${createFilled(table, "b TEXT, a INT4", "'b', 1")}`,
  "the table is made again with other types": (table) =>
    `DROP TABLE ${table}; ${createFilled(table, "b MONEY, a BYTEA", "2, '\\x00'")}`,
  "the table gives way to another of its name": (table) => `ALTER TABLE ${table} RENAME TO former_${table};
    ${createFilled(table, "b FLOAT4, c UUID", "1.1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'")}`,
  "the former table returns": (table) => `DROP TABLE ${table}; ALTER TABLE former_${table} RENAME TO ${table}`,
  "a view takes the table's place": (table) => `ALTER TABLE ${table} RENAME TO stored_${table};
    CREATE VIEW ${table} AS SELECT *, 'from the view'::text AS source, interval '1 day' AS period FROM stored_${table}`,
  "the view is replaced": (table) => `CREATE OR REPLACE VIEW ${table} AS
    SELECT *, 'still'::text AS source, interval '2 days' AS period, 1.50 AS price FROM stored_${table}`,
  "the table takes its place back": (table) => `DROP VIEW ${table}; ALTER TABLE stored_${table} RENAME TO ${table}`,
  "the primary key becomes varchar": (table) => `ALTER TABLE ${table} ALTER id TYPE VARCHAR(20)`,
  "the primary key becomes an integer": (table) =>
    `ALTER TABLE ${table} ALTER id TYPE INT8 USING id::int8${
      table === "auth_user" ? "" : `, ALTER user_id TYPE INT8 USING user_id::int8`
    }`,
  "the primary key becomes text again": (table) =>
    `ALTER TABLE ${table} ALTER id TYPE TEXT${table === "auth_user" ? "" : `, ALTER user_id TYPE TEXT`}`,
  "the expiry becomes a timestamp": (table) =>
    table === "user_session"
      ? `ALTER TABLE ${table} ALTER active_expires TYPE TIMESTAMPTZ USING '2024-01-01 00:00+00'::timestamptz`
      : `ALTER TABLE ${table} ADD active_expires INT8 DEFAULT 9007199254740993`,
  "the expiry becomes numeric": (table) => `ALTER TABLE ${table} ALTER active_expires TYPE NUMERIC USING 12.5`,
  "the table is gone": (table) => `ALTER TABLE ${table} RENAME TO gone_${table}`,
  "the table is back": (table) => `ALTER TABLE gone_${table} RENAME TO ${table}`,
};

describe("reading", () => {
  let live;

  before(async () => {
    live = await openLive("username TEXT", "'name'");
  });
  after(() => live?.drop());

  test("answers for the first schema", () => compareReadings(live, "at first"));
  for (const [moment, statement] of Object.entries(changes)) {
    test(`answers for the new schema when ${moment}`, async () => {
      await live.change(statement);
      await compareReadings(live, moment);
    });
  }

  test("answers for types that change or come new", async () => {
    const { sql } = live;
    const each = (statement) => tables.map((table) => `ALTER TABLE ${table} ${statement}`).join(";");
    const moments = {
      "an enum comes new": "CREATE TYPE mood AS ENUM ('sad', 'ok')",
      "a column of it is added": each("ADD mood mood DEFAULT 'ok', ADD moods mood[] DEFAULT '{sad,ok}'"),
      "a label is renamed": "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
      "a label is added": "ALTER TYPE mood ADD VALUE 'great' BEFORE 'sad'",
      "the new label is stored": tables
        .map((table) => `UPDATE ${table} SET mood = 'great', moods = '{great,fine}'`)
        .join(";"),
      "the type is renamed": "ALTER TYPE mood RENAME TO feeling",
      "another type takes its place": `DROP TYPE feeling CASCADE; CREATE TYPE mood AS ENUM ('bad', 'good');
        ${each("ADD mood mood DEFAULT 'good', ADD moods mood[] DEFAULT '{bad}'")}`,
      "a domain comes new": `CREATE DOMAIN score AS INT4; ${each("ADD score score DEFAULT 5")}`,
      "another domain takes its place": `DROP DOMAIN score CASCADE; CREATE DOMAIN score AS JSONB;
        ${each(`ADD score score DEFAULT '{"a": 1}'`)}`,
      "a composite comes new": `CREATE TYPE place AS (street TEXT); ${each("ADD place place DEFAULT ROW('a')")}`,
      "the composite gains a field": "ALTER TYPE place ADD ATTRIBUTE number INT4",
    };
    for (const [moment, statement] of Object.entries(moments)) {
      await sql.unsafe(statement);
      await compareReadings(live, moment);
    }
  });
});

describe("writing", () => {
  const types = ["text", "varchar(5)", "int4", "bool", "jsonb", "bytea", "timestamptz", "text[]", "uuid", "interval"];
  const values = {
    "a word": () => "hello",
    "a date": () => "2024-02-29",
    "a number": () => 5,
    true: () => true,
    "an object": () => ({ a: [1] }),
    bytes: () => Buffer.from("bytes"),
    "an array": () => ["a", "b"],
    "a Date": () => new Date(0),
    null: () => null,
    "a uuid": () => "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
  };
  const writings = {
    setUser: (adapter, id, attributes) => adapter.setUser({ id, ...attributes }, null),
    updateUser: (adapter, id, attributes) => adapter.updateUser("1", attributes),
    setSession: (adapter, id, attributes) =>
      adapter.setSession({ id, user_id: "1", active_expires: 1, idle_expires: 2, ...attributes }),
    setKey: (adapter, id, attributes) => adapter.setKey({ id, user_id: "1", hashed_password: null, ...attributes }),
  };
  let live;
  let reference;

  before(async () => {
    live = await openLive("changing TEXT", "NULL");
    reference = await live.reference();
  });
  after(async () => {
    await reference?.end();
    await live?.drop();
  });

  /** What each method does with each value now: the text that it stores, or how it refuses. */
  async function written(adapter) {
    const { sql } = live;
    const done = {};
    for (const [method, write] of Object.entries(writings)) {
      for (const [label, make] of Object.entries(values)) {
        const { error } = await settled(write(adapter, "new", { changing: make() }));
        const table = { setSession: "user_session", setKey: "user_key" }[method] ?? "auth_user";
        const [row] = await sql.unsafe(
          method === "updateUser"
            ? "SELECT changing::text AS text FROM auth_user WHERE id = '1'"
            : `DELETE FROM ${table} WHERE id = 'new' RETURNING changing::text AS text`,
        );
        done[`${method}, ${label}`] = error ? `refused with ${refusal(error)}` : `stored as ${row?.text}`;
      }
    }
    return done;
  }

  for (const to of types) {
    test(`serialises for ${to} from the moment that a column becomes it`, async () => {
      const complaints = [];
      const become = (type) => live.change((table) => `ALTER TABLE ${table} ALTER changing TYPE ${type} USING NULL`);
      await become(to);
      const expected = await written(reference.adapter);
      for (const from of types.filter((type) => type !== to)) {
        await become(from);
        await written(live.ours);
        await become(to);
        const found = await written(live.ours);
        // Where the reference fails in Buffer, any refusal will do.
        const same = ([call, stored]) =>
          stored === found[call] || (stored === "refused with TypeError" && found[call].startsWith("refused"));
        complaints.push(
          ...Object.entries(expected)
            .filter((each) => !same(each))
            .map(([call, stored]) => `${call}, ${from} before: ${found[call]}, expected ${stored}`),
        );
      }
      noComplaints(complaints);
    });
  }

  test("a call for a column that is not there is refused, and accepted once the column is there", async () => {
    for (const [method, write] of Object.entries(writings)) {
      const { error } = await settled(write(live.ours, `early ${method}`, { promised: 1 }));
      assert.equal(error?.code, "42703", method);
    }
    await live.change((table) => `ALTER TABLE ${table} ADD promised INT4`);
    for (const [method, write] of Object.entries(writings))
      await write(live.ours, `early ${method}`, { promised: 1 });
    await live.change((table) => `ALTER TABLE ${table} DROP promised`);
    for (const [method, write] of Object.entries(writings)) {
      const { error } = await settled(write(live.ours, `late ${method}`, { promised: 1 }));
      assert.equal(error?.code, "42703", method);
    }
  });

  test("goes into the table that bears the name now", async () => {
    const { sql } = live;
    for (let round = 0; round < 2; round++) {
      await live.change((table) => `DROP TABLE ${table}; ${createFilled(table, "changing TEXT", "NULL")}`);
      await live.ours.setUser(
        { id: "new", changing: "user" },
        { id: "first", user_id: "new", hashed_password: null, changing: "key" },
      );
      await live.ours.setKey({ id: "second", user_id: "new", hashed_password: null, changing: "key" });
      await live.ours.setSession({
        id: "new",
        user_id: "new",
        active_expires: 1,
        idle_expires: 2,
        changing: "session",
      });
      await live.ours.updateUser("1", { changing: "changed" });
      await live.ours.deleteKey("1");
      await live.ours.deleteSession("1");
      const stored = await sql`
        SELECT 'user ' || id AS id, changing FROM auth_user UNION ALL SELECT 'key ' || id, changing FROM user_key
        UNION ALL SELECT 'session ' || id, changing FROM user_session ORDER BY id`;
      assert.deepEqual(
        stored.map(({ id, changing }) => `${id}: ${changing}`),
        [
          "key 2: null", "key first: key", "key second: key", "session 2: null", "session new: session",
          "user 1: changed", "user 2: null", "user new: user",
        ],
      );
    }
  });
});

describe("under load", () => {
  const permanent = ["id", "user_id", "active_expires", "idle_expires", "hashed_password", "writes"];
  let live;

  before(async () => {
    live = await openLive("writes TEXT", "NULL");
  });
  after(() => live?.drop());

  /** Changes of one table, each with the attributes that a reader sees from then on. */
  const steps = (table) => [
    [`ALTER TABLE ${table} ADD added INT4 DEFAULT 1`, { added: 1 }],
    [`ALTER TABLE ${table} RENAME added TO renamed`, { renamed: 1 }],
    [retyped("renamed", "TEXT", "'text'")(table), { renamed: "text" }],
    [retyped("renamed", "INTERVAL", "'1 day'")(table), { renamed: "1 day" }],
    [retyped("renamed", "INT4", "7")(table), { renamed: 7 }],
    [`ALTER TABLE ${table} ADD more INET DEFAULT '10.0.0.1'`, { renamed: 7, more: "10.0.0.1" }],
    [`ALTER TABLE ${table} DROP renamed`, { more: "10.0.0.1" }],
    [retyped("more", "JSONB", "'[1]'")(table), { more: [1] }],
    [`DROP TABLE ${table}; ${createFilled(table, "more BOOL, writes TEXT", "true, NULL")}`, { more: true }],
    [`DROP TABLE ${table}; ${createFilled(table, "writes TEXT", "NULL")}`, {}],
  ];

  for (const table of tables) {
    test(`no call fails, and every answer is of a schema that was there, while ${table} changes`, async () => {
      const { sql, ours } = live;
      const plan = steps(table);
      // The attributes of every version of the table; a call may see any from the last finished to the last begun.
      const versions = [{}, ...plan.map(([, attributes]) => attributes)];
      let begun = 0;
      let finished = 0;
      let calls = 0;
      let stop = false;
      const complaints = [];
      const waiting = [];

      const rowOf = {
        auth_user: async (id) => {
          const [alone, [, joined]] = await Promise.all([ours.getUser(id), ours.getSessionAndUser(id)]);
          return [alone, joined];
        },
        user_session: async (id) => {
          const [alone, [listed], [joined]] = await Promise.all([
            ours.getSession(id),
            ours.getSessionsByUserId(id),
            ours.getSessionAndUser(id),
          ]);
          return [alone, listed, joined];
        },
        user_key: async (id) => {
          const [alone, [listed]] = await Promise.all([ours.getKey(id), ours.getKeysByUserId(id)]);
          return [alone, listed];
        },
      }[table];
      const write = {
        auth_user: (text) => ours.updateUser("2", { writes: text }),
        user_session: (text) => ours.updateSession("2", { writes: text }),
        user_key: (text) => ours.updateKey("2", { writes: text }),
      }[table];

      const repeat = async (call) => {
        while (!stop) {
          const from = finished;
          const { value, error } = await settled(call());
          if (error) complaints.push(`version ${from} to ${begun}: ${error.code} ${error.message}`);
          else call.check?.(value, from, begun);
          calls += 1;
          for (const each of waiting.filter(({ count }) => count <= calls)) {
            waiting.splice(waiting.indexOf(each), 1);
            each.resolve();
          }
        }
      };
      const reader = Object.assign(() => rowOf("1"), {
        check(rows, from, to) {
          for (const row of rows) {
            const attributes = Object.fromEntries(
              Object.entries(row ?? {}).filter(([name]) => !permanent.includes(name)),
            );
            const isKnown = versions
              .slice(from, to + 1)
              .some((expected) => difference(attributes, expected) === undefined);
            if (!isKnown || row?.id !== "1") complaints.push(`version ${from} to ${to}: ${JSON.stringify(row)}`);
          }
        },
      });
      let number = 0;
      const writer = () => write(`write ${number++}`);
      const moreCalls = (count) =>
        new Promise((resolve) => {
          waiting.push({ count: calls + count, resolve });
        });

      const loops = [reader, reader, reader, reader, reader, reader, writer, writer].map(repeat);
      try {
        for (const [statement] of plan) {
          await moreCalls(40);
          begun += 1;
          await sql.unsafe(statement);
          finished += 1;
        }
        await moreCalls(40);
      } finally {
        stop = true;
        await Promise.all(loops);
      }
      noComplaints(complaints);
    });
  }
});
