// Table names as `postgres()` reads them: dots outside quotes part a name, a part in quotes is taken as it is, and every
// other part is quoted.

/** The arguments cannot be used; the message says why. */
export class UsageError extends Error {}

function quotedParts(text) {
  const parts = [];
  let rest = text;
  for (;;) {
    const [part] = rest.match(/^"(?:[^"]|"")*"(?=\.|$)/) ?? rest.match(/^[^.]*/);
    const isQuoted = /^"(?:[^"]|"")*"$/.test(part);
    if (part === "" || part === '""') throw new UsageError(`a table cannot be called ${JSON.stringify(text)}: a part is empty`);
    parts.push(isQuoted ? part : `"${part.replaceAll('"', '""')}"`);
    if (part.length === rest.length) return parts;
    rest = rest.slice(part.length + 1);
  }
}

/**
 * A table's name.
 *
 * @typedef {{ given: string, sql: string, last: string }} Table
 *   `given`: as on the command line; `sql`: quoted; `last`: the last part without its quotes
 */
function readTable(given) {
  const parts = quotedParts(given);
  if (parts.length > 2) throw new UsageError(`${given}: a table's name has a schema before it, and nothing more`);
  return { given, sql: parts.join("."), last: parts.at(-1).slice(1, -1).replaceAll('""', '"') };
}

/**
 * @param {import("./versions.mjs").Version} version
 * @returns {Record<string, Table | null>} in the order in which they can be created
 */
export function readTables(values, { needs }) {
  if (values.key !== undefined && !needs.key) throw new UsageError("--key: this version of Lucia has no keys");
  if (values["no-session"] && !needs.key) throw new UsageError("--no-session: this version of Lucia keeps nothing but sessions");
  const named = { user: values.user, key: values.key ?? "user_key", session: values.session };
  const roles = Object.keys(needs);
  return Object.fromEntries(roles.map((role) => [role, role === "session" && values["no-session"] ? null : readTable(named[role])]));
}
