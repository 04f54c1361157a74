// Stands between a client and the real server.
import { connect } from "node:net";

import { startListener } from "./listener.mjs";

/**
 * @param {string} databaseUrl of the real server
 * @param {(client: import("node:net").Socket, server: import("node:net").Socket) => void} join passes on what each says
 */
export async function startRelay(databaseUrl, join) {
  const target = new URL(databaseUrl);
  const { port, stop } = await startListener((client, keep) => {
    const server = connect(Number(target.port || 5432), target.hostname);
    keep(server);
    join(client, server);
    for (const [socket, other] of [[client, server], [server, client]]) {
      socket.setNoDelay(true);
      socket.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  });
  const url = new URL(databaseUrl);
  [url.hostname, url.port] = ["127.0.0.1", String(port)];
  url.searchParams.set("sslmode", "disable");
  return { url: url.href, close: stop };
}
