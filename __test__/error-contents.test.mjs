// What an error carries: the server's fields, the caller's place, and nothing that is secret.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { tableNames } from "./support/database.mjs";
import { outcome } from "./support/opened.mjs";
import { adapter, adapters, assertDatabaseError, inSchema, keyTable, newKey, sql, takenKey, times, url } from "./support/violating.mjs";

test("the database's errors carry its fields, in the spellings of both drivers", () =>
  inSchema(
    `${keyTable("id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES own.auth_user, hashed_password TEXT")}
     ALTER TABLE own.auth_user ADD CONSTRAINT short_name CHECK (length(username) < 10), ADD CONSTRAINT one_name UNIQUE (username);
     CREATE DOMAIN own.positive AS INT CHECK (value > 0);
     ALTER TABLE own.auth_user ADD age own.positive;`,
    async (own) => {
      const unique = await assertDatabaseError(own.setUser({ id: "bob", username: "Alice" }, null), {
        code: "23505",
        severity: "ERROR",
        message: 'duplicate key value violates unique constraint "one_name"',
        detail: "Key (username)=(Alice) already exists.",
        schema_name: "own", schema: "own",
        table_name: "auth_user", table: "auth_user",
        constraint_name: "one_name", constraint: "one_name",
      });
      assert.equal(String(unique), 'PostgresError: duplicate key value violates unique constraint "one_name"');
      for (const field of ["file", "line", "routine"]) assert.match(unique[field], /./, field);
      await assertDatabaseError(own.setKey(newKey({ user_id: null })), {
        code: "23502", column_name: "user_id", column: "user_id", table_name: "user_key", table: "user_key",
      });
      await assertDatabaseError(own.updateUser("alice", { username: "much too long" }), { code: "23514", constraint: "short_name" });
      await assertDatabaseError(own.updateUser("alice", { age: -1 }), { code: "23514", constraint_name: "positive_check" });
      const unknown = await assertDatabaseError(own.updateUser("alice", { nickname: "x" }), { code: "42703" });
      assert.match(unknown.position, /^\d+$/);
      await assertDatabaseError(own.updateUser("alice", { age: "old" }), { code: "22P02" });
    },
  ));

test("errors of missing tables are the database's", async () => {
  const missing = adapters.open({ user: "no_user", key: "no_key", session: "no_session" });
  const calls = {
    getUser: ["a"], setUser: [{ id: "a" }, newKey()], setKey: [newKey()], deleteKey: ["a"], getSessionAndUser: ["a"],
    setSession: [{ id: "a", user_id: "a", ...times }],
  };
  for (const [name, given] of Object.entries(calls)) await assertDatabaseError(missing[name](...given), { code: "42P01" });
});

test("no parameter, password or hash shows in what an error reveals of itself", async () => {
  await sql`CREATE UNIQUE INDEX one_name ON auth_user (username)`;
  const secretUrl = new URL(url);
  secretUrl.password = "wrong-password-of-the-url";
  const refused = postgres(secretUrl.href, tableNames);
  try {
    const secret = "hash-of-a-password";
    const errors = [
      await outcome(adapter.setUser({ id: "bob", username: "Alice" }, newKey({ user_id: "bob", hashed_password: secret }))),
      await outcome(adapter.setKey({ ...takenKey, hashed_password: secret })),
      await outcome(adapter.updateKey("email:alice", { hashed_password: secret, user_id: "nobody" })),
      await outcome(adapter.updateUser("alice", { unknown: secret })),
      await outcome(refused(LuciaError).getUser(secret)),
    ];
    for (const { error } of errors) {
      assert.ok(error instanceof Error);
      const shown = `${JSON.stringify(error)} ${error.stack} ${inspect(error, { depth: 10 })}`;
      assert.doesNotMatch(shown, /hash-of-a-password|wrong-password-of-the-url/);
    }
  } finally {
    await refused.end();
    await sql`DROP INDEX one_name`;
  }
});

test("the stack of an error names the asynchronous function that awaited the call", async () => {
  async function signUpForm() {
    await adapter.setKey(takenKey);
  }
  async function profilePage() {
    await adapter.updateUser("alice", { unknown: "x" });
  }
  async function accountPage() {
    return await adapter.getUser(undefined);
  }
  const [lucia, own, argument] = [await outcome(signUpForm()), await outcome(profilePage()), await outcome(accountPage())];
  assert.match(lucia.error.stack, /signUpForm/);
  assert.match(own.error.stack, /profilePage/);
  assert.match(argument.error.stack, /accountPage/);
});
