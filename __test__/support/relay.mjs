// Stands between a client and the real server.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * @param {string} databaseUrl of the real server
 * @param {(client: import("node:net").Socket, server: import("node:net").Socket) => void} join passes on what each says
 */
export async function startRelay(databaseUrl, join) {
  const target = new URL(databaseUrl);
  const sockets = new Set();
  const relay = createServer((client) => {
    const server = connect(Number(target.port || 5432), target.hostname);
    join(client, server);
    for (const [socket, other] of [[client, server], [server, client]]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  const url = new URL(databaseUrl);
  [url.hostname, url.port] = ["127.0.0.1", String(relay.address().port)];
  url.searchParams.set("sslmode", "disable");
  return {
    url: url.href,
    async close() {
      for (const socket of sockets) socket.destroy();
      relay.close();
      await once(relay, "close");
    },
  };
}
