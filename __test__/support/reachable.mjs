// A server that is reached in every way: over TCP and its socket, with TLS, with logins that a test makes. Its address and files
// stand in connection strings by name.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import connect from "postgres";

import { freePort, startServer } from "../../tools/server.mjs";
import { certificateAuthority } from "./certificates.mjs";
import { createTables } from "./database.mjs";
import { createWhoami } from "./whoami.mjs";

export const withoutSockets = process.platform === "win32" && "there are no unix sockets on Windows";
export const patience = { connect_timeout: 5 };

/** The password of each role. */
export const logins = new Map();
const databases = new Set(["postgres"]);

const literal = (text) => `'${text.replaceAll("'", "''")}'`;
const quoted = (text) => `"${text.replaceAll("\"", "\"\"")}"`;

/** Makes a role that may log in with this password, and the database. */
export async function createLogin(role, password, database) {
  if (!logins.has(role) && role !== "postgres") await superuser.unsafe(`CREATE ROLE ${quoted(role)} LOGIN`);
  await superuser.unsafe(`ALTER ROLE ${quoted(role)} PASSWORD ${literal(password)}`);
  logins.set(role, password);
  if (!databases.has(database)) await superuser.unsafe(`CREATE DATABASE ${quoted(database)}`);
  databases.add(database);
}

/** HOST, PORT, SOCKET and so on in a connection string become those of the server. */
export function local(url) {
  const values = {
    HOST: `127.0.0.1:${server.port}`,
    PORT: server.port,
    DEAD: deadPort,
    ENCODED_SOCKET: encodeURIComponent(server.socketDirectory),
    SOCKET: server.socketDirectory,
    CERTIFICATES: join(home, "authority.pem"),
  };
  return url.replace(/\b(HOST|PORT|DEAD|ENCODED_SOCKET|SOCKET|CERTIFICATES)\b/g, (name) => values[name]);
}

export const home = mkdtempSync(join(tmpdir(), "lucia-connect-"));
after(() => rmSync(home, { recursive: true, force: true }));
const authority = certificateAuthority("Private authority");
writeFileSync(join(home, "authority.pem"), authority.certificate);
const { certificate, key } = authority.issue({ name: "server", hosts: ["localhost", "127.0.0.1"] });

export const server = await startServer({
  settings: { ssl: "on", listen_addresses: "127.0.0.1,::1" },
  files: { "server.crt": certificate, "server.key": key },
});
after(async () => {
  await sql?.end();
  await superuser?.end();
  await server.stop();
});
/** A port that nobody listens on. */
export const deadPort = await freePort();

const template = connect(server.url("template1"), { max: 1 });
await createWhoami(template);
await template.end();
export const superuser = connect(server.url(), { max: 2, onnotice: () => {} });
await createWhoami(superuser);
await createLogin("app", "secret", "app");
export const sql = connect(server.url("app"), { max: 2, onnotice: () => {} });
await createTables(sql);
