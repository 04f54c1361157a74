import { postgres as postgresAdapter } from "@lucia-auth/adapter-postgresql";
import connect from "postgres";

import { tableNames } from "../database.mjs";

export function open(url, LuciaError) {
  const sql = connect(url);
  return { adapter: postgresAdapter(sql, tableNames)(LuciaError), end: () => sql.end() };
}
