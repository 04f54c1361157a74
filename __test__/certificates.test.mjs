// What a server's certificate has to prove: each rule on a certificate of its own, shown by a real server, with psql beside.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";

import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { within } from "./support/bounded.mjs";
import { bindings, rules } from "./support/certificate-rules.mjs";
import { AUTHORITY, startOpenssl } from "./support/openssl.mjs";
import { createWhoami, whoami } from "./support/whoami.mjs";

const documented = readFileSync(new URL("../docs/tls.md", import.meta.url), "utf8").replace(/\s+/g, " ");
const available = (program, flag) => spawnSync(program, [flag]).status === 0;
const missing = ["psql", "openssl"].filter((program) => !available(program, program === "psql" ? "--version" : "version"));
const skip = missing.length > 0 ? `${missing.join(" and ")} cannot be run` : false;

let openssl;
let server;

before(async () => {
  if (skip) return;
  openssl = startOpenssl();
  const first = await openssl.certificate({ subject: "/CN=first" });
  server = await startServer({
    files: {
      "postgresql.auto.conf": "ssl = on\n",
      "server.crt": first.certificate,
      "server.key": first.privateKey,
    },
  });
  const sql = connect(server.url(), { max: 1, onnotice: () => {} });
  await createWhoami(sql);
  await sql.end();
});

after(async () => {
  await server?.stop();
  openssl?.stop();
});

/** The certificate that the server shows now. */
async function shown() {
  const socket = connectSocket(server.port, "127.0.0.1");
  socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
  await once(socket, "readable");
  assert.equal(socket.read(1).toString(), "S");
  const secure = connectTls({ socket, rejectUnauthorized: false });
  await once(secure, "secureConnect");
  const { raw } = secure.getPeerX509Certificate();
  secure.destroy();
  return raw;
}

/** Has the server show another certificate, with others behind it. */
async function show({ certificate, privateKey }, others) {
  writeFileSync(join(server.data, "server.crt"), [certificate, ...others].join(""));
  writeFileSync(join(server.data, "server.key"), privateKey);
  const { raw } = new X509Certificate(certificate);
  server.process.kill("SIGHUP");
  await within(10, "the server shows its new certificate", (async () => {
    while (!(await shown()).equals(raw)) await new Promise(setImmediate);
  })());
}

const PARTIES = {
  stranger: { subject: "/CN=Stranger", extensions: AUTHORITY },
  namesake: { subject: "/CN=Root", owner: "namesake", extensions: AUTHORITY },
};

/** Makes all that a row speaks of, and shows the leaf; the parameters that a client needs. */
async function arrange({
  root = {}, via = [], leaf = {}, own = false, trusted = own ? ["leaf"] : ["root"], sends = true, mode = "verify-full", lists, hashed, spelled,
}) {
  const made = {};
  if (!own) made.root = await openssl.certificate({ subject: "/CN=Root", extensions: AUTHORITY, ...root });
  let by = made.root;
  if (spelled) by = await openssl.certificate({ subject: "/CN=Root", extensions: AUTHORITY, ...root, strings: spelled });
  const steps = [];
  for (const [index, step] of via.entries()) {
    by = await openssl.certificate({ subject: `/CN=Intermediate ${index}`, by, ...step });
    steps.unshift(by.certificate);
    made.via ??= by;
  }
  made.leaf = await openssl.certificate({ by, extensions: ["subjectAltName=DNS:db.example.com"], ...leaf });
  const party = async (name) => made[name] ??= await openssl.certificate(PARTIES[name]);

  const parameters = { sslmode: mode };
  if (trusted.includes("missing")) parameters.sslrootcert = openssl.path("pem");
  else if (trusted.length > 0) {
    const certificates = [];
    for (const name of trusted) certificates.push((await party(name)).certificate);
    parameters.sslrootcert = openssl.save(certificates.join(""));
  }
  if (lists === "missing") parameters.sslcrl = openssl.path("crl");
  else if (lists) {
    const files = [];
    for (const { of: name, revoked = [], ...times } of lists) {
      files.push(await openssl.revocationList(await party(name), { revoked: revoked.map((one) => made[one]), ...times }));
    }
    if (hashed) {
      parameters.sslcrldir = openssl.path("d");
      mkdirSync(parameters.sslcrldir);
      for (const file of files) {
        const { stdout } = await openssl.openssl("crl", "-hash", "-noout", "-in", file);
        symlinkSync(file, join(parameters.sslcrldir, `${stdout.trim()}.r0`));
      }
    } else {
      parameters.sslcrl = openssl.save(files.map((file) => readFileSync(file, "utf8")).join(""));
    }
  }
  await show(made.leaf, sends ? steps : []);
  return parameters;
}

