// One statement on a connection of its own.
import connect from "postgres";

/**
 * @param {string} url
 * @param {string} sql
 * @param {string[]} parameters
 * @returns {Promise<{ row: Record<string, unknown>, isPooled: boolean }>} the first row; `isPooled`: whether a pooler
 *   stands between this program and the server
 */
export async function query(url, sql, parameters) {
  const client = connect(url, { max: 1, prepare: false, connect_timeout: 10, onnotice() {} });
  try {
    const result = await client.unsafe(sql, parameters);
    const [{ pid }] = await client.unsafe("SELECT pg_backend_pid() AS pid");
    return { row: result[0], isPooled: result.state.pid !== pid };
  } finally {
    await client.end({ timeout: 5 });
  }
}
