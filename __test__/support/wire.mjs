// Stands between a client and the real server and notes the type of every message that the client sends: `P` Parse,
// `B` Bind, `D` Describe, `E` Execute, `S` Sync, `H` Flush, `C` Close, `Q` Query.
import { startRelay } from "./relay.mjs";

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
  let messages = [];
  const relay = await startRelay(databaseUrl, (client, server) => {
    client.on("data", messageReader((type) => messages.push(type)));
    client.pipe(server).pipe(client);
  });
  return {
    ...relay,
    /** The messages since the last call of `take`. */
    take() {
      const taken = messages;
      messages = [];
      return taken;
    },
  };
}
