// Servers that go away or fall silent, and come back: every call settles, reads survive, no write is lost or done twice.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";

import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { openAdapter } from "./support/adapter.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables } from "./support/database.mjs";
import { connected, limit, noneRejected, onlyUnknown } from "./support/faulty.mjs";
import { Load, NOTHING_WRONG, populate, read } from "./support/load.mjs";
import { seeded } from "./support/random.mjs";

const random = seeded();

describe("a server that stops answering", () => {
  test("rejects a read after query_timeout, and later reads go over new connections", limit, async (t) => {
    const { adapter, proxy } = await connected(t, { max: 1, query_timeout: 1 });
    for (const name of ["getUser", "getSessionAndUser"]) {
      for (const connection of proxy.connections) connection.stall();
      await within(5, "the read rejects", assert.rejects(read(adapter, name, 4), { code: "QUERY_TIMEOUT" }));
      await within(10, "later reads are answered", Promise.all([5, 6, 7].map((n) => read(adapter, name, n))));
    }
  });

  test("rejects a write after query_timeout, and it is not sent again", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1, query_timeout: 1 });
    for (const connection of proxy.connections) connection.stall();
    const { error } = await within(5, "the sign-up rejects", signUps.one(adapter));
    assert.deepEqual([error.code, error.cause?.code], ["OUTCOME_UNKNOWN", "QUERY_TIMEOUT"]);
    await within(10, "the next read is answered", read(adapter, "getUser", 7));
    assert.equal((await audit()).sentTwice, 0);
  });

  test("and accepts nothing new rejects calls after connect_timeout, none of which is done later", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1, connect_timeout: 1 });
    proxy.stall();
    proxy.reset();
    await within(3, "the read rejects", assert.rejects(adapter.getUser("u1"), { code: "CONNECT_TIMEOUT" }));
    const { id, error } = await within(3, "the sign-up rejects", signUps.one(adapter));
    assert.equal(error.code, "CONNECT_TIMEOUT");
    proxy.resume();
    await read(adapter, "getUser", 1);
    assert.equal(await adapter.getUser(id), null);
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  test("or refuses for longer than connect_timeout rejects calls, none of which is done later", limit, async (t) => {
    const { adapter, proxy, signUps, audit } = await connected(t, { max: 1, connect_timeout: 1 });
    await proxy.refuse();
    const reading = assert.rejects(adapter.getUser("u1"), { code: "ECONNREFUSED" });
    await within(3, "the read rejects", reading);
    const { id, error } = await within(3, "the sign-up rejects", signUps.one(adapter));
    assert.equal(error.code, "ECONNREFUSED");
    await proxy.accept();
    await read(adapter, "getUser", 1);
    assert.equal(await adapter.getUser(id), null);
    assert.deepEqual(await audit(), NOTHING_WRONG);
  });

  const onLinux = process.platform === "linux" ? false : "the state of sockets is read from Linux's /proc/net/tcp";
  test("is looked for with TCP keep-alive", { ...limit, skip: onLinux }, async (t) => {
    for (const [seconds, options] of [[60, {}], [600, { keep_alive: 600 }]]) {
      const { proxy } = await connected(t, { max: 1, ...options });
      const port = proxy.port.toString(16).toUpperCase().padStart(4, "0");
      // The adapter's sockets are those whose remote port is the proxy's; state 01 is established, timer 02 keep-alive,
      // which goes off after so many hundredths of a second.
      const timers = () => readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
        .filter(([, , remote, state]) => remote?.endsWith(`:${port}`) && state === "01")
        .map((fields) => fields[5].split(":"));
      await eventually(5, "every socket has a keep-alive timer", () => {
        const found = timers();
        return found.length > 0 && found.every(([kind]) => kind === "02");
      });
      for (const [, left] of timers()) {
        const away = Number.parseInt(left, 16) / 100;
        assert.ok(away > seconds - 20 && away <= seconds + 1, `the next probe is ${away} s away, not ${seconds}`);
      }
    }
  });

});

describe("a server that stops and starts", () => {
  let server;
  let sql;
  before(async () => {
    server = await startServer();
    sql = connect(server.url(), { max: 1, onnotice() {} });
    await createTables(sql);
    await populate(sql);
    await sql.end();
  });
  after(() => server?.stop());

  const stops = [
    ["fast", 0], ["immediate", 0], ["fast", 2], ["immediate", 2],
  ];
  for (const [mode, seconds] of stops) {
    const away = seconds === 0 ? "at once" : `after ${seconds} s`;
    test(`in ${mode} mode and ${away} fails no read, and rejects only what was under way`, limit, async (t) => {
      const { adapter } = openAdapter(t, server.url());
      await read(adapter, "getUser", 1);
      const load = new Load(adapter, random.split());
      t.after(() => load.stop(1));
      await load.more(100);
      t.after(() => server.process ?? server.start());
      await server.halt(mode);
      // How long the server is away; nothing is waited for.
      if (seconds > 0) await pass(seconds * 1000);
      await server.start();
      await load.more(100);
      const counts = await load.stop();
      t.diagnostic(JSON.stringify(counts));
      noneRejected(counts.reads);
      onlyUnknown(counts.signUps, 16);
      sql = connect(server.url(), { max: 1 });
      t.after(() => sql.end());
      assert.deepEqual(await load.signUps.audit(sql), NOTHING_WRONG);
    });
  }
});
