// One statement on a connection of its own.
import connect from "postgres";

const localHosts = ["", "localhost", "127.0.0.1", "::1", "[::1]"];

/** What `ssl` means, and what the server says where the mode leaves it open. */
async function readTls(client) {
  const { ssl } = client.options;
  if (!ssl) return "none";
  if (ssl === true || ssl === "verify-full" || typeof ssl === "object") return "verified";
  if (ssl === "require") return "encrypted";
  const [row] = await client.unsafe("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
  return row?.ssl ? "encrypted" : "none";
}

/**
 * @param {string} url
 * @param {string} sql
 * @param {string[]} parameters
 * @returns {Promise<Answer>} where a pooler stands before the server, `tls` is that of the connection to the pooler
 * @typedef {{ row: Record<string, unknown>, isPooled: boolean, isLocal: boolean, tls: "none" | "encrypted" | "verified" }} Answer
 *   `row`: the first
 */
export async function query(url, sql, parameters) {
  const client = connect(url, { max: 1, prepare: false, connect_timeout: 10, onnotice() {} });
  try {
    const result = await client.unsafe(sql, parameters);
    const [{ pid }] = await client.unsafe("SELECT pg_backend_pid() AS pid");
    const { host, path } = client.options;
    return {
      row: result[0],
      isPooled: result.state.pid !== pid,
      isLocal: Boolean(path) || host.every((name) => localHosts.includes(name) || name.startsWith("/")),
      tls: await readTls(client),
    };
  } finally {
    await client.end({ timeout: 5 });
  }
}
