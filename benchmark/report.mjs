// The run in words: a table for every cell, then the goals.
import { cells } from "./cells.mjs";
import { contenders, labelOf } from "./contenders.mjs";
import { figures, median, roundsOf, thousands } from "./figures.mjs";

/** Columns as wide as their widest cell; the first is text, the others are numbers. */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]));
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

function summary(results, cell, id, name) {
  const rounds = roundsOf(results, cell, id, name);
  if (!rounds) return "-";
  const { show } = figures[name];
  const spread = name === "callsPerSecond" ? ` (${show(Math.min(...rounds))} - ${show(Math.max(...rounds))})` : "";
  return show(median(rounds)) + spread;
}

export function cellTables(results) {
  const headings = ["", ...Object.values(figures).map(({ heading }) => heading)];
  return cells.filter(({ name }) => results[name]).map(({ name, series, inFlight }) => {
    const rows = contenders.filter(({ id }) => results[name][id])
      .map(({ id, label }) => [label, ...Object.keys(figures).map((figure) => summary(results, name, id, figure))]);
    return `${series.title}, ${inFlight} in flight\n${table([headings, ...rows])}`;
  }).join("\n\n");
}

export const legend = `\
CPU: processor time of the contender's process for each call; thread: the same of its JavaScript thread alone, and the
time for which that thread's event loop was not idle; loop delay: how late a timer fires, 99th percentile; memory: the
largest resident set. All of it includes the harness, which calls the contender and checks its answers.`;

/** A ratio far below one reads better as a fraction. */
function ratio(value) {
  return value < 0.2 ? `1/${(1 / value).toFixed(1).replace(/\.0$/, "")}` : `${Number(value.toFixed(2))}x`;
}

function rivals(against) {
  if (!against) return "";
  const labels = against.map(labelOf).join(", ");
  return against.length > 1 ? `, against the best of ${labels}` : `, against ${labels}`;
}

export function goalTable(judged) {
  const rows = judged.map(({ cells: names, figure, against, must, limit, measured, lowest, highest, reached }) => {
    const show = against ? ratio : figures[figure].show;
    const subject = `${names.join(", ")}: ${figures[figure].heading}`;
    return [
      subject + rivals(against),
      `${must} ${show(limit)}`,
      measured === undefined ? "-" : show(measured),
      measured === undefined ? "" : `(${show(lowest)} - ${show(highest)})`,
      reached === undefined ? "not measured" : reached ? "pass" : "miss",
    ];
  });
  return table([["goal", "limit", "measured", "lowest - highest", ""], ...rows]);
}

/** Whether the delay proxy was a wire and not a contender. */
export function wireLine(wire) {
  const held = median(wire.map(({ heldFor }) => heldFor));
  const share = Math.max(...wire.map(({ processorShare }) => processorShare));
  const chunks = Math.max(...wire.map(({ chunksPerSecond }) => chunksPerSecond));
  return `delay proxy: held a chunk for ${held.toFixed(2)} ms, carried up to ${thousands(chunks)} chunks/s, `
    + `used up to ${Math.round(share * 100)}% of one core`;
}
