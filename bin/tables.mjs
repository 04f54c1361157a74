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

/** @returns {{ user: Table, key: Table, session: Table | null }} */
export function readTables({ user, key, session, "no-session": withoutSession }) {
  return { user: readTable(user), key: readTable(key), session: withoutSession ? null : readTable(session) };
}
