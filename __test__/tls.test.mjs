// TLS against a real server whose certificates come from a private authority, made here.
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { inspect } from "node:util";

import pg from "pg";
import connect from "postgres";

import { startServer } from "../tools/server.mjs";
import { certificateAuthority } from "./support/certificates.mjs";
import { whoamiIn } from "./support/environment.mjs";
import { startInterceptor } from "./support/interceptor.mjs";
import { startProxy } from "./support/proxy.mjs";
import { createWhoami, whoami } from "./support/whoami.mjs";

const authority = certificateAuthority("The right authority");
const stranger = certificateAuthority("A stranger");
const hosts = ["localhost", "127.0.0.1"];
const good = authority.issue({ name: "server", hosts, rsa: true });

let server;
let home;
let files;

const hba = `
  host      all postgres   all scram-sha-256
  host      all anyone     all scram-sha-256
  hostssl   all tls_only   all scram-sha-256
  hostnossl all plain_only all scram-sha-256
  hostssl   all certified  all cert
  hostssl   all mutual     all scram-sha-256 clientcert=verify-full
  host      all old_style  all md5
`;

function save(name, text) {
  const path = join(home, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const configuration = (settings) => Object.entries({ ssl: "on", ssl_ca_file: "root.crt", ...settings })
  .map(([name, value]) => `${name} = '${value}'\n`).join("");

/** Gives the server another certificate and other settings of TLS, or takes TLS away from it. */
async function reconfigure({ certificate, key }, settings = {}) {
  writeFileSync(join(server.data, "server.crt"), certificate);
  writeFileSync(join(server.data, "server.key"), key);
  writeFileSync(join(server.data, "postgresql.auto.conf"), configuration(settings));
  await server.restart();
}

before(async () => {
  home = mkdtempSync(join(tmpdir(), "lucia-tls-"));
  server = await startServer({
    hba,
    files: {
      "postgresql.auto.conf": configuration({}),
      "server.crt": good.certificate,
      "server.key": good.key,
      "root.crt": authority.certificate,
    },
  });
  const sql = connect(server.url(), { max: 1, onnotice: () => {} });
  await createWhoami(sql);
  for (const role of ["anyone", "tls_only", "plain_only", "certified", "mutual"]) {
    await sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
  }
  await sql.unsafe("SET password_encryption = 'md5'; CREATE ROLE old_style LOGIN PASSWORD 'secret'");
  await sql.end();

  const client = authority.issue({ name: "certified" });
  const other = authority.issue({ name: "somebody else" });
  const foreign = stranger.issue({ name: "certified" });
  const mutual = authority.issue({ name: "mutual", rsa: true });
  const rsa = createPrivateKey(mutual.key);
  files = {
    ca: save("authority.pem", authority.certificate),
    wrongCa: save("stranger.pem", stranger.certificate),
    bundle: save("bundle.pem", `A bundle\n${stranger.certificate}\n# right\n${authority.certificate}`),
    garbage: save("garbage.pem", "no certificate here\n"),
    empty: save("empty.pem", ""),
    missing: join(home, "missing.pem"),
    cert: save("client.pem", client.certificate),
    key: save("client.key", client.key),
    sec1: save("client-sec1.key", createPrivateKey(client.key).export({ type: "sec1", format: "pem" })),
    otherCert: save("other.pem", other.certificate),
    otherKey: save("other.key", other.key),
    foreignCert: save("foreign.pem", foreign.certificate),
    foreignKey: save("foreign.key", foreign.key),
    mutualCert: save("mutual.pem", mutual.certificate),
    mutualKey: save("mutual.key", mutual.key),
    mutualPkcs1: save("mutual-pkcs1.key", rsa.export({ type: "pkcs1", format: "pem" })),
  };
});

after(async () => {
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

/** `$name` in a query is the path of that file. */
function url(query, { role = "anyone", host = "127.0.0.1", port = server.port } = {}) {
  const withPaths = query.replace(/\$(\w+)/g, (_, name) => encodeURIComponent(files[name]));
  return `postgres://${role}:secret@${host}:${port}/postgres?${withPaths}`;
}

const options = { connect_timeout: 5, max: 1 };

const connected = async (query, where) => (await whoami(url(query, where), options)).ssl;

/** The call is rejected, and the error says why and where. */
async function refused(connection, reason, extra = {}, where = "127.0.0.1") {
  const error = await whoami(connection, { ...options, ...extra }).then(
    (answer) => assert.fail(`connected: ${inspect(answer)}`),
    (rejected) => rejected,
  );
  assert.match(error.message, reason);
  assert.equal(typeof error.code, "string", inspect(error));
  assert.deepEqual([error.address, error.port], [where, server.port]);
  return error;
}

const CERTIFICATE = /certificate/i;

describe("a server with the right certificate", () => {
  const modes = [
    ["anyone", "sslmode=disable", false],
    ["anyone", "sslmode=allow", false],
    ["anyone", "sslmode=prefer", true],
    ["anyone", "sslmode=require", true],
    ["anyone", "sslmode=no-verify", true],
    ["anyone", "sslmode=require&sslrootcert=$ca", true],
    ["anyone", "sslmode=verify-ca&sslrootcert=$ca", true],
    ["anyone", "sslmode=verify-full&sslrootcert=$ca", true],
    ["anyone", "sslmode=verify-full&sslrootcert=$bundle", true],
    ["anyone", "ssl=true&sslrootcert=$ca", true],
    ["tls_only", "sslmode=allow", true],
    ["tls_only", "sslmode=prefer", true],
    ["plain_only", "sslmode=disable", false],
    ["plain_only", "sslmode=allow", false],
    ["plain_only", "sslmode=prefer", false],
  ];
  for (const [role, query, ssl] of modes) {
    test(`${query} as ${role} connects ${ssl ? "with" : "without"} TLS`, async () => {
      assert.equal(await connected(query, { role }), ssl);
    });
  }

  test("a host name is verified as a name", async () => {
    assert.equal(await connected("sslmode=verify-full&sslrootcert=$ca", { host: "localhost" }), true);
  });

  for (const [role, mode] of [["tls_only", "disable"], ["plain_only", "require"]]) {
    test(`sslmode=${mode} as ${role} meets the server's refusal`, async () => {
      assert.equal((await refused(url(`sslmode=${mode}`, { role }), /pg_hba/)).code, "28000");
    });
  }

  const untrusted = [
    "sslmode=verify-ca", "sslmode=verify-full", "ssl=true", "sslrootcert=system", "sslmode=require&sslrootcert=system",
    "sslmode=require&sslrootcert=$wrongCa", "sslmode=verify-ca&sslrootcert=$wrongCa", "sslmode=verify-full&sslrootcert=$wrongCa",
  ];
  for (const query of untrusted) {
    test(`${query} does not trust it`, () => refused(url(query), CERTIFICATE));
  }

  for (const name of ["missing", "garbage"]) {
    test(`a root certificate file that is ${name} is named`, async () => {
      await assert.rejects((async () => whoami(url(`sslmode=verify-full&sslrootcert=$${name}`), options))(), (error) => (
        error.message.includes(files[name])
      ));
    });
  }

  test("an unknown sslmode is refused, and the known ones are named", async () => {
    await assert.rejects((async () => whoami(url("sslmode=sometimes"), options))(), /sslmode.*verify-full/s);
  });

  test("sslrootcert=system trusts what the system trusts", async () => {
    const environment = { SSL_CERT_FILE: files.ca };
    assert.equal((await whoamiIn(environment, url("sslrootcert=system"), options)).ssl, true);
    assert.equal((await whoamiIn(environment, url(""), { ...options, ssl: true })).ssl, true);
  });

  test("the certificates of NODE_EXTRA_CA_CERTS are trusted beside the system's", async () => {
    const environment = { NODE_EXTRA_CA_CERTS: files.ca };
    for (const query of ["sslmode=verify-full", "sslmode=verify-ca", "ssl=true", "sslrootcert=system"]) {
      assert.equal((await whoamiIn(environment, url(query), options)).ssl, true, query);
    }
    assert.equal((await whoamiIn(environment, url(""), { ...options, ssl: true })).ssl, true);
    const beside = { NODE_EXTRA_CA_CERTS: files.wrongCa, SSL_CERT_FILE: files.ca };
    assert.equal((await whoamiIn(beside, url("ssl=true"), options)).ssl, true);
  });

  test("NODE_EXTRA_CA_CERTS adds nothing to a root certificate that is given, and nothing where it cannot be read", async () => {
    const untrusted = [
      [{ NODE_EXTRA_CA_CERTS: files.ca }, "sslmode=verify-full&sslrootcert=$wrongCa"],
      [{ NODE_EXTRA_CA_CERTS: files.wrongCa }, "ssl=true"],
      [{ NODE_EXTRA_CA_CERTS: files.missing }, "ssl=true"],
      [{ NODE_EXTRA_CA_CERTS: files.garbage }, "ssl=true"],
    ];
    for (const [environment, query] of untrusted) {
      const { error } = await whoamiIn(environment, url(query), options);
      assert.equal(error?.code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", inspect([environment, query, error]));
    }
  });

  test("where the system trusts nobody certificates are judged all the same", async () => {
    const nobody = { SSL_CERT_FILE: files.empty, SSL_CERT_DIR: join(home, "no such folder") };
    for (const query of ["sslmode=verify-full", "ssl=true", "sslrootcert=system"]) {
      const { error } = await whoamiIn(nobody, url(query), options);
      assert.equal(error?.code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", inspect(error));
      assert.equal((await whoamiIn({ ...nobody, NODE_EXTRA_CA_CERTS: files.ca }, url(query), options)).ssl, true);
    }
  });

  test("the environment names the root certificate", async () => {
    const environment = { PGSSLMODE: "verify-full", PGSSLROOTCERT: files.ca };
    assert.equal((await whoamiIn(environment, url(""), options)).ssl, true);
    const { error } = await whoamiIn({ ...environment, PGSSLROOTCERT: files.wrongCa }, url(""), options);
    assert.match(error.message, CERTIFICATE);
  });
});

describe("the option `ssl`, as `postgres` takes it:", () => {
  const accepted = {
    "false": [() => false, false],
    "'require'": [() => "require", true],
    "'prefer'": [() => "prefer", true],
    "{ rejectUnauthorized: false }": [() => ({ rejectUnauthorized: false }), true],
    "{ ca } as text": [() => ({ ca: authority.certificate }), true],
    "{ ca } as bytes": [() => ({ ca: Buffer.from(authority.certificate) }), true],
    "{ ca } as a list": [() => ({ ca: [stranger.certificate, Buffer.from(authority.certificate)] }), true],
    "{ ca, servername }": [() => ({ ca: authority.certificate, servername: "localhost" }), true],
  };
  for (const [title, [ssl, expected]] of Object.entries(accepted)) {
    test(`${title} connects ${expected ? "with" : "without"} TLS`, async () => {
      assert.equal((await whoami(url(""), { ...options, ssl: ssl() })).ssl, expected);
    });
  }

  test("'allow' does not verify", async () => {
    assert.equal((await whoami(url("", { role: "tls_only" }), { ...options, ssl: "allow" })).ssl, true);
  });

  const rejected = {
    "true": () => true,
    "'verify-full'": () => "verify-full",
    "{}": () => ({}),
    "{ ca } of another authority": () => ({ ca: stranger.certificate }),
    "{ ca, servername } with the wrong name": () => ({ ca: authority.certificate, servername: "db.example.test" }),
  };
  for (const [title, ssl] of Object.entries(rejected)) {
    test(`${title} verifies`, () => refused(url(""), CERTIFICATE, { ssl: ssl() }));
  }

  test("an instance of `postgres` brings its own", async () => {
    const trusting = connect(url(""), { ssl: { ca: authority.certificate }, onnotice: () => {} });
    assert.equal((await whoami(trusting)).ssl, true);
    const wary = connect(url(""), { ssl: { ca: stranger.certificate }, onnotice: () => {} });
    await refused(wary, CERTIFICATE);
  });
});

describe("a server that demands a client certificate", () => {
  const accepted = [
    ["certified", "sslmode=require&sslcert=$cert&sslkey=$key"],
    ["certified", "sslmode=verify-full&sslrootcert=$ca&sslcert=$cert&sslkey=$key"],
    ["certified", "sslmode=require&sslcert=$cert&sslkey=$sec1"],
    ["mutual", "sslmode=require&sslcert=$mutualCert&sslkey=$mutualKey"],
    ["mutual", "sslmode=require&sslcert=$mutualCert&sslkey=$mutualPkcs1"],
  ];
  for (const [role, query] of accepted) {
    test(`${query} as ${role} connects`, async () => {
      const answer = await whoami(url(query, { role }), options);
      assert.deepEqual([answer.role, answer.ssl], [role, true]);
    });
  }

  test("the option `ssl` holds it", async () => {
    const { certificate, key } = authority.issue({ name: "certified" });
    const ssl = { ca: authority.certificate, cert: certificate, key };
    assert.equal((await whoami(url("", { role: "certified" }), { ...options, ssl })).role, "certified");
  });

  test("an encrypted key is opened by its password", async () => {
    const key = createPrivateKey(readFileSync(files.key));
    const encrypted = key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "open sesame" });
    files.encrypted = save("encrypted.key", encrypted);
    const query = "sslmode=require&sslcert=$cert&sslkey=$encrypted";
    const role = "certified";
    assert.equal((await whoami(url(`${query}&sslpassword=open%20sesame`, { role }), options)).role, role);
    const ssl = { ca: authority.certificate, cert: readFileSync(files.cert), key: encrypted, passphrase: "open sesame" };
    assert.equal((await whoami(url("", { role }), { ...options, ssl })).role, role);
    const wrong = (async () => whoami(url(`${query}&sslpassword=sesame`, { role }), options))();
    await assert.rejects(wrong, { code: "INVALID_OPTIONS", message: /sslpassword.* does not open it/ });
    await assert.rejects((async () => whoami(url(query, { role }), options))(), /is encrypted: add `sslpassword`/);
  });

  test("a key that is encrypted in another way is refused with what to do", async () => {
    const key = createPrivateKey(readFileSync(files.sec1));
    files.old = save("old.key", key.export({ type: "sec1", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }));
    const query = "sslmode=require&sslcert=$cert&sslkey=$old&sslpassword=x";
    await assert.rejects((async () => whoami(url(query, { role: "certified" }), options))(), /openssl pkcs8 -topk8/);
  });

  test("the environment names it", async () => {
    const environment = { PGSSLMODE: "require", PGSSLCERT: files.cert, PGSSLKEY: files.key };
    assert.equal((await whoamiIn(environment, url("", { role: "certified" }), options)).role, "certified");
  });

  test("without one the server's refusal is passed on", async () => {
    for (const role of ["certified", "mutual"]) {
      assert.equal((await refused(url("sslmode=require", { role }), CERTIFICATE)).code, "28000");
    }
  });

  test("with one for somebody else the server's refusal is passed on", async () => {
    const query = "sslmode=require&sslcert=$otherCert&sslkey=$otherKey";
    assert.equal((await refused(url(query, { role: "certified" }), CERTIFICATE)).code, "28000");
  });

  test("with one of another authority the connection fails", () => (
    refused(url("sslmode=require&sslcert=$foreignCert&sslkey=$foreignKey", { role: "certified" }), /certificate|tls|alert/i)
  ));

  test("a key file that is missing is named", async () => {
    const connecting = (async () => whoami(url("sslmode=require&sslcert=$cert&sslkey=$missing", { role: "certified" }), options))();
    await assert.rejects(connecting, (error) => error.message.includes(files.missing));
  });
});

describe("SCRAM with channel binding", () => {
  for (const binding of ["require", "prefer", "disable"]) {
    test(`channel_binding=${binding} connects over TLS`, async () => {
      assert.equal(await connected(`sslmode=require&channel_binding=${binding}`), true);
    });
  }

  test("channel_binding=require refuses a connection without TLS", () => (
    refused(url("sslmode=disable&channel_binding=require"), /channel.binding/i)
  ));

  test("channel_binding=require refuses a password check that cannot bind", async () => {
    assert.equal(await connected("sslmode=require", { role: "old_style" }), true);
    await refused(url("sslmode=require&channel_binding=require", { role: "old_style" }), /channel.binding/i);
  });

  test("a man in the middle is noticed, even with a certificate of the right authority", async () => {
    const interceptor = await startInterceptor(server.port, authority.issue({ name: "server", hosts }));
    const { port } = interceptor;
    const query = "sslmode=verify-full&sslrootcert=$ca";
    assert.equal(await connected(`${query}&channel_binding=disable`, { port }), true);
    for (const binding of ["", "&channel_binding=prefer", "&channel_binding=require"]) {
      await assert.rejects(whoami(url(query + binding, { port }), options), /channel binding/i);
    }
    await interceptor.stop();
  });
});

describe("the beginning of the connection", () => {
  const firstByte = async (query, extra) => {
    const proxy = await startProxy(server.url());
    proxy.record();
    const sent = [];
    proxy.on("connection", (connection) => sent.push(connection));
    const { ssl } = await whoami(url(query, { port: proxy.port }), { ...options, ...extra });
    assert.equal(ssl, true);
    await proxy.stop();
    return sent[0].sent[0][0];
  };
  const HANDSHAKE = 0x16;

  test("is a TLS handshake with sslnegotiation=direct", async () => {
    assert.equal(await firstByte("sslmode=require&sslnegotiation=direct"), HANDSHAKE);
    assert.equal(await firstByte("sslmode=verify-full&sslrootcert=$ca&sslnegotiation=direct"), HANDSHAKE);
    assert.equal(await firstByte("", { ssl: "require", sslnegotiation: "direct" }), HANDSHAKE);
  });

  test("is PostgreSQL's own request otherwise", async () => {
    assert.equal(await firstByte("sslmode=require"), 0);
    assert.equal(await firstByte("sslmode=require&sslnegotiation=postgres"), 0);
  });
});

describe("a server whose certificate is for another host", () => {
  before(() => reconfigure(authority.issue({ name: "server", hosts: ["db.example.test"] })));

  for (const query of ["sslmode=require", "sslmode=require&sslrootcert=$ca", "sslmode=verify-ca&sslrootcert=$ca"]) {
    test(`${query} connects`, async () => {
      assert.equal(await connected(query), true);
      assert.equal(await connected(query, { host: "localhost" }), true);
    });
  }

  test("sslmode=verify-full refuses it, by address and by name", async () => {
    await refused(url("sslmode=verify-full&sslrootcert=$ca"), /127\.0\.0\.1/);
    await refused(url("sslmode=verify-full&sslrootcert=$ca", { host: "localhost" }), /localhost/, {}, "localhost");
  });

  test("the option `ssl` refuses it, unless `servername` is the certificate's", async () => {
    const ca = authority.certificate;
    await refused(url(""), CERTIFICATE, { ssl: { ca } });
    assert.equal((await whoami(url(""), { ...options, ssl: { ca, servername: "db.example.test" } })).ssl, true);
  });
});

describe("a server whose certificate has expired", () => {
  before(() => reconfigure(authority.issue({ name: "server", hosts, expired: true })));

  test("sslmode=require connects", async () => {
    assert.equal(await connected("sslmode=require"), true);
  });

  for (const mode of ["verify-ca", "verify-full"]) {
    test(`sslmode=${mode} refuses it and says that it has expired`, () => (
      refused(url(`sslmode=${mode}&sslrootcert=$ca`), /expired/i)
    ));
  }
});

describe("a server that encrypts in no way of this program's", () => {
  const ways = {
    "with X448 as its only group": [{ ssl_groups: "X448" }, { ecdhCurve: "X448" }],
    "with DHE as its only exchange of keys": [
      { ssl_ciphers: "DHE-RSA-AES256-GCM-SHA384", ssl_max_protocol_version: "TLSv1.2" },
      { ciphers: "DHE-RSA-AES256-GCM-SHA384", maxVersion: "TLSv1.2" },
    ],
  };
  for (const [title, [settings, ofNode]] of Object.entries(ways)) {
    test(`${title} is reached by Node's OpenSSL, and refused here with what is needed`, async () => {
      await reconfigure(good, settings);
      const client = new pg.Client({ connectionString: url(""), ssl: { ca: authority.certificate, ...ofNode } });
      await client.connect();
      assert.equal((await client.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).rows[0].ssl, true);
      await client.end();
      for (const mode of ["require", "verify-full&sslrootcert=$ca"]) {
        const error = await refused(url(`sslmode=${mode}`), /no way of encryption in common: .*ECDHE .*key exchange by X25519, P-256 or P-384 are needed/);
        assert.equal(error.code, "TLS_NOT_SUPPORTED");
      }
    });
  }
});

describe("a server without TLS", () => {
  before(() => reconfigure(good, { ssl: "off" }));

  for (const mode of ["disable", "allow", "prefer"]) {
    test(`sslmode=${mode} connects`, async () => {
      assert.equal(await connected(`sslmode=${mode}`), false);
    });
  }

  for (const query of ["sslmode=require", "sslmode=verify-ca&sslrootcert=$ca", "sslmode=verify-full&sslrootcert=$ca"]) {
    test(`${query} refuses it and says so`, () => refused(url(query), /\b(TLS|SSL)\b/));
  }

  test("the option `ssl` refuses it and says so", async () => {
    for (const ssl of [true, "require", { rejectUnauthorized: false }]) await refused(url(""), /\b(TLS|SSL)\b/, { ssl });
  });

  test("sslnegotiation=direct fails", () => refused(url("sslmode=require&sslnegotiation=direct"), /./));
});
