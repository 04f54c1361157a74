// Asks the database, and prints what is found.
import { exitCodes } from "./exit-codes.mjs";
import { factsSql } from "./facts.mjs";
import { serverFindings, tableFindings } from "./findings.mjs";
import { query } from "./query.mjs";
import { UsageError } from "./tables.mjs";

/** What the reason that the server gives means. */
const reasons = {
  ECONNREFUSED: "nothing listens there: is PostgreSQL running, and is the port right?",
  ENOTFOUND: "there is no host of that name",
  EAI_AGAIN: "the host's name could not be looked up",
  ETIMEDOUT: "the host does not answer: a firewall may be in between",
  CONNECT_TIMEOUT: "the host does not answer: a firewall may be in between",
  "28P01": "the user name or the password is wrong",
  28000: "the server does not let this user in from here (its pg_hba.conf)",
  "3D000": "there is no such database",
  53300: "the server has no connection left",
  "57P03": "the server is starting or stopping",
};

/** Where the URL leads, without its password. */
function placeOf(url) {
  try {
    const { host, pathname, searchParams } = new URL(url);
    return `${host || searchParams.get("host") || "localhost"}${pathname}`;
  } catch {
    return "the server";
  }
}

function print(title, findings) {
  console.log(title);
  for (const { kind, text, remedy } of findings) {
    console.log(`  ${kind.padEnd(8)} ${text}`);
    if (remedy) console.log(`           ${remedy}`);
  }
}

/** The exit code for these findings, and its meaning. */
export function conclusion(findings) {
  const has = (...kinds) => findings.some(({ kind }) => kinds.includes(kind));
  return has("missing", "wrong") ? exitCodes.wrong : has("slow", "unsafe") ? exitCodes.slow : exitCodes.well;
}

/** @returns {Promise<number>} the exit code */
export async function check(url, tables, version) {
  const place = placeOf(url);
  const entries = Object.entries(tables).filter(([, table]) => table !== null);
  let inspection;
  try {
    inspection = await query(url, factsSql, JSON.stringify(entries.map(([, { sql, last }]) => [sql, last])));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = reasons[error.code];
    console.log(`${place} cannot be asked: ${reason ?? error.message}`);
    if (reason) console.log(`  ${error.message}`);
    return exitCodes.unreachable[0];
  }
  const { answer: facts, ...connection } = inspection;
  const all = serverFindings(facts, connection);
  print(`PostgreSQL ${facts.version}, database ${facts.database}, user ${facts.user}, at ${place}`, all);
  const userTable = facts.tables[0].found;
  for (const [index, [role, table]] of entries.entries()) {
    const findings = tableFindings(role, version, table, facts.tables[index], userTable, facts.searchPath);
    print(`${role}s: ${facts.tables[index].found?.name ?? table.given}`, findings);
    all.push(...findings);
  }
  const [code, meaning] = conclusion(all);
  console.log(`\n${meaning}`);
  return code;
}
