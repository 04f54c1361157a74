// Measures one cell: the contenders take turns, every round in another order, each in a process of its own that lives
// as long as the cell.
import { fileURLToPath } from "node:url";

import { startChild } from "./child.mjs";
import { scenarios } from "./scenarios.mjs";

const fileOf = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Beyond what a measurement takes: connecting, and waiting for what is still in flight. */
const patience = 60;

/** The first measurement also has code to compile and connections to open. */
const warmUp = (round) => (round === 0 ? 1 : 0.2);

async function startProxy(url, wire) {
  const { hostname, port } = new URL(url);
  const file = fileOf("delay-proxy.mjs");
  const proxy = startChild("the delay proxy", process.execPath, file, hostname, port || "5432", String(wire));
  const through = new URL(url);
  through.host = `127.0.0.1:${await proxy.answer(patience)}`;
  return { url: through.href, work: () => proxy.ask({}, patience), end: proxy.end };
}

/**
 * @returns {Promise<{ rounds: Record<string, object[]>, wire: object[] }>} the figures of every contender's rounds, and
 *   what the delay proxy did in each
 */
export async function measureCell(cell, { contenders, database, rounds, seconds, progress }) {
  const { scenario, sessions, way, every, wire: delay } = cell.series;
  const results = Object.fromEntries(contenders.map(({ id }) => [id, []]));
  const wire = [];
  const proxy = delay ? await startProxy(database.url, delay) : undefined;
  const url = proxy?.url ?? database.url;
  const file = fileOf("worker.mjs");
  const workers = contenders.map(({ id, label, program }) => startChild(label, program.file, file, id, url));
  try {
    for (let round = 0; round < rounds; round += 1) {
      for (let turn = 0; turn < contenders.length; turn += 1) {
        const place = (round + turn) % contenders.length;
        const { id, label } = contenders[place];
        progress(cell.name, `round ${round + 1} of ${rounds}, ${label}`);
        const request = { scenario, sessions, way, every, wire: delay, inFlight: cell.inFlight, seconds, warmUp: warmUp(round) };
        request.label = `${id}-${cell.inFlight}-${round}-`;
        await proxy?.work();
        const { finished, figures } = await workers[place].ask(request, seconds + patience);
        if (proxy) wire.push({ cell: cell.name, contender: id, delay, ...(await proxy.work()) });
        await scenarios[scenario].verify?.(database.sql, request, finished);
        results[id].push(figures);
      }
    }
  } finally {
    await Promise.all([...workers, ...(proxy ? [proxy] : [])].map((child) => child.end()));
  }
  return { rounds: results, wire };
}
