// What a server, or who stands in its place, may ask before it lets the client in, and what comes before encryption.
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";

import { LuciaError } from "lucia";
import connect from "postgres";

import { postgres } from "../index.js";
import { account, startServer } from "../tools/server.mjs";
import { eventually } from "./support/bounded.mjs";
import { certificateAuthority } from "./support/certificates.mjs";
import { createWhoami, whoami } from "./support/whoami.mjs";

const authority = certificateAuthority("The right authority");
const own = authority.issue({ name: "server", hosts: ["127.0.0.1"] });
const client = authority.issue({ name: "client" });

let server;
let home;

before(async () => {
  home = mkdtempSync(join(tmpdir(), "lucia-authentication-"));
  server = await startServer({
    settings: { ssl: "on" },
    files: { "server.crt": own.certificate, "server.key": own.key },
    hba: `
      host      all trusted    all trust
      host      all clear_text all password
      host      all hashed     all md5
      hostnossl all plain_only all scram-sha-256
      hostssl   all plain_only all reject
      local     all all            scram-sha-256
      host      all all        all scram-sha-256
    `,
  });
  const sql = connect(server.url(), { max: 1, onnotice: () => {} });
  await createWhoami(sql);
  for (const role of ["trusted", "clear_text", "scram", "plain_only"]) await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
  await sql.unsafe("SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD 'secret'; RESET password_encryption");
  for (const count of [20_000, 100_001]) {
    await sql.unsafe(`SET scram_iterations = ${count}; CREATE ROLE "slow_${count}" LOGIN PASSWORD 'secret'`);
  }
  await sql.end();
});

