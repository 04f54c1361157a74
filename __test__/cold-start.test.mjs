// From nothing to the first answer: how often the wire is crossed. A flight is a change of direction, two are a round trip.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { openAdapter } from "./support/adapter.mjs";
import { createTables } from "./support/database.mjs";
import { startProxy } from "./support/proxy.mjs";

/** Milliseconds each way: what is sent without waiting for an answer passes in one flight. */
const LATENCY = 15;

let server;
let proxy;

before(async () => {
  server = await startServer({
    hba: `
      host all scram all scram-sha-256
      host all all   all trust
    `,
  });
  const sql = connect(server.url(), { max: 1, onnotice: () => {} });
  await createTables(sql);
  await sql.unsafe(`
    CREATE TYPE role AS ENUM ('admin', 'guest');
    CREATE ROLE scram LOGIN PASSWORD 'secret';
    CREATE SCHEMA varied;
    CREATE TABLE varied.auth_user (
      id TEXT PRIMARY KEY, balance NUMERIC(10, 2), tags TEXT[], prices NUMERIC[], settings JSONB, born DATE
    );
    CREATE TABLE varied.user_session (
      id TEXT PRIMARY KEY, user_id TEXT REFERENCES varied.auth_user(id), active_expires BIGINT, idle_expires BIGINT, seen TIMESTAMPTZ
    );
    CREATE SCHEMA typed;
    CREATE TABLE typed.user_key (id TEXT PRIMARY KEY, user_id TEXT, hashed_password TEXT, role role, note TEXT);
    INSERT INTO typed.user_key SELECT 'k' || n, 'u', NULL, 'guest', repeat('x', 100) FROM generate_series(1, 3000) n;
    INSERT INTO auth_user VALUES ('u', 'name');
    INSERT INTO user_session VALUES ('s', 'u', 1, 2, 'NL');
    INSERT INTO varied.auth_user VALUES ('u', 12.50, '{a,b}', '{1.10}', '{}', '2000-01-01');
    INSERT INTO varied.user_session VALUES ('s', 'u', 1, 2, now());
    GRANT ALL ON ALL TABLES IN SCHEMA public TO scram;
  `);
  await sql.end();
  proxy = await startProxy(server.url());
  proxy.latency = () => LATENCY;
});

after(async () => {
  await proxy?.stop();
  await server?.stop();
});

// With one connection: another is opened beside one that takes longer than 250 ms.
const PLAIN = { user: "auth_user", key: "user_key", session: "user_session" };
const VARIED = { user: "varied.auth_user", key: "user_key", session: "varied.user_session" };

/** The flights of all connections that `calls` takes. */
async function flightsOf(calls) {
  const connections = [];
  const keep = (connection) => connections.push(connection);
  proxy.on("connection", keep);
  await calls();
  proxy.off("connection", keep);
  return connections.map(({ flights }) => flights);
}

describe("from nothing to the first session", () => {
  for (const [what, tables] of [["plain columns", PLAIN], ["a numeric, a date, a document and arrays among the columns", VARIED]]) {
    test(`four flights pass, with ${what}`, async (t) => {
      const { adapter } = openAdapter(t, proxy.url(server.url()), { max: 1 }, tables);
      const flights = await flightsOf(async () => {
        const [session, user] = await adapter.getSessionAndUser("s");
        assert.deepEqual([session.id, user.id], ["s", "u"]);
      });
      assert.deepEqual(flights, [4]);
    });
  }

  // The driver asks the server for such a type; the rows, more than one message of the socket, must not stand before the answer.
  test("many rows are read that have a column of a type which is not built in, on every connection", async (t) => {
    const { adapter } = openAdapter(t, server.url(), { max: 3, query_timeout: 10 }, { ...PLAIN, key: "typed.user_key" });
    for (let times = 0; times < 2; times += 1) {
      const lists = await Promise.all(Array.from({ length: 3 }, () => adapter.getKeysByUserId("u")));
      for (const keys of lists) assert.deepEqual([keys.length, keys[0].role], [3000, "guest"]);
    }
  });

  test("SCRAM adds four", async (t) => {
    const url = new URL(proxy.url(server.url()));
    url.username = "scram";
    url.password = "secret";
    const { adapter } = openAdapter(t, url.href, { max: 1 }, PLAIN);
    const flights = await flightsOf(async () => assert.equal((await adapter.getSessionAndUser("s"))[0].id, "s"));
    assert.deepEqual(flights, [8]);
  });
});
