// From nothing to the first session: an adapter of its own for every call, which is ended before the next one begins.
import { performance } from "node:perf_hooks";

import { median } from "./figures.mjs";
import { scenarios } from "./scenarios.mjs";

/** The first ones also have code to compile. */
const UNCOUNTED = 3;
const FEWEST = 5;

export async function measureCold(open, request) {
  let current;
  const whichever = { getSessionAndUser: (id) => current.adapter.getSessionAndUser(id) };
  const { begin, check } = scenarios[request.scenario].prepare(whichever, request);
  const took = [];
  const end = performance.now() + (request.warmUp + request.seconds) * 1000;
  for (let n = -UNCOUNTED; n < FEWEST || performance.now() < end; n += 1) {
    const from = performance.now();
    current = open();
    const answer = await begin(n + UNCOUNTED);
    const to = performance.now();
    check(answer, n + UNCOUNTED);
    await current.end();
    if (n >= 0) took.push(to - from);
  }
  const p50 = median(took);
  return { finished: took.length, figures: { roundTrips: p50 / (2 * request.wire), p50, p99: Math.max(...took) } };
}