after(async () => {
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

const options = { max: 1, connect_timeout: 5 };
const urlOf = (role, query = "", port = server.port) => `postgres://${role}:secret@127.0.0.1:${port}/postgres?${query}`;
const asking = async (role, query) => (await whoami(urlOf(role, query), options)).role;

describe("require_auth", () => {
  const rows = [
    ["scram-sha-256", "scram", undefined],
    ["scram-sha-256", "clear_text", /clear text/],
    ["scram-sha-256", "hashed", /MD5/],
    ["scram-sha-256", "trusted", /without asking/],
    ["scram-sha-256,none", "trusted", undefined],
    ["none", "trusted", undefined],
    ["none", "scram", /asks for SCRAM/],
    ["password", "clear_text", undefined],
    ["md5", "hashed", undefined],
    ["!password,!md5", "scram", undefined],
    ["!password,!md5", "trusted", undefined],
    ["!password,!md5", "clear_text", /clear text/],
    ["!password,!md5", "hashed", /MD5/],
  ];
  for (const [methods, role, refusal] of rows) {
    for (const mode of ["disable", "require", "prefer"]) {
      test(`${methods} ${refusal ? "leaves" : "lets"} a server that asks as for ${role}, with sslmode=${mode}`, async () => {
        const query = `sslmode=${mode}&require_auth=${encodeURIComponent(methods)}`;
        if (!refusal) assert.equal(await asking(role, query), role);
        else await assert.rejects(asking(role, query), { code: "AUTHENTICATION_REFUSED", message: refusal, address: "127.0.0.1" });
      });
    }
  }

  test("is an option and a variable of the environment too", async () => {
    await assert.rejects(whoami(urlOf("clear_text"), { ...options, require_auth: "scram-sha-256" }), { code: "AUTHENTICATION_REFUSED" });
  });
});

describe("SCRAM", () => {
  test("is computed over many iterations, and the error for more than 100000 says how many", async () => {
    assert.equal(await asking("slow_20000"), "slow_20000");
    await assert.rejects(asking("slow_100001"), { code: "AUTHENTICATION_REFUSED", message: /100001 iterations/ });
  });

  test("a password is prepared as by libpq, unless preparing leaves nothing of it or it holds U+0340", async () => {
    const sql = connect(server.url(), { max: 1, onnotice: () => {} });
    const login = async (password) => {
      await sql.unsafe(`CREATE ROLE prepared LOGIN PASSWORD '${password}'`);
      const { hostname: host, port } = new URL(server.url());
      return whoami({ host, port, user: "prepared", password, database: "postgres" }, options)
        .then(({ role }) => role, ({ code }) => code)
        .finally(() => sql.unsafe("DROP ROLE prepared"));
    };
    for (const password of ["I\u00adX", "\u00aa", "\u2168", "a\u0007b", "\u0627\u0031", "\u0221", "\u00e9", "e\u0301", "\u{1f600}"]) {
      assert.equal(await login(password), "prepared", JSON.stringify(password));
    }
    for (const password of ["\u00ad", "a\u0340"]) assert.equal(await login(password), "28P01", JSON.stringify(password));
    await sql.end();
  });

  test("a refused password is sent once, with every mode", async () => {
    for (const mode of ["disable", "allow", "prefer", "require"]) {
      const failures = () => server.log.split("password authentication failed for user \"scram\"").length - 1;
      const earlier = failures();
      const wrong = urlOf("scram", `sslmode=${mode}`).replace("secret", "wrong");
      await assert.rejects(whoami(wrong, options), { code: "28P01" });
      while (failures() === earlier) await new Promise(setImmediate);
      await asking("scram");
      assert.equal(failures(), earlier + 1, mode);
    }
  });

  test("a server that refuses TLS to a role is met without it by sslmode=prefer, before a password is asked for", async () => {
    assert.equal(await asking("plain_only", "sslmode=prefer"), "plain_only");
  });
});

/** A server that answers as told: `answers` are what it writes for each piece that it reads. */
async function startPretender(answers) {
  const heard = [];
  const sockets = new Set();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    const said = [];
    heard.push(said);
    const left = [...answers];
    socket.on("data", (piece) => {
      said.push(piece);
      const answer = left.shift();
      if (answer) socket.write(answer);
    });
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: listener.address().port,
    /** What every connection was told, a list of pieces for each. */
    heard,
    async stop() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}

const message = (kind, ...parts) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(5);
  head.write(kind);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const number = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const question = (kind, ...parts) => message("R", number(kind), ...parts);
const refusal = message("E", "SFATAL\0VFATAL\0C28000\0Mgo to evil.example.com\0\0");

describe("before encryption", () => {
  const rows = [
    ["a byte that is no answer", Buffer.from("X"), /no PostgreSQL/],
    ["an answer with more behind it", Buffer.from("SS"), /more than an answer/],
    ["a no with more behind it", Buffer.concat([Buffer.from("N"), refusal]), /more than an answer/],
    ["an error", refusal, /answered by an error/],
  ];
  for (const [title, answer, expected] of rows) {
    for (const mode of ["prefer", "require"]) {
      test(`${title} ends the attempt, with sslmode=${mode}`, async () => {
        const pretender = await startPretender([answer]);
        await assert.rejects(whoami(urlOf("scram", `sslmode=${mode}`, pretender.port), options), (error) => {
          assert.match(error.message, expected);
          assert.equal(error.code, "TLS_FAILED");
          assert.ok(!error.message.includes("evil"));
          return true;
        });
        const told = pretender.heard.map((pieces) => Buffer.concat(pieces));
        assert.ok(told.every((bytes) => bytes.length === 8), "nothing is said but the request for TLS");
        await pretender.stop();
      });
    }
  }
});

describe("a server in plain text", () => {
  const rows = [
    ["that offers SCRAM bound to a channel", [question(10, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")], /without TLS/],
    ["that asks for no iteration", [question(10, "SCRAM-SHA-256\0\0"), question(11, "r=x,s=AAAA,i=0")], /without iterations/],
    ["that asks for Kerberos", [question(7)], /Kerberos/],
  ];
  for (const [title, questions, expected] of rows) {
    test(`${title} gets no proof`, async () => {
      const pretender = await startPretender(questions);
      await assert.rejects(whoami(urlOf("scram", "", pretender.port), options), { code: "AUTHENTICATION_REFUSED", message: expected });
      assert.ok(!pretender.heard.flat().some((piece) => /p=/.test(piece.toString("latin1"))));
      await pretender.stop();
    });
  }
});

test("direct negotiation leaves a server of TLS that does not choose PostgreSQL's protocol", async () => {
  const listener = createTlsServer({ cert: own.certificate, key: own.key }).listen(0, "127.0.0.1");
  listener.on("tlsClientError", () => {});
  await once(listener, "listening");
  const { port } = listener.address();
  const asked = whoami(urlOf("scram", "sslmode=require&sslnegotiation=direct", port), options);
  await assert.rejects(asked, { code: "TLS_NOT_SUPPORTED", message: /ALPN/ });
  listener.close();
});

describe("a server of TLS that has nothing in common with this program", () => {
  const rows = {
    "since its suites have CBC": { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" },
    "since it exchanges keys by P-521": { ecdhCurve: "P-521" },
    "since it speaks TLS 1.1": { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" },
  };
  for (const [title, settings] of Object.entries(rows)) {
    test(`is refused and named ${title}`, async () => {
      const listener = createTlsServer({ cert: own.certificate, key: own.key, ...settings }).listen(0, "127.0.0.1");
      listener.on("tlsClientError", () => {});
      await once(listener, "listening");
      const url = urlOf("scram", "sslmode=require&sslnegotiation=direct", listener.address().port);
      await assert.rejects(whoami(url, options), { code: "TLS_NOT_SUPPORTED", message: /no way of encryption in common/ });
      listener.close();
    });
  }
});

describe("the client's certificate", () => {
  const files = (mode) => {
    const [cert, key] = ["client.crt", "client.key"].map((name) => join(home, name));
    writeFileSync(cert, client.certificate);
    writeFileSync(key, client.key);
    chmodSync(key, mode);
    return `sslmode=require&sslcert=${encodeURIComponent(cert)}&sslkey=${encodeURIComponent(key)}`;
  };

  test("a server that does not ask for it is left with sslcertmode=require", async () => {
    assert.equal(await asking("scram", files(0o600)), "scram");
    await assert.rejects(asking("scram", `${files(0o600)}&sslcertmode=require`), { code: "TLS_CLIENT_CERTIFICATE_REFUSED" });
  });

  test("its key is not used where others may read it", { skip: process.platform === "win32" ? "Windows has no modes" : false }, async () => {
    for (const mode of [0o644, 0o604, 0o602, 0o660]) {
      await assert.rejects((async () => asking("scram", files(mode)))(), { code: "INVALID_OPTIONS", message: /others may read .*client\.key/ });
    }
    // Root's may be read by its group.
    const shared = (async () => asking("scram", files(0o640)))();
    if (userInfo().uid === 0) assert.equal(await shared, "scram");
    else await assert.rejects(shared, /others may read/);
  });
});

test("requirepeer is the account that owns the server behind a unix socket", {
  skip: process.platform === "linux" ? false : "no other system than Linux is asked here",
}, async () => {
  const { uid = userInfo().uid } = account();
  const owner = uid === userInfo().uid ? userInfo().username : "postgres";
  const other = owner === "root" ? "nobody" : "root";
  const url = `postgres://scram:secret@/postgres?host=${server.socketDirectory}&port=${server.port}`;
  assert.equal((await whoami(`${url}&requirepeer=${owner}`, options)).role, "scram");
  await assert.rejects(whoami(`${url}&requirepeer=${other}`, options), { code: "AUTHENTICATION_REFUSED", message: /requirepeer/ });
});

test("a password's function is told for which host, and is not called twice at the same time for one", async (t) => {
  const { hostname, port, pathname } = new URL(server.url());
  const requests = [];
  let underway = 0;
  let most = 0;
  const password = async ({ signal, ...request }) => {
    requests.push({ ...request, isSignal: signal instanceof AbortSignal && !signal.aborted });
    underway += 1;
    most = Math.max(most, underway);
    if (requests.length === 1) await eventually(10, "another connection is opened", () => initializer.stats().connections > 1);
    underway -= 1;
    return "secret";
  };
  const tables = { user: "public.whoami", key: "user_key", session: null };
  const initializer = postgres({ host: hostname, port, user: "scram", password, database: pathname.slice(1), max: 3 }, tables);
  t.after(() => initializer.end());
  const adapter = initializer(LuciaError);
  await Promise.all(Array.from({ length: 400 }, () => adapter.getUser("me")));
  assert.equal(most, 1);
  for (const request of requests) {
    assert.deepEqual(request, { host: hostname, port: Number(port), user: "scram", database: pathname.slice(1), isSignal: true });
  }
});
