#!/usr/bin/env node
// The command line: prints the SQL of Lucia's tables, or examines those of a database.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { check } from "./check.mjs";
import { exitCodes } from "./exit-codes.mjs";
import { schema } from "./schema.mjs";
import { readTables, UsageError } from "./tables.mjs";
import { versions } from "./versions.mjs";

const help = `Usage: lucia-postgres-native <command> [options]

  schema        print the SQL that creates Lucia's tables, with their indexes
  check [URL]   connect, to URL or to DATABASE_URL, and say what is missing, mistyped or slow; changes nothing

  --lucia VERSION         2 or 3; default 2

Table names, as they are given to postgres() or PostgresAdapter:
  --user NAME             default auth_user
  --key NAME              default user_key; Lucia 3 has none
  --session NAME          default user_session
  --no-session            there is no session table: sessions are kept elsewhere

For schema, columns of your own, as SQL; as often as there are columns:
  --user-column SQL       such as "username text NOT NULL"
  --session-column SQL    such as "country text"

  --help, --version

Exit codes of check:
${Object.entries(exitCodes).map(([, [code, meaning]]) => `  ${code}  ${meaning}`).join("\n")}
`;

const options = {
  lucia: { type: "string", default: "2" },
  user: { type: "string", default: "auth_user" },
  key: { type: "string" },
  session: { type: "string", default: "user_session" },
  "no-session": { type: "boolean", default: false },
  "user-column": { type: "string", multiple: true, default: [] },
  "session-column": { type: "string", multiple: true, default: [] },
  help: { type: "boolean", default: false },
  version: { type: "boolean", default: false },
};

function readArguments() {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

async function run() {
  const { values, positionals: [command, ...rest] } = readArguments();
  if (values.version) return console.log(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version);
  if (values.help) return console.log(help.trimEnd());
  if (!Object.hasOwn(versions, values.lucia)) throw new UsageError(`--lucia takes ${Object.keys(versions).join(" or ")}`);
  const version = versions[values.lucia];
  const tables = readTables(values, version);
  if (command === "schema") {
    if (rest.length > 0) throw new UsageError(`schema takes no argument, but was given ${rest[0]}`);
    return console.log(schema(tables, version, values));
  }
  if (command === "check") {
    if (rest.length > 1) throw new UsageError("check takes one URL");
    const url = rest[0] ?? process.env.DATABASE_URL;
    if (!url) throw new UsageError("check needs a URL: as its argument, or in the environment variable DATABASE_URL");
    process.exitCode = await check(url, tables, version);
    return undefined;
  }
  throw new UsageError(command ? `there is no command ${command}` : "a command is needed");
}

try {
  await run();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${help.trimEnd()}`);
  [process.exitCode] = exitCodes.usage;
}
