// A function for the password: for which host it is called and until when, functions of other drivers' pools, and the recipes for the
// clouds, each against a server that takes the token. Only what signs it in the cloud is a stand-in.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { LuciaError } from "lucia";
import pg from "pg";
import connect from "postgres";

import { postgres } from "../index.js";
import { installed } from "../tools/installed.mjs";
import { startServer } from "../tools/server.mjs";
import { eventually, within } from "./support/bounded.mjs";
import { createTables, tableNames } from "./support/database.mjs";
import { startTokenServer } from "./support/tokens.mjs";

const limit = { timeout: 60_000 };
const entry = fileURLToPath(new URL("../index.js", import.meta.url));

let server;
let sql;
before(async () => {
  server = await startServer({ hba: "host all app 127.0.0.1/32 scram-sha-256\nhost all all all trust\nlocal all all trust" });
  sql = connect(server.url(), { max: 1, onnotice: () => {} });
  await createTables(sql);
  await sql.unsafe("CREATE ROLE app LOGIN PASSWORD 'secret' SUPERUSER");
  await sql`INSERT INTO auth_user (id, username) VALUES ('u', 'one')`;
});
after(async () => {
  await sql?.end({ timeout: 1 });
  await server?.stop();
});

/** Uses an adapter for one lookup. */
async function lookUp(t, first, options) {
  const initializer = postgres(first, tableNames, options);
  t.after(() => initializer.end({ timeout: 1 }));
  return initializer(LuciaError).getUser("u");
}

test("of several hosts the function is asked for each that is tried, in turn", limit, async (t) => {
  const token = await startTokenServer(server.url(), (word) => word === "first");
  t.after(() => token.stop());
  const asked = [];
  const password = ({ host, port }) => {
    asked.push(`${host}:${port}`);
    return port === server.port ? "secret" : "wrong";
  };
  const hosts = { host: ["127.0.0.1", "localhost"], port: [token.port, server.port], user: "app", database: "postgres", max: 1 };
  assert.equal((await lookUp(t, { ...hosts, password })).username, "one");
  assert.deepEqual(asked, [`127.0.0.1:${token.port}`, `localhost:${server.port}`]);
});

test("the function of a pg.Pool that reads the connection's parameters works here as it does there", limit, async (t) => {
  const words = { [`app@127.0.0.1:${server.port}/postgres`]: "secret" };
  const password = ({ host, port, user, database }) => words[`${user}@${host}:${port}/${database}`];
  const pool = new pg.Pool({ host: "127.0.0.1", port: server.port, user: "app", database: "postgres", password });
  t.after(() => pool.end());
  assert.equal((await pool.query("SELECT username FROM auth_user")).rows[0].username, "one");
  assert.equal((await lookUp(t, pool)).username, "one");
});

test("the function of a `postgres` instance, which is given nothing there, works here as it does there", limit, async (t) => {
  const instance = connect({ host: "127.0.0.1", port: server.port, user: "app", database: "postgres", pass: async () => "secret", onnotice: () => {} });
  t.after(() => instance.end());
  assert.equal((await instance`SELECT username FROM auth_user`)[0].username, "one");
  assert.equal((await lookUp(t, instance)).username, "one");
});

test("the signal is aborted when connect_timeout has passed, and the call rejects then", limit, async (t) => {
  const begun = performance.now();
  let told;
  const password = ({ signal }) => new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      told = { after: performance.now() - begun, name: signal.reason.name };
      reject(signal.reason);
    });
  });
  const options = { host: "127.0.0.1", port: server.port, user: "app", database: "postgres", password, connect_timeout: 0.5 };
  await assert.rejects(lookUp(t, options), ({ code }) => ["CONNECT_TIMEOUT", "PASSWORD_FAILED"].includes(code));
  await eventually(10, "the signal is aborted", () => told !== undefined);
  assert.equal(told.name, "TimeoutError");
  assert.ok(told.after >= 450 && told.after < 5000, `${told.after} ms`);
});

test("the signal is aborted when the adapter ends while the function is under way", limit, async (t) => {
  const aborted = [];
  const waiting = [];
  const password = ({ port, signal }) => new Promise((_, reject) => {
    waiting.push(port);
    signal.addEventListener("abort", () => {
      aborted.push([port, signal.reason.name]);
      reject(signal.reason);
    });
  });
  const open = (port) => {
    const initializer = postgres({ host: "127.0.0.1", port, user: "app", database: "postgres", password, connect_timeout: 60 }, tableNames);
    t.after(() => initializer.end({ timeout: 0 }));
    return initializer;
  };
  const other = await startTokenServer(server.url(), () => true);
  t.after(() => other.stop());
  const [ends, goesOn] = [server.port, other.port].map(open);
  const call = assert.rejects(ends(LuciaError).getUser("u"), { code: "CONNECTION_DESTROYED" });
  goesOn(LuciaError).getUser("u").catch(() => {});
  await eventually(10, "both functions are under way", () => waiting.length === 2);
  await within(10, "the adapter ends", ends.end({ timeout: 0 }));
  await call;
  assert.deepEqual(aborted, [[server.port, "AbortError"]]);
  await within(10, "the other one ends", goesOn.end({ timeout: 0 }));
  assert.deepEqual(aborted, [[server.port, "AbortError"], [other.port, "AbortError"]]);
});

