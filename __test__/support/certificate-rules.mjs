// Certificates that obey every rule but one: what a server shows, what is trusted, and whether that is enough. Where psql
// decides otherwise than this package, `differs` is the sentence of docs/tls.md that says so.
import { AUTHORITY } from "./openssl.mjs";

const san = (...names) => [`subjectAltName=${names.join(",")}`];
const usual = san("DNS:db.example.com");
const usage = (...kinds) => `extendedKeyUsage=${kinds.join(",")}`;
const leaf = (...extensions) => ({ leaf: { extensions: [...usual, ...extensions] } });
const root = (...extensions) => ({ root: { extensions } });
const authority = (...extensions) => [...AUTHORITY, ...extensions];
const via = (...extensions) => ({ via: [{ extensions }] });
const named = (extensions, subject = "/CN=server") => ({ leaf: { extensions, subject } });
const constrained = (constraint) => root(...authority(`nameConstraints=critical,${constraint}`));
const UNKNOWN = "1.3.6.1.4.1.55555.1=critical,DER:0500";
const plain = "keyUsage=critical,digitalSignature";

const NO_ADDRESS_AS_NAME = "an address that stands as text among the names (`DNS:127.0.0.1`)";
const WIDE_STAR = "a star directly below a top-level name (`*.com`)";
const UNCONSTRAINED = "a common name of one label, or with a star, below an authority that constrains names";
const LONG_WAY = "a certificate that is called an authority, or is of version 1, below an intermediate";
const ODD_CONSTRAINT = "a certificate that is called an authority, or is of version 1, below an authority that constrains names";
const ODD_REVOCATION = "a certificate that is called an authority, is its own root or is of version 1, where revocation lists are named";
const NO_LIST = "a revocation list that cannot be read";
const NO_SIGNATURE = "a certificate signed by ECDSA with P-256 or P-384 and SHA-512";
const NO_KEY = "keys of the kinds Ed448 and RSA-PSS";
const LONG_SALT = "a signature by RSA-PSS whose salt is not as long as its hash";
const OLD_LIST = "a revocation list of version 1";
const POLICY = "critical extensions about policies, in what the server shows";

