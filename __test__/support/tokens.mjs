// A server that asks for a password in clear text, as the clouds' do for a token, and lets in whoever has one that is accepted. Behind it is
// a PostgreSQL that trusts everybody.
import { once } from "node:events";
import { connect } from "node:net";

import { startListener } from "./listener.mjs";

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const askForPassword = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
const START = 3 << 16;

const refusal = (text) => {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C28P01\0M${text}\0\0`);
  const head = Buffer.from("E    ");
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
};

/** The next message, without its first byte where it has one. */
async function message(socket, hasType) {
  const skipped = hasType ? 1 : 0;
  let bytes = Buffer.alloc(0);
  while (bytes.length < skipped + 4 || bytes.length < skipped + bytes.readInt32BE(skipped)) {
    const [chunk] = await once(socket, "data");
    bytes = Buffer.concat([bytes, chunk]);
  }
  return bytes.subarray(skipped);
}

/** @param {(token: string, login: Record<string, string>) => boolean} accepts */
export async function startTokenServer(databaseUrl, accepts) {
  const { hostname, port } = new URL(databaseUrl);
  const welcome = async (client, keep) => {
    const start = await message(client, false);
    const isCancel = start.readInt32BE(4) !== START;
    if (!isCancel) {
      const words = start.subarray(8).toString().split("\0");
      const login = Object.fromEntries(words.flatMap((word, at) => (at % 2 === 0 && word ? [[word, words[at + 1]]] : [])));
      client.write(askForPassword);
      const token = (await message(client, true)).subarray(4, -1).toString();
      if (!accepts(token, login)) {
        client.end(refusal("the token is not valid"));
        return;
      }
    }
    const server = connect({ host: hostname, port: Number(port) });
    keep(server.on("error", () => client.destroy()));
    server.write(start);
    client.pipe(server).pipe(client);
  };
  return startListener((client, keep) => {
    client.on("error", () => {});
    welcome(client, keep).catch(() => client.destroy());
  });
}
