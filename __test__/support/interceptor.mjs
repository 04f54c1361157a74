// A man in the middle: ends the client's TLS with a certificate of its own, and speaks TLS with the server.
import { once } from "node:events";
import { connect } from "node:net";
import { TLSSocket, connect as secureConnect } from "node:tls";

import { startListener } from "./listener.mjs";

// The eight bytes with which a client of PostgreSQL asks for TLS.
const REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

async function intercept(client, server, identity) {
  await once(client, "readable");
  if (!client.read(REQUEST.length)?.equals(REQUEST)) throw new Error("the client does not ask for TLS");
  client.write("S");
  const fromClient = new TLSSocket(client, { isServer: true, ...identity });
  server.write(REQUEST);
  await once(server, "readable");
  if (server.read(1)?.toString() !== "S") throw new Error("the server has no TLS");
  const toServer = secureConnect({ socket: server, rejectUnauthorized: false });
  for (const socket of [fromClient, toServer]) socket.on("error", () => socket.destroy());
  fromClient.pipe(toServer).pipe(fromClient);
}

/** Listens on a free port of 127.0.0.1; `certificate` and `key` are what it shows to clients, as PEM text. */
export function startInterceptor(serverPort, { certificate, key }) {
  return startListener((client, keep) => {
    const server = connect(serverPort, "127.0.0.1");
    keep(server);
    for (const socket of [client, server]) socket.on("error", () => socket.destroy());
    intercept(client, server, { cert: certificate, key }).catch(() => {
      client.destroy();
      server.destroy();
    });
  });
}
