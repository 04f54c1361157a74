// Stands between a client and the real server and leaves fields out of the server's errors, as servers do that only speak
// PostgreSQL's protocol.
import { startRelay } from "./relay.mjs";

const ERROR = "E".charCodeAt(0);

/** An ErrorResponse without the fields of these types. */
function without(message, fields) {
  const kept = message.subarray(5).toString("latin1").split("\0").filter((field) => !(field && fields.includes(field[0])));
  const body = Buffer.from(kept.join("\0"), "latin1");
  const header = Buffer.from([ERROR, 0, 0, 0, 0]);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function filter(fields, write) {
  let waiting = Buffer.alloc(0);
  return (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    while (waiting.length >= 5 && waiting.length > waiting.readUInt32BE(1)) {
      const message = waiting.subarray(0, waiting.readUInt32BE(1) + 1);
      write(message[0] === ERROR ? without(message, fields) : message);
      waiting = waiting.subarray(message.length);
    }
  };
}

/** A server like that of `databaseUrl`, whose errors lack the fields of these types: `s` schema, `t` table, `n` constraint. */
export function startReticentServer(databaseUrl, fields) {
  return startRelay(databaseUrl, (client, server) => {
    server.on("data", filter(fields, (bytes) => client.write(bytes)));
    client.pipe(server);
  });
}
