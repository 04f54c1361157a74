// A private certificate authority in a few lines, so that the TLS tests need no program beside Node: X.509 version 3,
// written out in DER, signed with an elliptic-curve key.
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

const day = 24 * 60 * 60 * 1000;

function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...parts) => der(0x30, ...parts);
const octets = (...parts) => der(0x04, ...parts);
const text = (string) => der(0x0c, Buffer.from(string));
const yes = der(0x01, Buffer.from([0xff]));

function identifier(dotted) {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let more = part >> 7; more > 0; more >>= 7) groups.unshift((more & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

const time = (date) => der(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-T:]/g, "")}Z`));
const commonName = (name) => sequence(der(0x31, sequence(identifier("2.5.4.3"), text(name))));
const ecdsaWithSha256 = sequence(identifier("1.2.840.10045.4.3.2"));

function alternativeName(host) {
  if (!isIP(host)) return der(0x82, Buffer.from(host));
  if (isIP(host) === 4) return der(0x87, Buffer.from(host.split(".").map(Number)));
  if (host === "::1") return der(0x87, Buffer.alloc(15), Buffer.from([1]));
  throw new Error(`no certificate is made for the address ${host}`);
}

function extensions({ isAuthority, hosts }) {
  const list = [sequence(identifier("2.5.29.19"), yes, octets(isAuthority ? sequence(yes) : sequence()))];
  if (hosts.length > 0) list.push(sequence(identifier("2.5.29.17"), octets(sequence(...hosts.map(alternativeName)))));
  return der(0xa3, sequence(...list));
}

function certificate({ name, issuer, publicKey, signingKey, from, until, ...rest }) {
  const serial = randomBytes(8);
  serial[0] = (serial[0] & 0x7f) | 0x40;
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(time(from), time(until)),
    commonName(name),
    publicKey.export({ type: "spki", format: "der" }),
    extensions(rest),
  );
  const signature = der(0x03, Buffer.from([0]), sign("sha256", body, signingKey));
  const base64 = sequence(body, ecdsaWithSha256, signature).toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64.trimEnd()}\n-----END CERTIFICATE-----\n`;
}

const ellipticCurve = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });

/**
 * A new certificate authority: its own certificate, and `issue`, which makes a certificate and its private key.
 * Everything is PEM text.
 */
export function certificateAuthority(issuer) {
  const own = ellipticCurve();
  const now = Date.now();
  const from = new Date(now - 10 * day);
  const until = new Date(now + 10 * day);
  const signed = { issuer, signingKey: own.privateKey, from };
  return {
    certificate: certificate({ ...signed, name: issuer, publicKey: own.publicKey, until, isAuthority: true, hosts: [] }),

    /** `hosts` are names and addresses; an `expired` certificate ended yesterday; `rsa` asks for that kind of key. */
    issue({ name, hosts = [], expired = false, rsa = false }) {
      const { publicKey, privateKey } = rsa ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : ellipticCurve();
      const end = expired ? new Date(now - day) : until;
      return {
        certificate: certificate({ ...signed, name, publicKey, until: end, isAuthority: false, hosts }),
        key: privateKey.export({ type: "pkcs8", format: "pem" }),
      };
    },
  };
}
