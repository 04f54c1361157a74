// A longer wire: relays TCP connections to a server and holds every chunk back, in both directions.
// `node delay-proxy.mjs HOST PORT MILLISECONDS` prints the port it listens on, answers every line of its input with
// what it has done since the last one, and ends with its input.
//
// Timers are no use here: Node's count whole milliseconds. While chunks are held, the thread looks for arrivals and for
// chunks that are due, then sleeps for a fraction of a millisecond. What it finds on waking arrived, on average, in the
// middle of the sleep, and what falls due in the first half of the next sleep leaves at once, so that the errors cancel
// out. It sleeps in the kernel, which leaves the processor to the client and the server.
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

const [host, port, milliseconds] = process.argv.slice(2);
const delay = Number(milliseconds);
const sleep = 0.1;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Chunks in the order in which they arrived, which is the order in which they fall due. */
let held = [];
let first = 0;
let polling = false;
let lookedAt = 0;
/** How long a turn of the loop takes, sleep included: the mean of the last few. */
let turn = sleep;
let work = newWork();

function newWork() {
  return { chunks: 0, milliseconds: 0, flights: [], since: performance.now(), processor: process.cpuUsage() };
}

function hold(deliver) {
  const now = performance.now();
  held.push({ arrived: polling ? (lookedAt + now) / 2 : now, deliver });
  if (polling) return;
  polling = true;
  lookedAt = now;
  setImmediate(poll);
}

function poll() {
  const now = performance.now();
  turn += (Math.min(now - lookedAt, 1) - turn) / 16;
  lookedAt = now;
  for (; first < held.length && held[first].arrived + delay <= now + turn / 2; first += 1) {
    held[first].deliver();
    work.chunks += 1;
    work.milliseconds += now - held[first].arrived;
  }
  if (first > 1024 || first === held.length) {
    held = held.slice(first);
    first = 0;
  }
  polling = held.length > 0;
  if (!polling) return;
  Atomics.wait(sleeper, 0, 0, sleep);
  setImmediate(poll);
}

/** A message that says goodbye, and is answered by nothing. */
const isTerminate = (chunk) => chunk.length === 5 && chunk[0] === 0x58;

/** `connection` counts how often the direction changes. */
function relay(from, to, connection) {
  from.setNoDelay(true);
  from.on("data", (chunk) => {
    if (connection.last !== from && !isTerminate(chunk)) connection.flights += 1;
    connection.last = from;
    hold(() => to.writable && to.write(chunk));
  });
  from.on("end", () => hold(() => to.end()));
  from.on("error", () => to.destroy());
}

const server = createServer({ allowHalfOpen: true }, (client) => {
  const upstream = connect({ host, port: Number(port), allowHalfOpen: true });
  const connection = { flights: 0 };
  relay(client, upstream, connection);
  relay(upstream, client, connection);
  client.on("close", () => work.flights.push(connection.flights));
}).listen(0, "127.0.0.1", () => console.log(server.address().port));

const input = createInterface({ input: process.stdin });
input.on("line", () => {
  const { user, system } = process.cpuUsage(work.processor);
  const elapsed = performance.now() - work.since;
  console.log(JSON.stringify({
    // Of the connections that were closed, the median.
    flights: work.flights.sort((a, b) => a - b)[work.flights.length >> 1],
    heldFor: work.milliseconds / work.chunks,
    chunksPerSecond: (work.chunks / elapsed) * 1000,
    processorShare: (user + system) / 1000 / elapsed,
  }));
  work = newWork();
});
input.on("close", () => process.exit());
