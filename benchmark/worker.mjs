// A process of its own for every contender: `worker.mjs CONTENDER URL` makes one measurement for every line of its
// input, answers each with a line of its own, and ends with its input. Node and Bun run the same file.
import { createInterface } from "node:readline";

import { LuciaError } from "lucia";

import { measureCold } from "./cold.mjs";
import { measure } from "./measure.mjs";
import { scenarios } from "./scenarios.mjs";
import { measureWeb } from "./web.mjs";

const [id, url] = process.argv.slice(2);
const contender = await import(`./contenders/${id}.mjs`);
/** Opened when they are first needed: connections are shared, and would be there for who is to begin with none. */
const opened = new Map();

/** The contender's adapter for the scenario. */
async function adapterFor({ openers }) {
  const open = openers?.[id] ?? contender.open;
  if (!opened.has(open)) opened.set(open, await open(url, LuciaError));
  return opened.get(open).adapter;
}

const ways = {
  web: async (scenario, request) => measureWeb(await adapterFor(scenario), request),
  cold: (_, request) => measureCold(() => contender.open(url, LuciaError), request),
  calls: async (scenario, request) => measure(scenario.prepare(await adapterFor(scenario), request), request),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const way = ways[request.way] ?? ways.calls;
  // Most contenders are adapters; one that is a program of its own brings its own way to measure.
  const answer = contender.measure ? contender.measure(url, request) : await way(scenarios[request.scenario], request);
  console.log(JSON.stringify(answer));
}
for (const { end } of opened.values()) await end();
process.exit();
