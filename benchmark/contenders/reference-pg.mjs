import { pg as pgAdapter } from "@lucia-auth/adapter-postgresql";
import { Pool } from "pg";

import { tableNames } from "../database.mjs";

export function open(url, LuciaError) {
  const pool = new Pool({ connectionString: url });
  return { adapter: pgAdapter(pool, tableNames)(LuciaError), end: () => pool.end() };
}
