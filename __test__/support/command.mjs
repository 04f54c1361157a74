// The command line, run as a user runs it.
import { fileURLToPath } from "node:url";

import { exitCodes } from "../../bin/exit-codes.mjs";
import { within } from "./bounded.mjs";
import { startProgram } from "./program.mjs";

const file = fileURLToPath(new URL("../../bin/lucia-postgres-native.mjs", import.meta.url));

/** The exit code of this name. */
export const code = (name) => exitCodes[name][0];

/** What it prints, and its exit code. */
export const run = (words, environment) => within(20, "the command ends", startProgram([file, ...words], environment).ended);

/** The words that name tables after their roles, in a schema. */
export const own = (schema, roles) => roles.flatMap((role) => [`--${role}`, `${schema}.${role}`]);

/** Makes a schema with the tables that `schema` has printed, and changes them. */
export const createSchema = (sql, schema, printed, changes = "") => (
  sql.unsafe(`CREATE SCHEMA ${schema}; ${printed}; SET search_path TO ${schema}; ${changes}; RESET search_path`)
);
