// A process of its own for every contender: `worker.mjs CONTENDER URL` makes one measurement for every line of its
// input, answers each with a line of its own, and ends with its input. Node and Bun run the same file.
import { createInterface } from "node:readline";

import { LuciaError } from "lucia";

import { measure } from "./measure.mjs";
import { scenarios } from "./scenarios.mjs";

const [id, url] = process.argv.slice(2);
const contender = await import(`./contenders/${id}.mjs`);
// Most contenders are adapters; one that is a program of its own brings its own way to measure.
const { adapter, end } = contender.measure ? { end() {} } : contender.open(url, LuciaError);

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = contender.measure
    ? contender.measure(url, request)
    : await measure(scenarios[request.scenario].prepare(adapter, request), request);
  console.log(JSON.stringify(answer));
}
await end();
process.exit();
