// What is measured: a cell is a scenario on a table of so many sessions, over a short or a long wire, with so many
// calls in flight. Its name is how `--only` and the goals ask for it.
import { scenarios } from "./scenarios.mjs";

const levels = [1, 10, 64, 256, 1024];
const node = ["this-package", "reference-postgres", "reference-pg", "javascript-postgres", "javascript-pg"];
const likeLucia = ["this-package", "reference-postgres", "reference-pg"];

/**
 * `wire`: milliseconds that everything takes each way. `way`: how calls come, if not in so many lanes: `web` by requests
 * to a server, `cold` each with an adapter of its own, `paced` one every so many milliseconds. `figure`: what the
 * contenders are compared by. `large`: only with `--large`.
 */
const all = [
  { name: "web", scenario: "validate", way: "web", levels: [64], contenders: [...node, "memory"], what: "a web server's requests, each validated by Lucia" },
  { name: "web-delayed", scenario: "validate", way: "web", levels: [64], wire: 1, contenders: [...node, "memory"], what: "a web server's requests, each validated by Lucia" },
  { name: "cold-start", scenario: "validate", way: "cold", levels: [1], wire: 10, figure: "roundTrips", contenders: [...node, "bun"],
    what: "from nothing to the first session" },
  { name: "validate", scenario: "validate", levels },
  { name: "validate-delayed", scenario: "validate", levels, wire: 1 },
  ...[1, 5].map((every) => ({
    name: `every-${every}ms`, scenario: "validate", way: "paced", every, levels: [1], figure: "processorTime",
    contenders: [...node, "bun"], what: `validate a session every ${every} ms`,
  })),
  { name: "validate-1000", scenario: "validate", sessions: 1_000, levels: [1, 256] },
  { name: "validate-1000000", scenario: "validate", sessions: 1_000_000, levels: [1, 256] },
  { name: "validate-partitioned", scenario: "validate", sessions: 1_000_000, levels: [1, 256], table: { partitions: 16 },
    contenders: likeLucia, what: "validate a session, of a hash-partitioned table" },
  { name: "validate-60-columns", scenario: "validate", levels: [1, 256], table: { columns: 60 }, contenders: likeLucia,
    what: "validate a session of 60 columns" },
  { name: "validate-10000000", scenario: "validate", sessions: 10_000_000, levels: [1, 256], large: true },
  { name: "sign-up", scenario: "sign-up", levels },
  { name: "sign-in", scenario: "sign-in", levels },
  // Every user signs out once: there must be enough of them.
  { name: "sign-out", scenario: "sign-out", sessions: 500_000, levels },
  { name: "validate-3", scenario: "validate-3", levels: [1, 256] },
  { name: "renew-3", scenario: "renew-3", levels: [1, 256] },
];

export const series = all.map((one) => {
  const sessions = one.sessions ?? 100_000;
  const wire = one.wire ? `, a wire of ${one.wire} ms each way` : "";
  const what = one.what ?? scenarios[one.scenario].title;
  return { ...one, sessions, title: `${what} (${sessions.toLocaleString("en")} sessions${wire})` };
});

export const cells = series.flatMap((one) =>
  one.levels.map((inFlight) => ({ series: one, name: `${one.name}@${inFlight}`, inFlight })));

/** What the contenders of a cell are compared by: a call that is alone by how long it takes. */
export const decisive = ({ series: { figure }, inFlight }) => figure ?? (inFlight === 1 ? "p50" : "callsPerSecond");

/** Whether `other` works on the same tables, so that they need not be made anew. */
export const sharesTables = (one, other) =>
  one.scenario === "validate" && other?.scenario === "validate" && one.sessions === other.sessions && one.table === other.table;

/** The cells that the names mean: `sign-up@64`, or `sign-up` for all of a series. */
export function cellsNamed(names) {
  const means = (name, cell) => cell.name === name || cell.series.name === name;
  const unknown = names.find((name) => !cells.some((cell) => means(name, cell)));
  if (unknown) throw new Error(`no cell is called ${unknown}: there are ${cells.map(({ name }) => name).join(", ")}`);
  return cells.filter((cell) => names.some((name) => means(name, cell)));
}
