// A proxy that takes what the server says apart into messages, and may say something else in their place.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Ask for TLS and for GSSAPI encryption, and for a cancel; https://www.postgresql.org/docs/current/protocol-message-formats.html */
const ENCRYPTION_REQUESTS = new Set([80877103, 80877104]);

/** Of a client: the first message has no type. */
function clientReader(onMessage) {
  let rest = Buffer.alloc(0);
  let isStarted = false;
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (;;) {
      const header = isStarted ? 5 : 4;
      if (rest.length < header) return;
      const length = rest.readInt32BE(header - 4) + header - 4;
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      const isRequest = !isStarted && ENCRYPTION_REQUESTS.has(message.readInt32BE(4));
      onMessage(isStarted ? String.fromCharCode(message[0]) : "", message, isRequest);
      isStarted ||= !isRequest;
    }
  };
}

/**
 * @param {number} port the server's
 * @param {(message: { type: string, bytes: Buffer, index: number, sql: string }) => Buffer[]} change gives what is said in place of a
 *   message of the server; `index` counts those of a connection, `sql` is the text that it answers
 */
export async function startHostile(port, change) {
  const sockets = new Set();
  let isHostile = true;
  const listener = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    /** The texts of prepared statements by their names, and of what is to be answered, in its order. */
    const prepared = new Map();
    const asked = [];
    let text = "";
    let index = 0;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on("data", clientReader((type, bytes, isEncryption) => {
      if (isEncryption) {
        client.write("N");
        return;
      }
      const strings = bytes.toString("latin1", 5).split("\0");
      if (type === "P") prepared.set(strings[0], text = strings[1]);
      if (type === "B") text = prepared.get(strings[1]) ?? "";
      if (type === "Q") asked.push(strings[0]);
      if (type === "S") asked.push(text);
      server.write(bytes);
    }));
    let rest = Buffer.alloc(0);
    server.on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
        const message = rest.subarray(0, 1 + rest.readInt32BE(1));
        rest = rest.subarray(message.length);
        const type = String.fromCharCode(message[0]);
        const said = isHostile ? change({ type, bytes: message, index, sql: asked[0] ?? "" }) : [message];
        index += 1;
        // The end of an answer, also of the one to the startup, when nothing has been asked yet.
        if (type === "Z") asked.shift();
        for (const part of said) if (!client.destroyed) client.write(part);
      }
    });
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: listener.address().port,
    /** From now on the server is heard, over new connections. */
    becomeHonest({ cut = true } = {}) {
      isHostile = false;
      if (cut) for (const socket of sockets) socket.destroy();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}
