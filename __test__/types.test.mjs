// The declarations that TypeScript programs see, compiled strictly, with Lucia's types declared as its documentation tells.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { postgres } from "../index.js";
import { certificateAuthority } from "./support/certificates.mjs";
import { compile, moduleSystems } from "./support/compile.mjs";
import { effectiveOptions, ignoredOptions, modes, refusedTlsMembers, targets, tlsMembers } from "./support/settings.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const declarations = `
/// <reference types="lucia" />
declare namespace Lucia {
  type Auth = import("./auth.js").Auth;
  type DatabaseUserAttributes = { username: string; age: number | null };
  type DatabaseSessionAttributes = { country: string };
}
`;

const auth = `
import { lucia } from "lucia";
import { postgres } from "lucia-postgres-native";

export const auth = lucia({
  adapter: postgres("postgres://localhost/app", { user: "auth_user", key: "user_key", session: "user_session" }),
  env: "DEV",
  getUserAttributes: (user) => ({ username: user.username, age: user.age }),
  getSessionAttributes: (session) => ({ country: session.country }),
});
export type Auth = typeof auth;
`;

const right = `
import { tracingChannel } from "node:diagnostics_channel";
import { LuciaError } from "lucia";
import type { Adapter, InitializeAdapter, KeySchema, SessionSchema, UserSchema } from "lucia";
import { __experimental_joinAdapters as joinAdapters } from "lucia/utils";
import { lucia } from "lucia";
import { postgres } from "lucia-postgres-native";
import type { CallContext } from "lucia-postgres-native";
import { auth } from "./auth.js";

export function describeCall({ method, table, database, serverAddress, serverPort, ...outcome }: CallContext): string {
  const isOfUsers: boolean = method === "getUser" || method === "deleteExpiredSessions";
  const { rows = 0, retries = 0, batch = 0, error = "resolved", sqlstate = "" } = outcome;
  const sum: number = rows + retries + batch + (serverPort ?? 0);
  return [method, isOfUsers, table ?? "", database, serverAddress, sum, error, sqlstate].join(" ");
}

tracingChannel<unknown, CallContext>("lucia-postgres-native:call").subscribe({
  start: (context) => void describeCall(context),
  end() {},
  asyncStart() {},
  asyncEnd: (context) => void describeCall(context),
  error() {},
});

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
const adapterIsLucias: Same<ReturnType<ReturnType<typeof postgres>>, Adapter> = true;

const names = { user: "auth_user", key: "user_key", session: "user_session" };
const url = process.env["DATABASE_URL"] ?? "";
const initialize: InitializeAdapter<Adapter> & { end(options?: { timeout?: number }): Promise<void> } = postgres(url, names);
const withoutSessions = postgres(url, { ...names, session: null } as const);
const readonlyNames: Readonly<{ user: string; key: string; session: string | null }> = names;
const adapter = postgres(url, readonlyNames)(LuciaError);

export async function signUp(username: string): Promise<string> {
  const user = await auth.createUser({
    key: { providerId: "username", providerUserId: username.toLowerCase(), password: "secret" },
    attributes: { username, age: null },
  });
  const session = await auth.createSession({ userId: user.userId, attributes: { country: "PT" } });
  const name: string = user.username;
  const country: string = session.country;
  return name + country;
}

export async function calls(): Promise<void> {
  const user: UserSchema | null = await adapter.getUser("id");
  const age: number | null | undefined = user?.age;
  const key: KeySchema | null = await adapter.getKey("id");
  const sessions: SessionSchema[] = await adapter.getSessionsByUserId("id");
  const nothing: void = await adapter.setUser({ id: "id", username: "name", age: 5 }, key);
  await adapter.updateUser("id", { username: "other" });
  const expires: number | undefined = sessions[0]?.active_expires;
  await initialize.end();
  await initialize.end({ timeout: 5 });
  return void [age, nothing, expires, adapterIsLucias];
}

lucia({ adapter: { user: withoutSessions, session: postgres(url, names) }, env: "PROD" });
lucia({ adapter: joinAdapters(postgres(url, names), { getSession: async () => null }), env: "PROD" });
`;

const required = `
import package_ = require("lucia-postgres-native");
const { postgres } = package_;
export const initialize = postgres("postgres://localhost/app", { user: "a", key: "b", session: null });
export const ended: Promise<void> = initialize.end();
`;

// Every line that ends in "// wrong" must be refused, and no other.
const wrong = `
import { LuciaError } from "lucia";
import { postgres } from "lucia-postgres-native";
import { auth } from "./auth.js";