const run = promisify(execFile);

/** What `psql` says: nothing, where it connects. */
async function psql(host, parameters) {
  // To a certificate that is signed by Ed25519 libpq cannot bind, and gives up: that is no rule of certificates.
  const session = { user: "postgres", dbname: "postgres", channel_binding: "disable" };
  const words = Object.entries({ host, hostaddr: "127.0.0.1", port: server.port, ...session, ...parameters })
    .map(([name, value]) => `${name}='${value}'`);
  const environment = { PATH: process.env.PATH, HOME: openssl.folder, PGPASSWORD: "postgres", LC_ALL: "C" };
  return run("psql", ["-X", "-w", "-Atc", "SELECT 1", words.join(" ")], { env: environment })
    .then(() => "", ({ stderr }) => stderr.trim());
}

async function own(host, parameters) {
  const query = new URLSearchParams({ hostaddr: "127.0.0.1", ...parameters });
  const url = `postgres://postgres:postgres@${host}:${server.port}/postgres?${query}`;
  return (async () => whoami(url, { max: 1, connect_timeout: 5 }))().then(({ ssl }) => assert.equal(ssl, true), (error) => error);
}

test("a hundred certificates and more are shown to psql and to this package", () => {
  const rows = Object.values(rules).flat();
  assert.ok(rows.length > 150, `${rows.length} rows`);
  assert.ok(rows.every(([, , byPsql, differs]) => byPsql || differs === undefined), "nothing is taken that psql refuses");
});

for (const [subject, rows] of Object.entries(rules)) {
  describe(subject, { skip }, () => {
    for (const [title, row, byPsql, differs] of rows) {
      const accepted = differs === undefined ? byPsql : !byPsql;
      const verdict = accepted ? "connects" : "is refused";
      test(`${title}: ${verdict}, ${differs === undefined ? "as with psql" : "unlike psql"}`, async () => {
        const { host = "db.example.com" } = row;
        const parameters = await arrange(row);
        const [complaint, error] = await Promise.all([psql(host, parameters), own(host, parameters)]);
        assert.equal(complaint === "", byPsql, `psql: ${complaint}`);
        assert.equal(error === undefined, accepted, `${error?.code}: ${error?.message}`);
        if (!accepted) {
          assert.match(error.message, /certificate|revocation|sslrootcert|sslcrl|encryption/, error.code);
          assert.notEqual(error.code, "CONNECTION_CLOSED");
        }
        if (differs !== undefined) assert.ok(documented.includes(differs), `docs/tls.md does not say: ${differs}`);
      });
    }
  });
}

describe("a password is bound to a certificate that is signed by", { skip }, () => {
  const host = "db.example.com";
  for (const [title, row, byPsql] of bindings) {
    test(`${title}: ${byPsql ? "yes" : "no"}, as with psql`, async () => {
      const parameters = { ...await arrange({ ...row, mode: "require", trusted: [] }), channel_binding: "require" };
      const [complaint, error] = await Promise.all([psql(host, parameters), own(host, parameters)]);
      assert.equal(complaint === "", byPsql, `psql: ${complaint}`);
      assert.equal(error === undefined, byPsql, `${error?.code}: ${error?.message}`);
      if (!byPsql) assert.match(error.message, /channel binding/);
    });
  }
});
