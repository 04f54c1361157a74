// Whose `Object`, `Date`, `Promise` and `Error`; in whose context functions are called; what is collected.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { after, before, describe, test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { within } from "./support/bounded.mjs";
import { runChild } from "./support/child.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";
import { loadInRealm } from "./support/realm.mjs";

let database;

before(async () => {
  database = await freshDatabase();
  const { sql } = database;
  await createTables(sql);
  await sql`ALTER TABLE auth_user ADD born TIMESTAMPTZ, ADD meta JSONB, ADD tags TEXT[], ADD dates DATE[], ADD points POINT[]`;
  await sql`INSERT INTO auth_user (id, born, meta, tags, dates, points)
    VALUES ('u1', now(), '{"a": [1]}', '{{a,NULL}}', '{2020-01-02}', '{"(1,2)"}')`;
  await sql`INSERT INTO auth_user (id) SELECT 'other' || n FROM generate_series(1, 3) n`;
});
after(() => database?.drop());

describe("in a realm of its own, as in jest and in vitest's vm pools,", () => {
  let realm;
  let initializer;
  let adapter;
  before(() => {
    realm = loadInRealm();
    initializer = realm.postgres(database.url, realm.evaluate(JSON.stringify(tableNames)));
    adapter = initializer(LuciaError);
  });
  after(() => initializer.end());
  const isOf = (value, kind) => assert.ok(value instanceof realm.evaluate(kind), `it is no ${kind} of the realm`);

  test("promises, rows, dates, arrays and parsed JSON are of that realm", async () => {
    const promise = adapter.getUser("u1");
    isOf(promise, "Promise");
    const user = await promise;
    isOf(user, "Object");
    isOf(user.born, "Date");
    isOf(user.meta, "Object");
    isOf(user.meta.a, "Array");
    isOf(user.tags, "Array");
    isOf(user.tags[0], "Array");
    isOf(user.dates, "Array");
    isOf(user.dates[0], "Date");
    isOf(user.points, "Array");
    assert.deepEqual([...user.tags[0]], ["a", null]);
    isOf(await adapter.getSessionsByUserId("u1"), "Array");
    isOf(adapter.updateUser("u1", { username: "x" }), "Promise");
  });

  test("errors are of that realm, those of arguments too", async () => {
    const reason = (promise) => promise.then(() => assert.fail("it resolved"), (error) => error);
    isOf(await reason(adapter.setUser({ id: "u1" }, null)), "Error");
    isOf(await reason(adapter.getUser(7)), "TypeError");
    isOf(await reason(adapter.updateUser("u1", { "": 1 })), "TypeError");
    isOf(await reason(adapter.updateUser("u1", { username: undefined })), "Error");
    for (const given of [[7, tableNames], ["postgres://localhost/app", {}], ["postgres://localhost/app", tableNames, { no: 1 }]]) {
      assert.throws(() => realm.postgres(...given), (error) => {
        isOf(error, "TypeError");
        return true;
      });
    }
  });

  for (const [what, column, source] of [
    ["a date in a text column", "username", "new Date(5000)"],
    ["bytes in a text column", "username", "new Uint8Array([65, 66])"],
    ["a date in a column of dates", "born", "new Date(5000)"],
  ]) {
    test(`${what} is stored as one of the main realm is`, async () => {
      const stored = async (value) => {
        await adapter.updateUser("other1", { [column]: value });
        return JSON.stringify((await adapter.getUser("other1"))[column]);
      };
      // oxlint-disable-next-line no-eval
      const [ours, theirs] = [await stored((0, eval)(source)), await stored(realm.evaluate(source))];
      assert.notEqual(ours, "null");
      assert.equal(theirs, ours);
    });
  }
});

test("a password function and `onnotice` see the context of their own call of `postgres`, not the caller's", async (t) => {
  const storage = new AsyncLocalStorage();
  const seen = [];
  const open = (who) => storage.run(who, () => {
    const initializer = postgres(database.url, tableNames, {
      share: false,
      max: 1,
      connection: { client_min_messages: "debug1" },
      password: () => {
        seen.push(["password", who, storage.getStore()]);
        return new URL(database.url).password;
      },
      onnotice: () => seen.push(["onnotice", who, storage.getStore()]),
    });
    t.after(() => initializer.end());
    return initializer(LuciaError);
  });
  for (const who of ["first", "second"]) {
    const adapter = open(who);
    await storage.run("a request", () => adapter.getUser("u1"));
  }
  assert.deepEqual(seen.filter(([kind]) => kind === "password").map(([, ...names]) => names), [["first", "first"], ["second", "second"]]);
  assert.deepEqual(seen.filter(([, who, store]) => who !== store), []);
});

const collected = `
  const url = process.env.CHILD_URL;
  await initializer.end();
  const settle = async (isGone) => {
    // What a job has looked at is kept until that job ends.
    for (let tries = 0; tries < 100; tries += 1) {
      globalThis.gc();
      if (isGone()) return true;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return false;
  };`;

