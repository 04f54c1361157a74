// Certificates of every kind, right ones and wrong ones, made by the program `openssl`.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What `genpkey` is told for a kind of key. */
const KEYS = {
  "P-256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  "P-384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
  "P-521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
  "RSA-2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  "RSA-PSS": ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
  Ed25519: ["-algorithm", "ED25519"],
  Ed448: ["-algorithm", "ED448"],
};

const DAY = 24 * 60 * 60 * 1000;
/** A moment so many days from now, as `openssl ca` writes it. */
const moment = (days) => `${new Date(Date.now() + days * DAY).toISOString().replace(/[-T:]/g, "").slice(2, 14)}Z`;

export const AUTHORITY = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];

/** A folder for what `openssl` makes. */
export function startOpenssl() {
  const folder = mkdtempSync(join(tmpdir(), "lucia-openssl-"));
  let count = 0;
  const path = (ending) => join(folder, `${count += 1}.${ending}`);
  const openssl = (...args) => execute("openssl", args, { cwd: folder });
  const made = new Map();
  const once = (name, make) => {
    if (!made.has(name)) made.set(name, make());
    return made.get(name);
  };

  const save = (text, ending = "pem", mode = 0o600) => {
    const file = path(ending);
    writeFileSync(file, text, { mode });
    return file;
  };

  /** The same key for the same kind and owner. */
  const key = (kind, owner) => once(`key ${kind} ${owner}`, async () => {
    const file = path("key");
    await openssl("genpkey", ...KEYS[kind], "-out", file);
    return file;
  });

  const request = (keyFile, subject, strings) => once(`request ${keyFile} ${subject} ${strings}`, async () => {
    const [file, configuration] = [path("csr"), save(`[req]\ndistinguished_name=d\nstring_mask=${strings}\n[d]\n`)];
    await openssl("req", "-new", "-key", keyFile, "-subj", subject, "-utf8", "-config", configuration, "-out", file);
    return file;
  });

  /** The records of an authority, which revocation lists are made from. */
  const records = (listExtensions = ["authorityKeyIdentifier=keyid,issuer"]) => {
    const index = save("", "txt");
    const extended = listExtensions.length > 0 ? `crlnumber = ${save("01\n", "txt")}\n      crl_extensions = e` : "";
    const configuration = save(`
      [ca]
      default_ca = d
      [d]
      database = ${index}
      new_certs_dir = ${folder}
      rand_serial = yes
      default_md = sha256
      default_crl_days = 30
      unique_subject = no
      policy = p
      ${extended}
      [e]
      ${listExtensions.join("\n")}
      [p]
      commonName = optional
      organizationName = optional
      emailAddress = optional
    `);
    return configuration;
  };

  /**
   * A certificate. `by` is what an earlier call has made, or nothing for one that is its own authority. Without
   * `extensions` it is of version 1. `from` and `until` are days from now.
   */
  async function certificate({
    subject = "/CN=db.example.com", by, extensions = [], kind = "P-256", owner = subject, from = -1, until = 10,
    digest, strings = "utf8only", signing = [],
  } = {}) {
    const own = { key: await key(kind, owner), configuration: by ? undefined : records() };
    const signer = by ?? own;
    const csr = await request(own.key, subject, strings);
    const file = path("crt");
    const issuer = by ? ["-cert", by.file, "-keyfile", by.key] : ["-selfsign", "-keyfile", own.key];
    const extended = extensions.length > 0 ? ["-extfile", save(`${extensions.join("\n")}\n`)] : [];
    const isEdwards = ["Ed25519", "Ed448"].includes(by?.kind ?? kind);
    const hash = isEdwards ? ["-md", "default"] : digest ? ["-md", digest] : [];
    await openssl("ca", "-batch", "-notext", "-preserveDN", "-config", signer.records ?? own.configuration, ...issuer, "-in", csr,
      "-startdate", moment(from), "-enddate", moment(until), ...extended, ...hash, ...signing, "-out", file);
    return {
      kind,
      file,
      key: own.key,
      records: own.configuration ?? records(),
      certificate: readFileSync(file, "utf8"),
      privateKey: readFileSync(own.key, "utf8"),
    };
  }

  /** The list of what `authority` has revoked; without extensions it is of version 1. `until` may lie in the past. */
  async function revocationList(authority, { revoked = [], from = -1, until = 10, extensions } = {}) {
    const configuration = records(extensions);
    const as = ["-config", configuration, "-cert", authority.file, "-keyfile", authority.key];
    for (const { file } of revoked) await openssl("ca", ...as, "-revoke", file);
    const file = path("crl");
    await openssl("ca", ...as, "-gencrl", "-crl_lastupdate", moment(from), "-crl_nextupdate", moment(until), "-out", file);
    return file;
  }

  return {
    folder,
    openssl,
    path,
    save,
    certificate,
    revocationList,
    stop: () => rmSync(folder, { recursive: true, force: true }),
  };
}