const names = { user: "auth_user", key: "user_key", session: "user_session" };
const url = "postgres://localhost/app";
import { __napiBindingTarget } from "lucia-postgres-native"; // wrong
import { inspect } from "lucia-postgres-native"; // wrong
import type { CallContext } from "lucia-postgres-native";
export const isMethod = (context: CallContext): boolean => context.method === "getUsers"; // wrong
postgres(); // wrong
postgres(url); // wrong
postgres(5432, names); // wrong
postgres(null, names); // wrong
postgres(undefined, names); // wrong
postgres(url, "auth_user"); // wrong
postgres(url, { user: "auth_user", key: "user_key" }); // wrong
postgres(url, { key: "user_key", session: null }); // wrong
postgres(url, { ...names, user: null }); // wrong
postgres(url, { ...names, key: undefined }); // wrong
postgres(url, { ...names, session: 5 }); // wrong
postgres(url, { ...names, sessions: "user_session" }); // wrong
const initialize = postgres(url, names);
initialize(); // wrong
initialize("LuciaError"); // wrong
initialize.user; // wrong
initialize.end(5); // wrong
initialize.end({ timeout: "5" }); // wrong
initialize.getUser("id"); // wrong
const adapter = initialize(LuciaError);
adapter.getUser(5); // wrong
adapter.getUser(); // wrong
adapter.getUsers("id"); // wrong
adapter.getUser = async () => null; // wrong
adapter.setUser({ id: "id" }, null); // wrong
adapter.setUser({ id: "id", username: 5, age: null }, null); // wrong
adapter.setSession({ id: "id", user_id: "id", active_expires: "1", idle_expires: 2, country: "PT" }); // wrong
adapter.updateUser("id", { nickname: "x" }); // wrong
const id: string = adapter.getUser("id"); // wrong
auth.createUser({ key: null, attributes: {} }); // wrong
auth.createUser({ key: null, attributes: { username: 5, age: null } }); // wrong
export const used = [id];
`;

// `skipLibCheck: false` has the compiler report what is wrong in the package's own declarations too.
for (const [name, options] of Object.entries(moduleSystems)) {
  test(`a strict program and the declarations themselves compile with the modules of ${name}`, () => {
    const files = { "app.d.ts": declarations, "auth.ts": auth, "right.ts": right };
    assert.deepEqual(compile(files, { ...options, skipLibCheck: false }), []);
  });
}

test("a CommonJS program compiles", () => {
  const files = { "app.d.ts": declarations, "auth.ts": auth, "required.cts": required };
  for (const name of ["nodenext", "node16"]) {
    assert.deepEqual(compile(files, { ...moduleSystems[name], verbatimModuleSyntax: false }), [], name);
  }
});

test("a program compiles without declaring any attributes", () => {
  const bare = `
    declare namespace Lucia {
      type Auth = import("lucia").Auth;
      type DatabaseUserAttributes = {};
      type DatabaseSessionAttributes = {};
    }`;
  const program = `
    import { lucia } from "lucia";
    import { postgres } from "lucia-postgres-native";
    export const auth = lucia({ adapter: postgres("postgres://h/d", { user: "u", key: "k", session: "s" }), env: "DEV" });
    export const user: Promise<{ userId: string }> = auth.createUser({ key: null, attributes: {} });`;
  assert.deepEqual(compile({ "app.d.ts": bare, "bare.ts": program }, moduleSystems.nodenext), []);
});

test("programs that call the package wrongly do not compile", () => {
  const errors = compile({ "app.d.ts": declarations, "auth.ts": auth, "wrong.ts": wrong }, moduleSystems.nodenext);
  assert.deepEqual(errors.filter(({ file }) => file !== "wrong.ts"), []);
  const refused = new Set(errors.map(({ line }) => line));
  for (const [index, text] of wrong.split("\n").entries()) {
    assert.equal(refused.has(index + 1), text.endsWith("// wrong"), text);
  }
});

/** Options that are right in the eyes of the compiler and of the package, and what neither accepts. */
const { certificate } = certificateAuthority("An authority");
const authority = JSON.stringify(certificate);
const list = (name, values) => values.map((value) => `{ ${name}: ${value} }`);
const acceptedOptions = [
  ...["host", "hostname"].flatMap((name) => list(name, ['"a"', '"a:1,b"', '["a", "b"]', '"/tmp"', "null", "undefined"])),
  ...list("port", ["1", '"1"', "null", "undefined"]),
  '{ host: ["a", "b"], port: [1, "2"] }',
  ...list("path", ['"/tmp/.s.PGSQL.5432"', "null"]),
  ...["database", "db", "user", "username"].flatMap((name) => list(name, ['"a"', "null", "undefined"])),
  ...["password", "pass"].flatMap((name) => list(name, ['"a"', '() => "a"', 'async () => "a"', "null", "undefined"])),
  ...["max", "max_pipeline"].flatMap((name) => list(name, ["1", '"1"', "null", "undefined"])),
  ...["idle_timeout", "timeout", "connect_timeout", "max_lifetime", "keep_alive", "query_timeout"]
    .flatMap((name) => list(name, ["1", "0.5", "0", '"1"', "null", "undefined"])),
  ...["prepare", "no_prepare", "share"].flatMap((name) => list(name, ["true", "false", "null", "undefined"])),
  ...list("ssl", ["true", "false", "null", "undefined", "{}", ...modes.filter((mode) => mode !== "true").map((mode) => `"${mode}"`)]),
  ...list("ssl", [`{ ca: ${authority} }`, `{ ca: Buffer.from(${authority}) }`, `{ ca: [${authority}, Buffer.from(${authority})] }`]),
  ...list("ssl", ["{ rejectUnauthorized: false }", '{ servername: "a" }', '{ minVersion: "TLSv1.1", maxVersion: "TLSv1.3" }',
    '{ ALPNProtocols: ["postgresql"] }', "{ cert: null, key: undefined }"]),
  ...list("sslnegotiation", ['"postgres"', "null"]),
  '{ ssl: "require", sslnegotiation: "direct" }',
  ...list("channel_binding", ['"disable"', '"prefer"', '"require"', "null"]),
  ...list("target_session_attrs", [...targets.map((target) => `"${target}"`), "null"]),
  ...list("load_balance_hosts", ['"disable"', '"random"', "null"]),
  ...list("connection", ['{ application_name: "a", statement_timeout: 5, jit: false, search_path: undefined }', "null"]),
  ...list("onnotice", ["(notice: Record<string, string>) => console.log(notice.message)", "null"]),
  ...ignoredOptions.map((name) => `{ ${name}: () => 1 }`),
];
const refusedOptions = [
  ...list("host", ["5", "true"]), ...list("port", ["true"]), ...list("password", ["5", "{}"]), ...list("database", ["5"]),
  ...list("max", ["true", "{}"]), ...list("connect_timeout", ["true", "[1]"]), ...list("prepare", ["5"]), ...list("share", ["5"]),
  ...list("ssl", ["5", '"required"', "{ ca: 5 }", '{ rejectUnauthorised: false }', '{ minVersion: "SSLv3" }', '{ maxVersion: "TLSv1" }',
    '{ ALPNProtocols: "h2" }', ...refusedTlsMembers.map((name) => `{ ${name}: "a" }`)]),
  ...list("sslnegotiation", ['"later"']), ...list("channel_binding", ['"always"']), ...list("target_session_attrs", ['"master"']), ...list("load_balance_hosts", ['"all"']),
  ...list("connection", ['"a=b"', "{ a: {} }"]), ...list("onnotice", ['"log"']),
  ...["socket", "transform", "types", "sslmode", "options", "idleTimeout", "connectionString"].map((name) => `{ ${name}: { a: () => 1 } }`),
];

test("the compiler accepts and refuses the same options as the package", () => {
  const call = (text) => `void (async () => postgres("postgres://localhost/app", names, ${text}));`;
  const program = (texts) => [
    'import { postgres } from "lucia-postgres-native";', 'const names = { user: "u", key: "k", session: null };', ...texts.map(call), "",
  ].join("\n");
  const evaluated = (text) => Function(`return (${text.replace("(notice: Record<string, string>)", "(notice)")});`)();
  const names = { user: "u", key: "k", session: null };

  assert.deepEqual(compile({ "accepted.ts": program(acceptedOptions) }, moduleSystems.nodenext), []);
  for (const text of acceptedOptions) {
    assert.doesNotThrow(() => postgres("postgres://localhost/app", names, evaluated(text)), text);
  }
  const errors = compile({ "refused.ts": program(refusedOptions) }, moduleSystems.nodenext);
  const refused = new Set(errors.map(({ line }) => line - 3));
  assert.deepEqual(refusedOptions.filter((_, index) => !refused.has(index)), []);
  for (const text of refusedOptions) {
    assert.throws(() => postgres("postgres://localhost/app", names, evaluated(text)), TypeError, text);
  }
});

test("the declarations name every option and every member of `ssl` that the package accepts, and no other", () => {
  const text = readFileSync(join(root, "options.d.ts"), "utf8");
  const members = (name) => {
    const [, body] = new RegExp(`interface ${name} \\{([^]*?)\\n\\}`).exec(text);
    return [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, member]) => member);
  };
  const accepted = [...effectiveOptions, ...ignoredOptions].filter((name) => !["socket", "transform", "types"].includes(name));
  assert.ok(accepted.length > 30 && tlsMembers.length > 15);
  assert.deepEqual(members("PostgresOptions").sort(), accepted.sort());
  assert.deepEqual(members("TlsOptions").sort(), [...tlsMembers].sort());
});

test("the declarations carry the documentation", () => {
  const text = readFileSync(join(root, "index.d.ts"), "utf8");
  const declared = text.search(/export (declare )?(function|const) postgres\b/);
  assert.ok(declared > 0);
  const comment = text.slice(text.lastIndexOf("/**", declared), declared);
  assert.match(comment, /^\/\*\*[^]{200,}\*\/\s*$/);
  const words = ["@param connection", "@param tableNames", "AUTH_DUPLICATE_KEY_ID", "AUTH_INVALID_USER_ID"];
  for (const word of words) assert.ok(comment.includes(word), `the comment says nothing of ${word}`);
  const commented = String.raw`\/\*\*[^*]*(?:\*(?!\/)[^*]*)*\*\/\s*`;
  assert.match(text, new RegExp(`${commented}end\\b`), "end() has a comment");
  assert.match(text, new RegExp(`${commented}session\\b`), "tableNames.session has a comment");
});
