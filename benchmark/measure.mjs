// One measurement: so many calls in flight, each lane starting its next call when its last one is answered, or calls at a fixed rate. The lanes
// run before the clock starts and after it stops, and every answer is checked; only calls answered in between count.
import { performance } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";

import { threadTime } from "./thread-time.mjs";

/**
 * The newest latencies; a power of two, so that a number is cut to a place by its last bits. Filled, so that its memory is
 * there for all contenders alike, not for the quick ones alone.
 */
const latencies = new Float32Array(1 << 20).fill(0);
const timerInterval = 10;

function percentile(sorted, share) {
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** How late a timer fires while the thread is busy, and the largest resident set that it sees, until told to stop. */
function watch() {
  const delays = [];
  let memory = 0;
  let due = performance.now() + timerInterval;
  const timer = setInterval(() => {
    const now = performance.now();
    delays.push(Math.max(0, now - due));
    due = now + timerInterval;
    memory = Math.max(memory, process.memoryUsage.rss());
  }, timerInterval);
  return () => {
    clearInterval(timer);
    // A thread that was busy throughout is late by all of it.
    delays.push(Math.max(0, performance.now() - due));
    delays.sort((a, b) => a - b);
    return { loopDelay: percentile(delays, 0.99), memory: Math.max(memory, process.memoryUsage.rss()) };
  };
}

export async function measure({ begin, check }, { inFlight, seconds, warmUp, every }) {
  let running = true;
  let counting = false;
  let started = 0;
  let finished = 0;
  let counted = 0;

  async function call() {
    const n = started++;
    const from = performance.now();
    const answer = await begin(n);
    const to = performance.now();
    check(answer, n);
    finished += 1;
    if (counting) latencies[counted++ & (latencies.length - 1)] = to - from;
  }

  async function lane() {
    while (running) await call();
  }

  /** One call every so many milliseconds, whether the last one has been answered or not. */
  async function paced() {
    const calls = [];
    while (running) {
      calls.push(call());
      await wait(every);
    }
    await Promise.all(calls);
  }

  const lanes = every ? paced() : Promise.all(Array.from({ length: inFlight }, lane));
  await Promise.race([lanes, wait(warmUp * 1000)]);
  // The first calls of lanes that begin together wait less than the later ones: they come too early to count.
  while (finished < inFlight) await Promise.race([lanes, wait(10)]);

  const stopWatching = watch();
  const clock = performance.now();
  const processor = process.cpuUsage();
  const thread = threadTime();
  const loop = performance.eventLoopUtilization();
  counting = true;
  await Promise.race([lanes, wait(seconds * 1000)]);
  counting = false;
  const utilization = performance.eventLoopUtilization(loop);
  const threadUsed = thread === null ? null : threadTime() - thread;
  const { user, system } = process.cpuUsage(processor);
  const elapsed = performance.now() - clock;
  const { loopDelay, memory } = stopWatching();

  running = false;
  await lanes;
  if (counted === 0) throw new Error("no call was answered while the clock ran: measure for a longer time");
  const sorted = latencies.subarray(0, Math.min(counted, latencies.length)).sort();
  return {
    finished,
    figures: {
      callsPerSecond: (counted / elapsed) * 1000,
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      processorTime: (user + system) / counted,
      threadProcessorTime: threadUsed === null ? null : threadUsed / counted,
      threadBusyTime: utilization.active === 0 ? null : (utilization.active * 1000) / counted,
      loopDelay,
      memory,
    },
  };
}