/** `[title, what is made, accepted, differs?]` */
export const rules = {
  "the root": [
    ["signs for the server", {}, true],
    ["is another authority", { trusted: ["stranger"] }, false],
    ["is one of several", { trusted: ["stranger", "root"] }, true],
    ["has the right name and another key", { trusted: ["namesake"] }, false],
    ["has expired", { root: { from: -9, until: -1 } }, false],
    ["is not yet valid", { root: { from: 1 } }, false],
    ["has CA:FALSE", root("basicConstraints=CA:FALSE"), false],
    ["has no basicConstraints", root("subjectKeyIdentifier=hash"), false],
    ["has no basicConstraints, and may sign certificates", root("keyUsage=critical,keyCertSign"), true],
    ["may not sign certificates", root("basicConstraints=critical,CA:TRUE", "keyUsage=critical,cRLSign"), false],
    ["has basicConstraints alone", root("basicConstraints=CA:TRUE"), true],
    ["is for clients", root(...authority(usage("clientAuth"))), false],
    ["is for servers", root(...authority(usage("serverAuth", "clientAuth"))), true],
    ["is for any use, and not for servers by name", root(...authority(usage("anyExtendedKeyUsage"))), false],
    ["has an unknown critical extension", root(...authority(UNKNOWN)), false],
    ["has a critical extension about policies", root(...authority("certificatePolicies=critical,1.2.3.4")), true],
    ["is of version 1", { root: { extensions: [] } }, true],
    ["is of version 1 and has expired", { root: { extensions: [], from: -9, until: -1 } }, false],
    ["allows no authority below itself, and there is none", root("basicConstraints=critical,CA:TRUE,pathlen:0"), true],
    ["allows no authority below itself, and there is one", {
      ...root("basicConstraints=critical,CA:TRUE,pathlen:0"), ...via(...AUTHORITY),
    }, false],
    ["allows one authority below itself, and there is one", {
      ...root("basicConstraints=critical,CA:TRUE,pathlen:1"), ...via(...AUTHORITY),
    }, true],
    ["is an intermediate", { ...via(...AUTHORITY), trusted: ["via"] }, false],
    ["stands beside an intermediate that the server does not send", {
      ...via(...AUTHORITY), trusted: ["root", "via"], sends: false,
    }, true],
    ["is the server's certificate, signed by another", { trusted: ["leaf"] }, false],
    ["has RSA", { root: { kind: "RSA-2048" } }, true],
    ["has P-384", { root: { kind: "P-384" } }, true],
    ["has P-521", { root: { kind: "P-521" } }, true],
    ["has P-521, and SHA-512", { root: { kind: "P-521", digest: "sha512" }, leaf: { digest: "sha512" } }, true],
    ["has Ed25519", { root: { kind: "Ed25519" } }, true],
    ["is signed with SHA-512", { root: { digest: "sha512" } }, true],
    ["has another type of string in its name", { root: { strings: "nombstr" }, spelled: "utf8only" }, true],
  ],
  "an intermediate": [
    ["stands between", via(...AUTHORITY), true],
    ["and another stand between", { via: [{ extensions: AUTHORITY }, { extensions: AUTHORITY }] }, true],
    ["is not sent", { ...via(...AUTHORITY), sends: false }, false],
    ["has CA:FALSE", via("basicConstraints=CA:FALSE"), false],
    ["has no basicConstraints", via("keyUsage=critical,keyCertSign"), false],
    ["has neither basicConstraints nor keyUsage", via("subjectKeyIdentifier=hash"), false],
    ["is of version 1", { via: [{ extensions: [] }] }, false],
    ["may not sign certificates", via("basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature"), false],
    ["is for clients", via(...authority(usage("clientAuth"))), false],
    ["is for servers", via(...authority(usage("serverAuth"))), true],
    ["has expired", { via: [{ extensions: AUTHORITY, from: -9, until: -1 }] }, false],
    ["is not yet valid", { via: [{ extensions: AUTHORITY, from: 1 }] }, false],
    ["has an unknown critical extension", via(...authority(UNKNOWN)), false],
    ["has a critical extension about policies", via(...authority("certificatePolicies=critical,1.2.3.4")), true, POLICY],
    ["allows no authority below itself, and there is one", {
      via: [{ extensions: ["basicConstraints=critical,CA:TRUE,pathlen:0"] }, { extensions: AUTHORITY }],
    }, false],
    ["excludes the name", via(...authority("nameConstraints=critical,excluded;DNS:example.com")), false],
    ["permits the name", via(...authority("nameConstraints=critical,permitted;DNS:example.com")), true],
    ["excludes the common name", {
      ...via(...authority("nameConstraints=critical,excluded;DNS:example.com")), leaf: { extensions: [plain] },
    }, false],
  ],
  "the server's certificate": [
    ["has expired", { leaf: { extensions: usual, from: -9, until: -1 } }, false],
    ["is not yet valid", { leaf: { extensions: usual, from: 1 } }, false],
    ["may make signatures", leaf("keyUsage=critical,digitalSignature"), true],
    ["may encipher keys", leaf("keyUsage=critical,keyEncipherment"), true],
    ["may agree on keys", leaf("keyUsage=critical,keyAgreement"), true],
    ["may encipher data only", leaf("keyUsage=critical,dataEncipherment"), false],
    ["may sign certificates only", leaf("keyUsage=critical,keyCertSign"), false],
    ["is for servers", leaf(usage("serverAuth")), true],
    ["is for servers and clients", leaf(usage("serverAuth", "clientAuth")), true],
    ["is for clients", leaf(usage("clientAuth")), false],
    ["is for code", leaf(usage("codeSigning")), false],
    ["is for any use, and not for servers by name", leaf(usage("anyExtendedKeyUsage")), false],
    ["is of Netscape's type for servers", leaf("nsCertType=server"), true],
    ["is of Netscape's type for clients", leaf("nsCertType=client"), false],
    ["has an unknown critical extension", leaf(UNKNOWN), false],
    ["has an unknown extension", leaf("1.3.6.1.4.1.55555.1=DER:0500"), true],
    ["has a critical extension about policies", leaf("certificatePolicies=critical,1.2.3.4"), true, POLICY],
    ["has CA:TRUE", leaf("basicConstraints=CA:TRUE"), true],
    ["has CA:TRUE below an intermediate", { ...leaf("basicConstraints=CA:TRUE"), ...via(...AUTHORITY) }, true, LONG_WAY],
    ["has CA:TRUE below an authority that constrains names", {
      ...leaf("basicConstraints=CA:TRUE"), ...constrained("permitted;DNS:example.com"),
    }, true, ODD_CONSTRAINT],
    ["has CA:TRUE below a root that has expired", {
      ...leaf("basicConstraints=CA:TRUE"), root: { extensions: AUTHORITY, from: -9, until: -1 },
    }, false],
    ["is of version 1", { leaf: { extensions: [] } }, true],
    ["is of version 1 below an intermediate", { leaf: { extensions: [] }, ...via(...AUTHORITY) }, true, LONG_WAY],
    ["is of version 1 below a root that has expired", {
      leaf: { extensions: [] }, root: { extensions: AUTHORITY, from: -9, until: -1 },
    }, false],
    ["is of version 1 below a root with CA:FALSE", { leaf: { extensions: [] }, ...root("basicConstraints=CA:FALSE") }, false],
    ["is of version 1 below a root for clients", { leaf: { extensions: [] }, ...root(...authority(usage("clientAuth"))) }, false],
    ["is of version 1 and has expired", { leaf: { extensions: [], from: -9, until: -1 } }, false],
    ["is its own root", { own: true, ...leaf("basicConstraints=CA:TRUE") }, true],
    ["is its own root, with CA:FALSE", { own: true, ...leaf("basicConstraints=CA:FALSE") }, true],
    ["is its own root, of version 1", { own: true, leaf: { extensions: [] } }, true],
    ["is its own root, for clients", { own: true, ...leaf(usage("clientAuth")) }, false],
    ["is its own root, and has expired", { own: true, leaf: { extensions: usual, from: -9, until: -1 } }, false],
    ["is its own root, and has another name", { own: true, ...named(san("DNS:other.example.com")) }, false],
    ["is its own, and not trusted", { own: true, trusted: ["stranger"], leaf: { extensions: usual } }, false],
    ["with CA:FALSE, trusted, has signed another", {
      ...root("basicConstraints=CA:FALSE", "subjectAltName=DNS:other.example.com"),
    }, false],
    ["has P-384", { leaf: { extensions: usual, kind: "P-384" } }, true],
    ["has P-521", { leaf: { extensions: usual, kind: "P-521" } }, true],
    ["has P-521, and is its own root", { own: true, leaf: { extensions: usual, kind: "P-521" } }, true],
    ["has RSA", { leaf: { extensions: usual, kind: "RSA-2048" } }, true],
    ["has Ed25519", { leaf: { extensions: usual, kind: "Ed25519" } }, true],
    ["has Ed448", { leaf: { extensions: usual, kind: "Ed448" } }, true, NO_KEY],
    ["has RSA-PSS", { leaf: { extensions: usual, kind: "RSA-PSS" } }, true, NO_KEY],
    ["is signed by RSA-PSS", {
      root: { kind: "RSA-2048" },
      leaf: { extensions: usual, signing: ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] },
    }, true],
    ["is signed by RSA-PSS with a long salt", {
      root: { kind: "RSA-2048" }, leaf: { extensions: usual, signing: ["-sigopt", "rsa_padding_mode:pss"] },
    }, true, LONG_SALT],
    ["is signed with SHA-384", { leaf: { extensions: usual, digest: "sha384" } }, true],
    ["is signed with SHA-512 by RSA", { root: { kind: "RSA-2048" }, leaf: { extensions: usual, digest: "sha512" } }, true],
    ["is signed with SHA-512 by P-256", { leaf: { extensions: usual, digest: "sha512" } }, true, NO_SIGNATURE],
    ["is signed with SHA-1", { root: { kind: "RSA-2048" }, leaf: { extensions: usual, digest: "sha1" } }, false],
  ],
  "a name": [
    ["is the host's", named(usual), true],
    ["is the host's in capitals", named(san("DNS:DB.Example.COM")), true],
    ["is another", named(san("DNS:other.example.com")), false],
    ["is another, and any will do", { ...named(san("DNS:other.example.com")), mode: "verify-ca" }, true],
    ["is one of many", named(san("DNS:a.example.com", "IP:10.0.0.1", "DNS:db.example.com")), true],
    ["has a star", named(san("DNS:*.example.com")), true],
    ["has a star for two labels", { ...named(san("DNS:*.example.com")), host: "a.db.example.com" }, false],
    ["has a star for no label", { ...named(san("DNS:*.example.com")), host: "example.com" }, false],
    ["has a star in a label", named(san("DNS:d*.example.com")), false],
    ["has a star in the middle", named(san("DNS:db.*.com")), false],
    ["is a star", named(san("DNS:*")), false],
    ["has a star for a whole top-level name", { ...named(san("DNS:*.com")), host: "example.com" }, true, WIDE_STAR],
    ["is of one label", { ...named(san("DNS:database")), host: "database" }, true],
    ["has an underscore", { ...named(san("DNS:db_1.example.com")), host: "db_1.example.com" }, true],
    ["ends before the NUL", named(["subjectAltName=DER:3016821464622e6578616d706c652e636f6d002e65766c2e"]), false],
    ["is without the host's dot", { ...named(usual), host: "db.example.com." }, false],
    ["is common", named([plain], "/CN=db.example.com"), true],
    ["is common in capitals", named([plain], "/CN=DB.EXAMPLE.com"), true],
    ["is common, and another", named([plain], "/CN=other.example.com"), false],
    ["is common, with a star", named([plain], "/CN=*.example.com"), true],
    ["is the second common one", named([plain], "/CN=other.example.com/CN=db.example.com"), false],
    ["is common, beside an alternative one", named(san("DNS:other.example.com"), "/CN=db.example.com"), false],
    ["is common, beside an address", named(san("IP:10.0.0.1"), "/CN=db.example.com"), true],
    ["is common, beside an e-mail address", named(san("email:a@example.com"), "/CN=db.example.com"), true],
    ["is common, beside a URI", named(san("URI:https://example.com/"), "/CN=db.example.com"), true],
    ["does not exist", named([plain], "/O=Example"), false],
    ["is an address", { ...named(san("IP:127.0.0.1")), host: "127.0.0.1" }, true],
    ["is another address", { ...named(san("IP:127.0.0.2")), host: "127.0.0.1" }, false],
    ["is an address of IPv6 for one of IPv4", { ...named(san("IP:::ffff:7f00:1")), host: "127.0.0.1" }, false],
    ["is an address as text", { ...named(san("DNS:127.0.0.1")), host: "127.0.0.1" }, true, NO_ADDRESS_AS_NAME],
    ["is an address as the common one", { ...named([plain], "/CN=127.0.0.1"), host: "127.0.0.1" }, true],
    ["is an address as the common one, beside another", { ...named(san("IP:10.0.0.1"), "/CN=127.0.0.1"), host: "127.0.0.1" }, false],
  ],
  "a constraint": [
    ["permits the name", constrained("permitted;DNS:example.com"), true],
    ["permits another name", constrained("permitted;DNS:example.org"), false],
    ["excludes the name", constrained("excluded;DNS:example.com"), false],
    ["excludes another name", constrained("excluded;DNS:example.org"), true],
    ["permits the common name", { ...constrained("permitted;DNS:example.com"), leaf: { extensions: [plain] } }, true],
    ["permits another common name", { ...constrained("permitted;DNS:example.org"), leaf: { extensions: [plain] } }, false],
    ["excludes the common name", { ...constrained("excluded;DNS:example.com"), leaf: { extensions: [plain] } }, false],
    ["excludes the common name, which nobody asks for", {
      ...constrained("excluded;DNS:example.com"), leaf: { extensions: [plain] }, mode: "verify-ca",
    }, false],
    ["excludes the common name beside an address", {
      ...constrained("excluded;DNS:example.com"), leaf: { extensions: san("IP:10.0.0.1") },
    }, false],
    ["excludes what a star stands for", {
      ...constrained("excluded;DNS:example.com"), ...named([plain], "/CN=*.example.com"),
    }, true, UNCONSTRAINED],
    ["permits no common name of one label", {
      ...constrained("permitted;DNS:example.com"), ...named([plain], "/CN=database"), host: "database",
    }, true, UNCONSTRAINED],
    ["excludes the address", {
      ...constrained("excluded;IP:127.0.0.0/255.0.0.0"), ...named(san("IP:127.0.0.1")), host: "127.0.0.1",
    }, false],
    ["permits the address", {
      ...constrained("permitted;IP:127.0.0.0/255.0.0.0"), ...named(san("IP:127.0.0.1")), host: "127.0.0.1",
    }, true],
    ["is about e-mail", constrained("permitted;email:example.org"), true],
  ],
  "a mode": [
    ["require, without a root", { mode: "require", trusted: [] }, true],
    ["require, with the right root", { mode: "require" }, true],
    ["require, with another root", { mode: "require", trusted: ["stranger"] }, false],
    ["require, with a root file that is not there", { mode: "require", trusted: ["missing"] }, true],
    ["verify-ca, with a root file that is not there", { mode: "verify-ca", trusted: ["missing"] }, false],
    ["require, without a root, of a certificate that has expired", {
      mode: "require", trusted: [], leaf: { extensions: usual, from: -9, until: -1 },
    }, true],
  ],
  "revocation:": [
    ["the list is empty", { lists: [{ of: "root" }] }, true],
    ["the certificate is on the list", { lists: [{ of: "root", revoked: ["leaf"] }] }, false],
    ["the list is another authority's", { lists: [{ of: "stranger" }] }, false],
    ["the list is of version 1", { lists: [{ of: "root", extensions: [] }] }, true, OLD_LIST],
    ["the list has expired", { lists: [{ of: "root", from: -9, until: -1 }] }, false],
    ["the list is not yet valid", { lists: [{ of: "root", from: 1 }] }, false],
    ["there is a list of every authority", { ...via(...AUTHORITY), lists: [{ of: "root" }, { of: "via" }] }, true],
    ["there is no list of the intermediate", { ...via(...AUTHORITY), lists: [{ of: "root" }] }, false],
    ["there is no list of the root", { ...via(...AUTHORITY), lists: [{ of: "via" }] }, false],
    ["the intermediate is on the list", {
      ...via(...AUTHORITY), lists: [{ of: "root", revoked: ["via"] }, { of: "via" }],
    }, false],
    ["the certificate is on the intermediate's list", {
      ...via(...AUTHORITY), lists: [{ of: "root" }, { of: "via", revoked: ["leaf"] }],
    }, false],
    ["the root is on its own list", { lists: [{ of: "root", revoked: ["root"] }] }, false],
    ["the root may not sign lists", {
      ...root("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"), lists: [{ of: "root" }],
    }, false],
    ["the list lies in a directory", { lists: [{ of: "root" }], hashed: true }, true],
    ["the certificate is on the list in a directory", { lists: [{ of: "root", revoked: ["leaf"] }], hashed: true }, false],
    ["the directory has no list", { lists: [], hashed: true }, false],
    ["the file is not there", { lists: "missing" }, true, NO_LIST],
    ["the certificate has CA:TRUE", { ...leaf("basicConstraints=CA:TRUE"), lists: [{ of: "root" }] }, true, ODD_REVOCATION],
    ["nobody asks who the server is", { mode: "require", trusted: [], lists: [{ of: "root", revoked: ["leaf"] }] }, true],
  ],
};

