// A web server whose every request is validated by Lucia, and a program beside it that asks.
import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import { lucia } from "lucia";
import { node } from "lucia/middleware";

import { startChild } from "./child.mjs";
import { threadTime } from "./thread-time.mjs";

const file = fileURLToPath(new URL("load.mjs", import.meta.url));
const patience = 60;

async function startServer(adapter) {
  const auth = lucia({
    adapter: () => adapter,
    env: "PROD",
    middleware: node(),
    getUserAttributes: ({ username }) => ({ username }),
  });
  const server = createServer(async (request, response) => {
    try {
      const session = await auth.handleRequest(request, response).validate();
      response.writeHead(session ? 200 : 401).end(session?.user.username);
    } catch (error) {
      response.writeHead(500).end(error.message);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

export async function measureWeb(adapter, { sessions, inFlight, seconds, warmUp }) {
  const server = await startServer(adapter);
  const load = startChild("the load generator", process.execPath, file, String(server.address().port), String(inFlight), String(sessions));
  try {
    await load.ask({ seconds: warmUp }, patience);
    const [processor, thread] = [process.cpuUsage(), threadTime()];
    const { requests, elapsed, p50, p99, wrong } = await load.ask({ seconds }, seconds + patience);
    if (wrong > 0) throw new Error(`${wrong} requests were not answered as they should have been`);
    const { user, system } = process.cpuUsage(processor);
    return {
      finished: requests,
      figures: {
        callsPerSecond: requests / elapsed,
        p50,
        p99,
        processorTime: (user + system) / requests,
        threadProcessorTime: thread === null ? null : (threadTime() - thread) / requests,
        memory: process.memoryUsage.rss(),
      },
    };
  } finally {
    await load.end();
    server.closeAllConnections();
    server.close();
  }
}
