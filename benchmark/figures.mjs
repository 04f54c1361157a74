// What is told about a contender: each figure's heading, which of two values is the better one, and how it is written.
export const thousands = (value) => Math.round(value).toLocaleString("en");
const short = (value) => (value < 0.995 ? value.toFixed(2) : value < 99.5 ? value.toPrecision(3) : thousands(value));

export const figures = {
  roundTrips: { heading: "round trips", better: Math.min, show: short },
  callsPerSecond: { heading: "calls/s", better: Math.max, show: thousands },
  p50: { heading: "p50 ms", better: Math.min, show: short },
  p99: { heading: "p99 ms", better: Math.min, show: short },
  processorTime: { heading: "CPU us", better: Math.min, show: short },
  threadProcessorTime: { heading: "thread CPU us", better: Math.min, show: short },
  threadBusyTime: { heading: "thread busy us", better: Math.min, show: short },
  loopDelay: { heading: "loop delay ms", better: Math.min, show: short },
  memory: { heading: "memory MB", better: Math.min, show: (value) => thousands(value / 1e6) },
};

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

/** The rounds of one figure, or undefined if it was not measured. */
export function roundsOf(results, cell, contender, figure) {
  const rounds = results[cell]?.[contender]?.map((round) => round[figure]);
  return rounds && rounds.length > 0 && rounds.every(Number.isFinite) ? rounds : undefined;
}
