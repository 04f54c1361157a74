// A process of its own for every contender: `worker.mjs CONTENDER URL` makes one measurement for every line of its
// input, answers each with a line of its own, and ends with its input. Node and Bun run the same file.
import { createInterface } from "node:readline";

import { LuciaError } from "lucia";

import { measure } from "./measure.mjs";
import { scenarios } from "./scenarios.mjs";

const [id, url] = process.argv.slice(2);
const contender = await import(`./contenders/${id}.mjs`);
const opened = new Map();

/** The contender's adapter for the scenario, opened when it is first asked for. */
async function adapterFor({ openers }) {
  const open = openers?.[id] ?? contender.open;
  if (!opened.has(open)) opened.set(open, await open(url, LuciaError));
  return opened.get(open).adapter;
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const scenario = scenarios[request.scenario];
  // Most contenders are adapters; one that is a program of its own brings its own way to measure.
  const answer = contender.measure
    ? contender.measure(url, request)
    : await measure(scenario.prepare(await adapterFor(scenario), request), request);
  console.log(JSON.stringify(answer));
}
for (const { end } of opened.values()) await end();
process.exit();
