// Adapters for one test, and the connections that they hold on the server.
import { LuciaError } from "lucia";

import { postgres } from "../../index.js";
import { within } from "./bounded.mjs";
import { tableNames } from "./database.mjs";

let opened = 0;

/** An adapter that shares its connections with no other, and their name on the server; ended after the test. */
export function openAdapter(t, url, options = {}, tables = tableNames) {
  opened += 1;
  const name = `adapter-${process.pid}-${opened}`;
  const named = new URL(url);
  named.searchParams.set("application_name", name);
  const initializer = postgres(named.href, tables, options);
  t.after(() => within(5, "the adapter ends", initializer.end({ timeout: 1 })));
  return { adapter: initializer(LuciaError), initializer, name, url: named.href };
}

export async function connectionsOf(sql, name) {
  const [{ count }] = await sql`SELECT count(*)::int FROM pg_stat_activity WHERE application_name = ${name}`;
  return count;
}

/** Ends the connections of that name, as an administrator would, and tells how many there were. */
export async function terminate(sql, name) {
  const ended = await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ${name}`;
  return ended.length;
}

/** How many statements of that name are running, those that wait for a lock included. */
export async function runningStatements(sql, name) {
  const [{ count }] = await sql`
    SELECT count(*)::int FROM pg_stat_activity WHERE application_name = ${name} AND state = 'active'`;
  return count;
}

/** How many statements of that name wait for a lock. */
export async function waitingStatements(sql, name) {
  const [{ count }] = await sql`
    SELECT count(*)::int FROM pg_stat_activity WHERE application_name = ${name} AND wait_event_type = 'Lock'`;
  return count;
}
