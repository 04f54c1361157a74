// The goals, and where a run stands. `against` names the rivals of whom the best one counts; without it the figure
// itself is held to the limit. Of several cells the worst counts. Ratios are taken within each round, where the
// contenders ran one after the other, and what counts is the median of the rounds.
import { cells, decisive } from "./cells.mjs";
import { contenders } from "./contenders.mjs";
import { figures, median, roundsOf } from "./figures.mjs";

const self = "this-package";
const byHand = ["javascript-postgres", "javascript-pg"];
const everyNode = ["reference-postgres", "reference-pg", ...byHand];
const manyInFlight = ["validate@64", "validate@256", "validate@1024"];

export const goals = [
  { cells: ["web@64"], figure: "callsPerSecond", against: ["reference-postgres"], must: ">=", limit: 12 },
  { cells: ["web@64"], figure: "callsPerSecond", against: ["reference-pg"], must: ">=", limit: 9 },
  { cells: ["web@64"], figure: "callsPerSecond", against: ["memory"], must: ">=", limit: 0.85 },
  { cells: ["web-delayed@64"], figure: "callsPerSecond", against: ["reference-postgres"], must: ">=", limit: 20 },
  { cells: ["web-delayed@64"], figure: "callsPerSecond", against: ["reference-pg"], must: ">=", limit: 10 },
  { cells: ["web-delayed@64"], figure: "callsPerSecond", against: ["memory"], must: ">=", limit: 0.5 },
  { cells: ["cold-start@1"], figure: "roundTrips", must: "<=", limit: 2.5 },
  { cells: ["validate@256"], figure: "callsPerSecond", against: ["reference-postgres"], must: ">=", limit: 30 },
  { cells: ["validate@256"], figure: "callsPerSecond", against: ["reference-pg"], must: ">=", limit: 20 },
  { cells: ["validate@256"], figure: "callsPerSecond", against: ["pgbench"], must: ">=", limit: 3 },
  { cells: ["validate@256"], figure: "callsPerSecond", against: ["bun"], must: ">=", limit: 2 },
  { cells: ["validate@64"], figure: "callsPerSecond", against: byHand, must: ">=", limit: 3.5 },
  { cells: ["validate@64"], figure: "callsPerSecond", against: ["bun"], must: ">=", limit: 1.5 },
  { cells: ["validate@10"], figure: "callsPerSecond", against: byHand, must: ">=", limit: 1.5 },
  { cells: ["validate@10"], figure: "callsPerSecond", against: ["bun"], must: ">=", limit: 1.1 },
  { cells: ["validate@1"], figure: "p50", against: byHand, must: "<=", limit: 1 },
  { cells: ["validate@1"], figure: "p50", against: ["bun"], must: "<=", limit: 1 },
  { cells: manyInFlight, figure: "threadBusyTime", must: "<=", limit: 4 },
  { cells: manyInFlight, figure: "threadBusyTime", against: ["reference-postgres"], must: "<=", limit: 1 / 50 },
  { cells: manyInFlight, figure: "threadProcessorTime", must: "<=", limit: 4 },
  { cells: manyInFlight, figure: "threadProcessorTime", against: ["reference-postgres"], must: "<=", limit: 1 / 50 },
  { cells: ["validate-delayed@256"], figure: "callsPerSecond", against: ["reference-postgres"], must: ">=", limit: 70 },
  { cells: ["validate-delayed@256"], figure: "callsPerSecond", against: ["reference-pg"], must: ">=", limit: 40 },
  { cells: ["validate-delayed@256"], figure: "callsPerSecond", against: ["javascript-postgres"], must: ">=",
    limit: 2.5 },
  { cells: ["validate-delayed@256"], figure: "callsPerSecond", against: ["bun"], must: ">=", limit: 1.5 },
  { cells: ["validate-delayed@64"], figure: "callsPerSecond", against: ["bun"], must: ">=", limit: 1.3 },
  { cells: ["validate-delayed@10"], figure: "callsPerSecond", against: ["bun"], must: ">=", limit: 1.1 },
  { cells: ["validate-delayed@1"], figure: "p50", against: ["bun"], must: "<=", limit: 1 },
  { cells: ["validate-delayed@1"], figure: "p50", against: byHand, must: "<=", limit: 1 },
  { cells: ["every-1ms@1", "every-5ms@1"], figure: "processorTime", against: ["javascript-pg"], must: "<=", limit: 0.6 },
  { cells: ["sign-up@64"], figure: "callsPerSecond", against: ["reference-pg"], must: ">=", limit: 3 },
  ...["validate-3@256", "renew-3@256"].flatMap((cell) => [
    { cells: [cell], figure: "callsPerSecond", against: ["reference-postgres"], must: ">=", limit: 25 },
    { cells: [cell], figure: "callsPerSecond", against: ["reference-pg"], must: ">=", limit: 20 },
  ]),
  { cells: ["sign-up@1", "sign-in@1", "sign-out@1"], figure: "callsPerSecond", against: ["bun"], must: ">=", limit: 1 },
  { cells: ["sign-up@1", "sign-in@1", "sign-out@1"], figure: "callsPerSecond", against: byHand, must: ">=", limit: 1 },
  { cells: ["validate@256"], figure: "memory", against: everyNode, must: "<", limit: 1 },
];

/** How far ahead of this package each contender is that is ahead in a cell, by what the cell compares. */
export function ahead(results) {
  return cells.filter(({ name }) => results[name]?.[self]).map((cell) => {
    const figure = decisive(cell);
    const own = roundsOf(results, cell.name, self, figure);
    const rivals = contenders.filter(({ id, isLimit }) => id !== self && !isLimit).flatMap(({ id, label }) => {
      const rounds = roundsOf(results, cell.name, id, figure);
      if (!own || !rounds) return [];
      const by = median(own.map((value, round) => (figure === "callsPerSecond" ? rounds[round] / value : value / rounds[round])));
      return by > 1 ? [{ label, by }] : [];
    });
    return { cell: cell.name, figure, rivals };
  });
}

/** For every cell that a goal needs, the contenders that it needs there. */
export function neededFor() {
  const needed = new Map();
  for (const { cells, against = [] } of goals) {
    for (const cell of cells) needed.set(cell, new Set([...(needed.get(cell) ?? [self]), ...against]));
  }
  return needed;
}

const reaches = {
  ">=": (value, limit) => value >= limit,
  "<=": (value, limit) => value <= limit,
  "<": (value, limit) => value < limit,
};

/** The goal's measured value, or undefined if one of those it compares was not measured. */
function standing(goal, cell, results) {
  const own = roundsOf(results, cell, self, goal.figure);
  const rivals = (goal.against ?? []).map((id) => roundsOf(results, cell, id, goal.figure));
  if (!own || rivals.includes(undefined)) return undefined;
  const best = figures[goal.figure].better(...rivals.map(median));
  const rival = rivals.find((rounds) => median(rounds) === best);
  const values = own.map((value, round) => (rival ? value / rival[round] : value));
  return { measured: median(values), lowest: Math.min(...values), highest: Math.max(...values) };
}

export function judge(results) {
  return goals.map((goal) => {
    const standings = goal.cells.map((cell) => standing(goal, cell, results));
    if (standings.includes(undefined)) return goal;
    const worst = goal.must === ">=" ? Math.min : Math.max;
    const measured = worst(...standings.map((one) => one.measured));
    const decisive = standings.find((one) => one.measured === measured);
    return { ...goal, ...decisive, reached: reaches[goal.must](measured, goal.limit) };
  });
}