test("what a function of the options closes over is collected with an adapter that nobody ended", async () => {
  const { code, stdout, stderr } = await runChild(`
    ${collected}
    const refs = [];
    for (let n = 0; n < 20; n += 1) {
      for (const name of ["password", "onnotice"]) {
        const big = { name };
        refs.push(new WeakRef(big));
        postgres(url, tableNames, { [name]: () => big.name })(LuciaError);
      }
    }
    console.log(await settle(() => refs.every((ref) => ref.deref() === undefined)));
  `, database.url, { flags: ["--expose-gc"] });
  assert.deepEqual({ code, stdout: stdout.trim() }, { code: 0, stdout: "true" }, stderr);
});

test("after `end` nothing keeps the context in which `postgres` was called, also while another adapter is open", async () => {
  const { code, stdout, stderr } = await runChild(`
    ${collected}
    const { AsyncLocalStorage } = await import("node:async_hooks");
    const storage = new AsyncLocalStorage();
    const once = async () => {
      const store = {};
      const own = storage.run(store, () => postgres(url, tableNames, { password: () => new URL(url).password }));
      await own(LuciaError).getUser("u1");
      await own.end();
      return new WeakRef(store);
    };
    const other = storage.run({}, () => postgres(url, tableNames, { onnotice() {} }));
    const ref = await once();
    console.log(await settle(() => ref.deref() === undefined));
  `, database.url, { flags: ["--expose-gc"] });
  assert.deepEqual({ code, stdout: stdout.trim() }, { code: 0, stdout: "true" }, stderr);
});

test("an adapter that has ended, and that the program holds on to, keeps nothing of what its functions close over, were called in or have thrown", async () => {
  const { code, stdout, stderr } = await runChild(`
    ${collected}
    const { AsyncLocalStorage } = await import("node:async_hooks");
    const storage = new AsyncLocalStorage();
    const held = [];
    const refs = {};
    const kept = (name) => {
      const big = { name };
      refs[name] = new WeakRef(big);
      return big;
    };
    const functions = {
      onnotice: () => {
        const big = kept("closed over by onnotice");
        return { onnotice: () => big };
      },
      password: () => {
        const big = kept("closed over by password");
        return { password: () => big && new URL(url).password };
      },
      "a password that fails": () => {
        const big = kept("thrown by password");
        return { password: () => { throw Object.assign(new Error("none"), { big }); } };
      },
      "a password that never comes": () => {
        const big = kept("closed over by a password that never comes");
        return {
          password: ({ signal }) => {
            giveUp();
            return big && new Promise((resolve) => signal.addEventListener("abort", () => resolve(big.name)));
          },
        };
      },
      "a password that ignores its signal": () => {
        const big = kept("closed over by a password that ignores its signal");
        return { password: ({ signal }) => new Promise(() => signal.addEventListener("abort", () => big.name)) };
      },
    };
    let giveUp;
    const givenUp = new Promise((resolve) => {
      giveUp = () => resolve({});
    });
    for (const [name, make] of Object.entries(functions)) {
      const own = storage.run(kept("the context of " + name), () => postgres(url, tableNames, { share: false, ...make() }));
      const adapter = own(LuciaError);
      const { user, error } = await Promise.race([adapter.getUser("u1").then((user) => ({ user }), (error) => ({ error })), givenUp]);
      console.log(name, user?.id, error?.code, error?.cause?.message);
      await own.end({ timeout: 0 });
      held.push(own, adapter);
    }
    const left = () => Object.keys(refs).filter((name) => refs[name].deref() !== undefined);
    await settle(() => left().length === 0);
    console.log(JSON.stringify(left()), held.length);
  `, database.url, { flags: ["--expose-gc"] });
  const expected = `onnotice u1 undefined undefined
password u1 undefined undefined
a password that fails undefined PASSWORD_FAILED none
a password that never comes undefined undefined undefined
a password that ignores its signal undefined undefined undefined
[] 10
`;
  assert.deepEqual({ code, stdout }, { code: 0, stdout: expected }, stderr);
});

test("when the last adapter has ended no asynchronous resource of the package is left", async () => {
  const { code, stdout, stderr } = await runChild(`
    ${collected}
    const { createHook } = await import("node:async_hooks");
    const open = new Map();
    const hook = createHook({
      init: (id, type) => type.startsWith("lucia") && open.set(id, type),
      destroy: (id) => open.delete(id),
    }).enable();
    const initializers = [{}, { onnotice() {} }].map((options) => postgres(url, tableNames, options));
    for (const initializer of initializers) await initializer(LuciaError).getUser("u1");
    const during = open.size;
    for (const initializer of initializers) await initializer.end();
    console.log(during > 0, await settle(() => open.size === 0));
    hook.disable();
    const again = postgres(url, tableNames);
    console.log((await again(LuciaError).getUser("u1")).id);
    await again.end();
  `, database.url, { flags: ["--expose-gc"] });
  assert.deepEqual({ code, stdout }, { code: 0, stdout: "true true\nu1\n" }, stderr);
});

test("a frame of an error's stack names the file of the package that it is in", async () => {
  const initializer = postgres("postgres://localhost/app", tableNames);
  const error = (() => {
    try {
      return initializer();
    } catch (reason) {
      return reason;
    }
  })();
  assert.match(error.stack, /lib[\\/]postgres\.js:\d+/);
  await within(5, "it ends", initializer.end());
});