test("while a function is being asked for one host it can be asked for another", limit, async (t) => {
  const other = await startTokenServer(server.url(), (word) => word === "secret");
  t.after(() => other.stop());
  const waiting = [];
  const password = ({ port }) => new Promise((resolve) => {
    waiting.push(port);
    if (new Set(waiting).size === 2) resolve("secret");
    else setTimeout(resolve, 2000, "secret");
  });
  const options = { host: "127.0.0.1", user: "postgres", database: "postgres", password, max: 1 };
  await Promise.all([server.port, other.port].map((port) => lookUp(t, { ...options, port })));
  assert.deepEqual(waiting.sort(), [server.port, other.port].sort());
});

/** The recipes of docs/deployment.md, by their files' names. */
const recipes = Object.fromEntries(
  [...readFileSync(new URL("../docs/deployment.md", import.meta.url), "utf8").matchAll(/^```js\n(\/\/ (\S+)\n[^]*?)^```$/gm)].map(([, text, name]) => [name, text]),
);

/** Runs a recipe in a process of its own: a lookup, and another one over a connection of its own. */
async function follow(name, { env, prelude = "" }) {
  const folder = installed("clouds", { "@aws-sdk/rds-signer": "3.1175.0", "@azure/identity": "4.14.1", "@google-cloud/cloud-sql-connector": "1.13.0" });
  writeFileSync(join(folder, name), recipes[name].replaceAll('"lucia-postgres-native"', JSON.stringify(entry)));
  const program = `${prelude}
    const { adapter } = await import("./${name}");
    const { getUser } = adapter(class LuciaError extends Error {});
    const user = await getUser("u");
    await adapter.end();
    console.log(JSON.stringify(user));
    process.exit();`;
  writeFileSync(join(folder, `run-${name}`), program);
  const child = spawn(process.execPath, [`run-${name}`], { cwd: folder, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) {
    child[stream].setEncoding("utf8").on("data", (text) => {
      said[stream] += text;
    });
  }
  const [code] = await once(child, "close");
  assert.equal(code, 0, said.stdout + said.stderr);
  assert.deepEqual(JSON.parse(said.stdout), { id: "u", username: "one" });
}

test("the recipe for Amazon RDS signs a token that a server which has the key accepts", limit, async (t) => {
  const key = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI/K7MDENG", AWS_REGION: "eu-central-1" };
  const hmac = (secret, text) => createHmac("sha256", secret).update(text).digest();
  /** https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html */
  const isSigned = (token, { user }) => {
    const { host, searchParams } = new URL(`https://${token}`);
    const signature = searchParams.get("X-Amz-Signature");
    searchParams.delete("X-Amz-Signature");
    searchParams.sort();
    const escape = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
    const query = [...searchParams].map(([name, value]) => `${escape(name)}=${escape(value)}`).join("&");
    const digest = (text) => createHash("sha256").update(text).digest("hex");
    const [, ...scope] = searchParams.get("X-Amz-Credential").split("/");
    const request = ["GET", "/", query, `host:${host}`, "", "host", digest("")].join("\n");
    const text = ["AWS4-HMAC-SHA256", searchParams.get("X-Amz-Date"), scope.join("/"), digest(request)].join("\n");
    const secret = scope.reduce(hmac, `AWS4${key.AWS_SECRET_ACCESS_KEY}`);
    return searchParams.get("DBUser") === user && searchParams.get("Action") === "connect" && hmac(secret, text).toString("hex") === signature;
  };
  const front = await startTokenServer(server.url(), isSigned);
  t.after(() => front.stop());
  await follow("rds.mjs", { env: { ...key, DATABASE_URL: `postgres://postgres@127.0.0.1:${front.port}/postgres` } });
});

test("the recipe for Azure fetches a token that the server accepts", limit, async (t) => {
  const requests = [];
  const identity = createServer((request, response) => {
    requests.push({ resource: new URL(request.url, "http://identity").searchParams.get("resource"), header: request.headers["x-identity-header"] });
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ access_token: "token of azure", token_type: "Bearer", resource: requests[0].resource,
      expires_on: String(Math.floor(Date.now() / 1000) + 3600) }));
  }).listen(0, "127.0.0.1");
  await once(identity, "listening");
  t.after(() => identity.close());
  const front = await startTokenServer(server.url(), (token) => token === "token of azure");
  t.after(() => front.stop());
  await follow("azure.mjs", { env: {
    DATABASE_URL: `postgres://postgres@127.0.0.1:${front.port}/postgres`,
    IDENTITY_ENDPOINT: `http://127.0.0.1:${identity.address().port}/token`, IDENTITY_HEADER: "header",
  } });
  assert.deepEqual(requests[0], { resource: "https://ossrdbms-aad.database.windows.net", header: "header" });
});

test("the recipe for Google Cloud SQL connects through the connector's local proxy", {
  ...limit, skip: process.platform === "win32" ? "Windows has no unix sockets" : false,
}, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "lucia-cloud-sql-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  // What would fetch a certificate, and dial the instance with it.
  const prelude = `
    import { connect } from "node:net";
    import { Connector } from "@google-cloud/cloud-sql-connector";
    Connector.prototype.getOptions = async ({ instanceConnectionName, authType }) => {
      if (instanceConnectionName !== "project:region:instance" || authType !== "IAM") throw new Error(instanceConnectionName + authType);
      return { stream: () => connect(${server.port}, "127.0.0.1") };
    };`;
  await follow("cloud-sql.mjs", { prelude, env: { INSTANCE: "project:region:instance", SOCKETS: directory, PGUSER: "postgres", PGDATABASE: "postgres" } });
});