const signed = (kind, digest, ...signing) => ({ root: { kind }, leaf: { extensions: usual, digest, signing } });
const pss = ["-sigopt", "rsa_padding_mode:pss"];

/** `[title, what is made, whether psql connects]`: certificates, by their signature, that a password can be bound to. */
export const bindings = [
  ["ECDSA with SHA-224", signed("P-256", "sha224"), true],
  ["ECDSA with SHA-256", signed("P-256", "sha256"), true],
  ["ECDSA with SHA-384", signed("P-384", "sha384"), true],
  ["ECDSA with SHA-512", signed("P-521", "sha512"), true],
  ["ECDSA with SHA-384 by P-521", signed("P-521", "sha384"), true],
  ["ECDSA with SHA-1", signed("P-256", "sha1"), true],
  ["RSA with SHA-1", signed("RSA-2048", "sha1"), true],
  ["RSA with SHA-224", signed("RSA-2048", "sha224"), true],
  ["RSA with SHA-256", signed("RSA-2048", "sha256"), true],
  ["RSA with SHA-384", signed("RSA-2048", "sha384"), true],
  ["RSA with SHA-512", signed("RSA-2048", "sha512"), true],
  ["RSA-PSS with SHA-256", signed("RSA-2048", "sha256", ...pss), true],
  ["RSA-PSS with SHA-384", signed("RSA-2048", "sha384", ...pss), true],
  ["RSA-PSS with SHA-512", signed("RSA-2048", "sha512", ...pss), true],
  ["Ed25519", signed("Ed25519"), false],
];
