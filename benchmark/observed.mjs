// `node benchmark/observed.mjs`: what a validation costs while a subscriber listens to all channels of
// `lucia-postgres-native:call`, beside one that nobody observes. Both are measured in turns, in one process, on a PostgreSQL of its own.
// Exits with 1 when a call takes as many times as long as `--limit` says, or so much more of the processor.
//
//   --rounds N    how often each is measured
//   --seconds N   for how long
//   --limit N     1.3 unless it is given
import { tracingChannel } from "node:diagnostics_channel";
import { parseArgs } from "node:util";

import { LuciaError } from "lucia";

import { startServer } from "../tools/server.mjs";
import { open } from "./contenders/this-package.mjs";
import { createDatabase } from "./database.mjs";
import { median } from "./figures.mjs";
import { measure } from "./measure.mjs";
import { scenarios } from "./scenarios.mjs";

const { values } = parseArgs({ options: {
  rounds: { type: "string", default: "7" }, seconds: { type: "string", default: "1" }, limit: { type: "string", default: "1.3" },
} });
const [rounds, seconds, limit] = [values.rounds, values.seconds, values.limit].map(Number);
const sessions = 10_000;

let told = 0;
const count = () => {
  told += 1;
};
const subscriber = { start: count, end: count, asyncStart: count, asyncEnd: count, error: count };
const channel = tracingChannel("lucia-postgres-native:call");

async function measured(adapter, inFlight, isObserved) {
  if (isObserved) channel.subscribe(subscriber);
  told = 0;
  const { finished, figures } = await measure(scenarios.validate.prepare(adapter, { sessions }), { inFlight, seconds, warmUp: 0.3 });
  if (isObserved) channel.unsubscribe(subscriber);
  const expected = isObserved ? 4 * finished : 0;
  if (told !== expected) throw new Error(`${told} events of ${finished} calls`);
  return figures;
}

const ratio = (rounds_, figure) => median(rounds_.map(([without, observed]) => observed[figure] / without[figure]));

const server = await startServer({ settings: { fsync: "on", shared_buffers: "512MB" }, hba: "host all all all trust" });
const database = await createDatabase(server.url(), { sessions });
const { adapter, end } = open(database.url, LuciaError);
try {
  console.log("in flight | calls/s | observed | time of a call | CPU of a call | CPU of the thread");
  for (const inFlight of [1, 64, 256]) {
    const pairs = [];
    for (let round = 0; round < rounds; round += 1) {
      const first = round % 2 === 1;
      const one = await measured(adapter, inFlight, first);
      const other = await measured(adapter, inFlight, !first);
      pairs.push(first ? [other, one] : [one, other]);
    }
    const speed = [0, 1].map((which) => Math.round(median(pairs.map((pair) => pair[which].callsPerSecond))));
    const costs = { "time of a call": 1 / ratio(pairs, "callsPerSecond"), "CPU of a call": ratio(pairs, "processorTime") };
    const times = [...Object.values(costs), ratio(pairs, "threadProcessorTime")];
    console.log([inFlight, ...speed, ...times.map((time) => time.toFixed(2))].join(" | "));
    for (const [what, cost] of Object.entries(costs)) {
      if (cost < limit) continue;
      console.error(`with ${inFlight} in flight the ${what} is ${cost.toFixed(2)} times as high; the limit is ${limit}`);
      process.exitCode = 1;
    }
  }
} finally {
  await end();
  await database.drop();
  await server.stop();
}
