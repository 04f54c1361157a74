// Stands between a client and the real server and notes the type of every message that the client sends: `P` Parse,
// `B` Bind, `D` Describe, `E` Execute, `S` Sync, `H` Flush, `C` Close, `Q` Query.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Calls `note(type)` for every message but the first, which has no type (it opens the connection), and passwords. */
function messageReader(note) {
  let waiting = Buffer.alloc(0);
  let opened = false;
  return (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    for (;;) {
      const header = opened ? 1 : 0;
      if (waiting.length < header + 4) return;
      const end = header + waiting.readUInt32BE(header);
      if (waiting.length < end) return;
      const type = String.fromCharCode(waiting[0]);
      if (opened && type !== "p") note(type);
      opened = true;
      waiting = waiting.subarray(end);
    }
  };
}

/** @returns {Promise<{ url: string, take: () => string[], close: () => Promise<void> }>} */
export async function recordMessages(databaseUrl) {
  const target = new URL(databaseUrl);
  const sockets = new Set();
  let messages = [];
  const proxy = createServer((client) => {
    const server = connect(Number(target.port || 5432), target.hostname);
    const read = messageReader((type) => messages.push(type));
    client.on("data", read);
    client.pipe(server).pipe(client);
    for (const [socket, other] of [[client, server], [server, client]]) {
      sockets.add(socket);
      socket.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(proxy.address().port);
  url.searchParams.set("sslmode", "disable");
  return {
    url: url.href,
    /** The messages since the last call of `take`. */
    take() {
      const taken = messages;
      messages = [];
      return taken;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, "close");
    },
  };
}
