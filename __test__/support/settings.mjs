// The names of settings as the source has them, for what has to list every one of them.
import { readFileSync } from "node:fs";

const read = (path) => readFileSync(new URL(`../../src/pg/${path}`, import.meta.url), "utf8").split("#[cfg(test)]")[0];
const found = (text, pattern) => [...text.matchAll(pattern)].map(([, name]) => name);
const named = (text, constant) => found(new RegExp(`const ${constant}\\b[^]*?\\n\\];`).exec(text)[0], /^ {4,8}\(?"(\w+)"/gm);

const options = read("settings/table.rs");
const settings = [...options.matchAll(/^ {4}(option|text|both|limit)\("(\w+)"(?:, Writer::(\w+))?/gm)]
  .map(([, kind, name, writer]) => ({ name, writer: writer ?? { option: "Program", text: "Text", both: "Both" }[kind] }));

/** What an options object may hold with an effect. */
export const effectiveOptions = settings.filter(({ writer }) => writer !== "Text").map(({ name }) => name);

/** What it may hold without one; the rest of the list is what an instance of `postgres` carries, which nobody writes. */
export const ignoredOptions = named(read("settings/options.rs"), "IGNORED")
  .filter((name) => !["parameters", "parsers", "serializers", "shared"].includes(name));

/** What only a connection string may hold. */
export const parameters = settings.filter(({ writer }) => writer === "Text").map(({ name }) => name);

export const modes = found(read("settings/stated_tls.rs"), /^ {12}"([\w-]+)"(?: \|.*)? => Self::/gm);
export const targets = found(read("settings/stated.rs"), /^ {8}\("([\w-]+)", Self::/gm);
/** Environment variables; the last two are read by `rustls-native-certs`. */
export const variables = [
  ...new Set(found(read("settings/environment.rs"), /"(PG[A-Z_]+|NODE_[A-Z_]+)"/g)), "SSL_CERT_FILE", "SSL_CERT_DIR",
];

const ssl = read("settings/ssl.rs");
/** The members of the option `ssl`. */
export const tlsMembers = [...named(ssl, "HARMLESS"), ...found(ssl, /^ {8}"(\w+)" =>/gm)];
export const refusedTlsMembers = named(ssl, "REFUSED");
