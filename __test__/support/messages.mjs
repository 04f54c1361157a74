// Messages of PostgreSQL's protocol, as a server sends them, for a proxy that says something else than the server.
// https://www.postgresql.org/docs/current/protocol-message-formats.html

export function message(type, body) {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

/** An error of these fields, by their letters: `{ S: "FATAL", C: "57P01", M: "..." }`. */
export function errorResponse(fields) {
  const parts = Object.entries(fields).map(([letter, text]) => `${letter}${text}\0`);
  return message("E", Buffer.from(`${parts.join("")}\0`));
}

/** The messages of `bytes`, each whole, as `{ type, bytes }`. */
export function messagesOf(bytes) {
  const messages = [];
  let at = 0;
  while (at < bytes.length) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    messages.push({ type: String.fromCharCode(bytes[at]), bytes: bytes.subarray(at, end) });
    at = end;
  }
  return messages;
}
