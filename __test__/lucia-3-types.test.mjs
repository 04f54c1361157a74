// The declarations that TypeScript programs with Lucia 3 see, compiled strictly, with Lucia's types declared as its documentation tells.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { PostgresAdapter } from "lucia-postgres-native/v3";

import { compile, moduleSystems } from "./support/compile.mjs";

const lucia3 = fileURLToPath(new URL("lucia-3/node_modules/lucia", import.meta.url));

const auth = `
import { Lucia } from "lucia";
import { PostgresAdapter } from "lucia-postgres-native/v3";

export const adapter = new PostgresAdapter("postgres://localhost/app", { user: "auth_user", session: "user_session" }, { max: 5 });
export const lucia = new Lucia(adapter, {
  getUserAttributes: (user) => ({ username: user.username }),
  getSessionAttributes: (session) => ({ country: session.country }),
});

declare module "lucia" {
  interface Register {
    Lucia: typeof lucia;
    UserId: number;
    DatabaseUserAttributes: { username: string };
    DatabaseSessionAttributes: { country: string };
  }
}
`;

const right = `
import { Lucia } from "lucia";
import type { Adapter, DatabaseSession, DatabaseUser, User } from "lucia";
import { PostgresAdapter } from "lucia-postgres-native/v3";
import type { CallContext, EndOptions, PoolStats, PostgresOptions, TableNames } from "lucia-postgres-native/v3";
import { adapter, lucia } from "./auth.js";

const asAdapter: Adapter = adapter;
const names: TableNames = { user: "auth_user", session: "user_session" };
const options: PostgresOptions = { max: 5, ssl: "require" };
class Counted extends PostgresAdapter {
  count = 0;
  override async getSessionAndUser(id: string): Promise<[DatabaseSession | null, DatabaseUser | null]> {
    this.count += 1;
    return super.getSessionAndUser(id);
  }
}
new Lucia(new Counted(process.env["DATABASE_URL"] ?? "", names, options));

export async function calls(message: CallContext, how: EndOptions): Promise<User | null> {
  const [session, user] = await adapter.getSessionAndUser("id");
  const id: number | undefined = user?.id ?? session?.userId;
  const country: string | undefined = session?.attributes.country;
  const sessions: DatabaseSession[] = await adapter.getUserSessions(5);
  const expiresAt: Date | undefined = sessions[0]?.expiresAt;
  const nothing: void = await adapter.setSession({ id: "id", userId: 5, expiresAt: new Date(), attributes: { country: "PT" } });
  await adapter.updateSessionExpiration("id", new Date());
  await adapter.deleteSession("id");
  await adapter.deleteUserSessions(5);
  await adapter.deleteExpiredSessions();
  const { idle }: PoolStats = adapter.stats();
  await adapter.end();
  await adapter.end(how);
  const isRenewal: boolean = message.method === "updateSessionExpiration";
  void [id, country, expiresAt, nothing, idle, isRenewal, asAdapter];
  return (await lucia.validateSession("id")).user;
}
`;

const required = `
import package_ = require("lucia-postgres-native/v3");
export const adapter = new package_.PostgresAdapter("postgres://localhost/app", { user: "a", session: "b" });
export const ended: Promise<void> = adapter.end();
`;

// Every line that ends in "// wrong" must be refused, and no other.
const wrong = `
import { PostgresAdapter } from "lucia-postgres-native/v3";
import { postgres } from "lucia-postgres-native/v3"; // wrong
import { adapter } from "./auth.js";
const url = "postgres://localhost/app";
const names = { user: "auth_user", session: "user_session" };
new PostgresAdapter(); // wrong
new PostgresAdapter(url); // wrong
new PostgresAdapter(5432, names); // wrong
new PostgresAdapter(url, "auth_user"); // wrong
new PostgresAdapter(url, { user: "auth_user" }); // wrong
new PostgresAdapter(url, { ...names, session: null }); // wrong
new PostgresAdapter(url, { user: "a", key: "b", session: "c" }); // wrong
new PostgresAdapter(url, names, { maximum: 5 }); // wrong
PostgresAdapter(url, names); // wrong
adapter.getUserSessions("5"); // wrong
adapter.getSessionAndUser(5); // wrong
adapter.updateSessionExpiration("id", 5); // wrong
adapter.setSession({ id: "id", userId: 5, expiresAt: new Date(), attributes: {} }); // wrong
adapter.setSession({ id: "id", userId: "5", expiresAt: new Date(), attributes: { country: "PT" } }); // wrong
adapter.end(5); // wrong
adapter.getUser("id"); // wrong
export const id: string = adapter.getSessionAndUser("id"); // wrong
`;

// `skipLibCheck: false` has the compiler report what is wrong in the package's own declarations too.
for (const [name, options] of Object.entries(moduleSystems)) {
  test(`a strict program with Lucia 3 and the declarations compile with the modules of ${name}`, () => {
    assert.deepEqual(compile({ "auth.ts": auth, "right.ts": right }, { ...options, skipLibCheck: false }, lucia3), []);
  });
}

test("a CommonJS program with Lucia 3 compiles", () => {
  for (const name of ["nodenext", "node16"]) {
    assert.deepEqual(compile({ "required.cts": required }, { ...moduleSystems[name], verbatimModuleSyntax: false }, lucia3), [], name);
  }
});

test("programs with Lucia 3 that call the package wrongly do not compile", () => {
  const errors = compile({ "auth.ts": auth, "wrong.ts": wrong }, moduleSystems.nodenext, lucia3);
  assert.deepEqual(errors.filter(({ file }) => file !== "wrong.ts"), []);
  const refused = new Set(errors.map(({ line }) => line));
  for (const [index, line] of wrong.split("\n").entries()) assert.equal(refused.has(index + 1), line.endsWith("// wrong"), line);
});

test("the adapter has the methods that are declared, and no other", () => {
  const text = readFileSync(new URL("../v3.d.ts", import.meta.url), "utf8");
  const declared = [...text.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name);
  assert.deepEqual(Object.getOwnPropertyNames(PostgresAdapter.prototype).sort(), declared.sort());
});
