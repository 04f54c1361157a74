// Several hosts, with a real primary and a streaming standby: which one is taken, and what happens when that one is gone.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";

import { LuciaError } from "lucia";
import connect from "postgres";

import { postgres } from "../index.js";
import { freePort } from "../tools/server.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { caughtUp, startPair } from "./support/standby.mjs";
import { createWhoami, whoami, whoamiAdapter } from "./support/whoami.mjs";

let primary;
let standby;
let onPrimary;
let onStandby;
let deadPort;

before(async () => {
  ({ primary, standby } = await startPair(async (server) => {
    const sql = connect(server.url(), { max: 1, onnotice: () => {} });
    await createTables(sql);
    await createWhoami(sql);
    await sql`INSERT INTO auth_user (id, username) VALUES ('one', 'first')`;
    await sql.unsafe(`
      CREATE ROLE reader LOGIN PASSWORD 'secret';
      ALTER ROLE reader SET default_transaction_read_only = on;
    `);
    await sql.end();
  }));
  deadPort = await freePort();
  onPrimary = connect(primary.url(), { max: 1, onnotice: () => {} });
  onStandby = connect(standby.url(), { max: 1, onnotice: () => {} });
  await caughtUp(onPrimary, onStandby);
});

after(async () => {
  await onPrimary?.end({ timeout: 1 });
  await onStandby?.end({ timeout: 1 });
  await standby?.stop();
  await primary?.stop();
});

/** A connection string for `hosts`, each a server or a port. */
function url(hosts, attributes, login = "postgres:postgres") {
  const list = hosts.map((host) => `127.0.0.1:${host.port ?? host}`).join(",");
  return `postgres://${login}@${list}/postgres${attributes ? `?target_session_attrs=${attributes}` : ""}`;
}

const options = { connect_timeout: 10 };

describe("of a primary and a standby", () => {
  const name = { primary: () => primary, standby: () => standby };
  const wanted = [
    ["nothing", ["primary", "standby"], "primary"],
    ["nothing", ["standby", "primary"], "standby"],
    ["any", ["primary", "standby"], "primary"],
    ["any", ["standby", "primary"], "standby"],
    ["read-write", ["primary", "standby"], "primary"],
    ["read-write", ["standby", "primary"], "primary"],
    ["read-only", ["primary", "standby"], "standby"],
    ["read-only", ["standby", "primary"], "standby"],
    ["primary", ["primary", "standby"], "primary"],
    ["primary", ["standby", "primary"], "primary"],
    ["standby", ["primary", "standby"], "standby"],
    ["standby", ["standby", "primary"], "standby"],
    ["prefer-standby", ["primary", "standby"], "standby"],
    ["prefer-standby", ["standby", "primary"], "standby"],
  ];
  for (const [attributes, order, expected] of wanted) {
    const asked = attributes === "nothing" ? undefined : attributes;
    test(`${attributes} takes the ${expected} when the ${order[0]} is named first`, async () => {
      const answer = await whoami(url(order.map((each) => name[each]()), asked), options);
      assert.deepEqual([answer.port, answer.in_recovery], [name[expected]().port, expected === "standby"]);
    });
  }

  test("the option says the same as the connection string, and wins", async () => {
    const login = { host: ["127.0.0.1", "127.0.0.1"], username: "postgres", password: "postgres", database: "postgres" };
    const port = [primary.port, standby.port];
    assert.equal((await whoami({ ...login, port, target_session_attrs: "standby" })).port, standby.port);
    assert.equal((await whoami(url([standby, primary], "any"), { target_session_attrs: "primary" })).port, primary.port);
  });

  test("load_balance_hosts=random spreads connections over the hosts, and without it the first takes all", async () => {
    const ports = async (url_, settings) => {
      const found = new Set();
      for (let connection = 0; connection < 40; connection += 1) found.add((await whoami(url_, { ...options, ...settings })).port);
      return [...found].sort();
    };
    const both = [primary.port, standby.port].sort();
    assert.deepEqual(await ports(`${url([primary, standby])}?load_balance_hosts=random`), both);
    assert.deepEqual(await ports(url([primary, standby]), { load_balance_hosts: "random" }), both);
    assert.deepEqual(await ports(`${url([primary, standby])}?load_balance_hosts=random`, { load_balance_hosts: "disable" }), [primary.port]);
    assert.deepEqual(await ports(url([primary, standby])), [primary.port]);
    assert.deepEqual(await ports(url([primary, standby], "standby"), { load_balance_hosts: "random" }), [standby.port]);
  });

  test("an instance of `postgres` brings its hosts and its wish", async () => {
    const sql = connect(url([primary, standby]), { target_session_attrs: "standby", onnotice: () => {} });
    assert.equal((await whoami(sql)).port, standby.port);
  });

  test("every one of many connections goes to the right one", async () => {
    const { whoami: ask, end } = whoamiAdapter(url([primary, standby], "read-only"), { max: 5 });
    const answers = await Promise.all(Array.from({ length: 100 }, ask));
    assert.deepEqual([...new Set(answers.map(({ port }) => port))], [standby.port]);
    await end();
  });

  test("a primary whose sessions may not write is no host for read-write, but one for primary and read-only", async () => {
    const asked = (attributes, hosts) => whoami(url(hosts, attributes, "reader:secret"), options);
    assert.equal((await asked("primary", [standby, primary])).port, primary.port);
    assert.equal((await asked("read-only", [primary, standby])).port, primary.port);
    await assert.rejects(asked("read-write", [primary, standby]), /read-write/);
  });

  test("a host that is down is passed over", async () => {
    assert.equal((await whoami(url([deadPort, standby, primary], "read-write"), options)).port, primary.port);
    assert.equal((await whoami(url([deadPort, primary, deadPort, standby], "standby"), options)).port, standby.port);
    assert.equal((await whoami(url([deadPort, primary]), options)).port, primary.port);
  });

  test("a host that is silent is passed over when connect_timeout has passed", async (t) => {
    const sockets = new Set();
    const silent = createServer((socket) => sockets.add(socket.on("error", () => {}))).listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const place = { port: silent.address().port };
    const impatient = { connect_timeout: 1 };
    assert.equal((await whoami(url([place, primary]), impatient)).port, primary.port);
    assert.equal((await whoami(url([place, place, primary], "read-write"), impatient)).port, primary.port);
    assert.equal((await whoami(url([place, primary], "prefer-standby"), impatient)).port, primary.port);
  });

  test("a host that was silent is tried last for a minute", async (t) => {
    let attempts = 0;
    const sockets = new Set();
    const silent = createServer((socket) => {
      attempts++;
      sockets.add(socket.on("error", () => {}));
    }).listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { whoami: ask, end } = whoamiAdapter(url([{ port: silent.address().port }, primary]), { connect_timeout: 1, max: 1 });
    t.after(() => end());
    const { pid } = await ask();
    assert.equal(attempts, 1);
    await onPrimary`SELECT pg_terminate_backend(${pid})`;
    await eventually(10, "the connection was replaced", async () => (await ask()).pid !== pid);
    assert.equal(attempts, 1);
  });

  test("prefer-standby takes the primary when there is no standby", async () => {
    assert.equal((await whoami(url([deadPort, primary], "prefer-standby"), options)).port, primary.port);
    assert.equal((await whoami(url([primary], "prefer-standby"), options)).port, primary.port);
  });

  for (const [attributes, host] of [["standby", () => primary], ["read-only", () => primary], ["primary", () => standby]]) {
    test(`${attributes} is an error when only the other is there`, async () => {
      await assert.rejects(whoami(url([host(), deadPort], attributes), { connect_timeout: 2 }), (error) => (
        error.message.includes(attributes) && error.message.includes(`${host().port}`) && typeof error.code === "string"
      ));
    });
  }

  test("a wish that does not exist is refused", async () => {
    await assert.rejects((async () => whoami(url([primary], "fastest"), options))(), /target_session_attrs.*prefer-standby/s);
  });
});

