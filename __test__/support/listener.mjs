// A server of a test's own on a free port of 127.0.0.1.
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * @param {(client: import("node:net").Socket, keep: (socket: import("node:net").Socket) => void) => void} welcome serves a client; what it
 *   keeps is destroyed by `stop`, as the client is
 */
export async function startListener(welcome) {
  const sockets = new Set();
  const keep = (socket) => sockets.add(socket);
  const listener = createServer((client) => {
    keep(client);
    welcome(client, keep);
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: listener.address().port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}
