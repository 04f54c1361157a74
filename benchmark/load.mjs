// `load.mjs PORT CONNECTIONS SESSIONS` asks a server on this machine for as many seconds as each line of its input says, and
// checks every answer.
import { createInterface } from "node:readline";

import autocannon from "autocannon";

import { ownerOf, sessionId, username } from "./database.mjs";

const [port, connections, sessions] = process.argv.slice(2).map(Number);

async function ask(seconds) {
  let wrong = 0;
  const { duration, requests, latency, errors, timeouts } = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections,
    duration: seconds,
    requests: [{
      setupRequest(request, context) {
        context.number = Math.floor(Math.random() * sessions);
        return { ...request, headers: { ...request.headers, cookie: `auth_session=${sessionId(context.number)}` } };
      },
      onResponse(status, body, { number }) {
        if (status !== 200 || body !== username(ownerOf(number, sessions))) wrong += 1;
      },
    }],
  });
  return { requests: requests.total, elapsed: duration, p50: latency.p50, p99: latency.p99, wrong: wrong + errors + timeouts };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await ask(JSON.parse(line).seconds)));
}