describe("when a host goes away", () => {
  test("prefer-standby goes on with the primary, and returns", async () => {
    const { whoami: ask, end } = whoamiAdapter(url([primary, standby], "prefer-standby"), { ...options, max: 1, max_lifetime: 1 });
    assert.equal((await ask()).port, standby.port);
    await standby.halt("immediate");
    assert.equal((await ask()).port, primary.port);
    await standby.start();
    await eventually(20, "the standby answers", async () => (await ask()).port === standby.port);
    await end();
  });

  test("a standby that is promoted takes over from the primary, for reads and for writes", async () => {
    const initializer = postgres(url([primary, standby], "read-write"), tableNames, options);
    const adapter = initializer(LuciaError);
    await adapter.setUser({ id: "before", username: "on the primary" }, { id: "key", user_id: "before", hashed_password: null });
    await Promise.all(Array.from({ length: 50 }, () => adapter.getUser("before")));
    await caughtUp(onPrimary, onStandby);

    await primary.halt("immediate");
    // What is called while there is nobody to write to settles, one way or the other.
    const meanwhile = Promise.allSettled([adapter.getUser("before"), adapter.updateUser("before", { username: "meanwhile" })]);
    const [{ promoted }] = await onStandby`SELECT pg_promote(true, 30) AS promoted`;
    assert.equal(promoted, true);
    await within(30, "the calls that were made meanwhile settle", meanwhile);

    const key = { id: "another key", user_id: "after", hashed_password: null };
    await within(20, "a write succeeds", adapter.setUser({ id: "after", username: "on the new primary" }, key));
    const session = { id: "session", user_id: "after", active_expires: 1, idle_expires: 2, country: null };
    await adapter.setSession(session);
    await adapter.updateUser("after", { username: "promoted" });
    const [found, user] = await adapter.getSessionAndUser("session");
    assert.deepEqual([found.id, user.username], ["session", "promoted"]);
    assert.equal((await adapter.getKey("key")).user_id, "before");
    const [{ count }] = await onStandby`SELECT count(*)::int FROM auth_user WHERE id IN ('before', 'after')`;
    assert.equal(count, 2);
    await initializer.end();
  });
});
