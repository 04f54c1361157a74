// What is measured: a cell is a scenario on a table of so many sessions, over a short or a long wire, with so many
// calls in flight. Its name is how `--only` and the goals ask for it.
import { scenarios } from "./scenarios.mjs";

/** One way, in milliseconds. */
export const delay = 1;
const levels = [1, 10, 64, 256, 1024];

export const series = [
  { name: "validate", scenario: "validate", sessions: 100_000, levels },
  { name: "validate-delayed", scenario: "validate", sessions: 100_000, levels, delayed: true },
  { name: "validate-1000", scenario: "validate", sessions: 1_000, levels: [1, 256] },
  { name: "validate-1000000", scenario: "validate", sessions: 1_000_000, levels: [1, 256] },
  { name: "sign-up", scenario: "sign-up", sessions: 100_000, levels },
  { name: "sign-in", scenario: "sign-in", sessions: 100_000, levels },
  // Every user signs out once: there must be enough of them.
  { name: "sign-out", scenario: "sign-out", sessions: 500_000, levels },
  { name: "validate-3", scenario: "validate-3", sessions: 100_000, levels: [1, 256] },
  { name: "renew-3", scenario: "renew-3", sessions: 100_000, levels: [1, 256] },
].map((one) => ({
  ...one,
  title: `${scenarios[one.scenario].title} (${one.sessions.toLocaleString("en")} sessions`
    + `${one.delayed ? `, a wire of ${delay} ms each way` : ""})`,
}));

export const cells = series.flatMap((one) =>
  one.levels.map((inFlight) => ({ series: one, name: `${one.name}@${inFlight}`, inFlight })));

/** The cells that the names mean: `sign-up@64`, or `sign-up` for all of a series. */
export function cellsNamed(names) {
  const means = (name, cell) => cell.name === name || cell.series.name === name;
  const unknown = names.find((name) => !cells.some((cell) => means(name, cell)));
  if (unknown) throw new Error(`no cell is called ${unknown}: there are ${cells.map(({ name }) => name).join(", ")}`);
  return cells.filter((cell) => names.some((name) => means(name, cell)));
}
