// What a session is, read through the adapter itself: a view that looks like a table of users with one row, whose columns
// tell the session's role, database, settings and so on.
import { LuciaError } from "lucia";

import { postgres } from "../../index.js";
import { within } from "./bounded.mjs";

const tables = { user: "public.whoami", key: "user_key", session: null };

/** Makes the view in the database that `sql` is connected to; databases made from it as a template have it too. */
export async function createWhoami(sql) {
  await sql.unsafe(`
    CREATE VIEW public.whoami AS SELECT
      'me' AS id,
      current_user::text AS role,
      current_database()::text AS database,
      pg_backend_pid() AS pid,
      inet_server_port() AS port,
      inet_server_addr()::text AS address,
      coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS ssl,
      pg_is_in_recovery() AS in_recovery,
      (SELECT count(*)::int FROM pg_prepared_statements) AS prepared,
      current_setting('application_name') AS application_name,
      current_setting('search_path') AS search_path,
      current_setting('statement_timeout') AS statement_timeout,
      current_setting('lock_timeout') AS lock_timeout,
      current_setting('TimeZone') AS timezone,
      current_setting('work_mem') AS work_mem;
    GRANT SELECT ON public.whoami TO PUBLIC;
  `);
}

/** An adapter whose `whoami()` is one call of it. */
export function whoamiAdapter(connection, options) {
  const initializer = postgres(connection, tables, options);
  const adapter = initializer(LuciaError);
  return {
    initializer,
    adapter,
    whoami: () => within(20, "the call settles", adapter.getUser("me")),
    end: () => within(20, "the connections are closed", initializer.end({ timeout: 5 })),
  };
}

/** Connects, asks once, and closes the connection. */
export async function whoami(connection, options) {
  const { whoami: ask, end } = whoamiAdapter(connection, options);
  try {
    return await ask();
  } finally {
    await end();
  }
}
