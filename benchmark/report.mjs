// The run in words: a table for every cell, then the goals.
import { table as markdown } from "../tools/table.mjs";
import { cells } from "./cells.mjs";
import { contenders, labelOf } from "./contenders.mjs";
import { ahead } from "./goals.mjs";
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

/** The cells in which somebody else is ahead. */
export function aheadLines(results) {
  const all = ahead(results);
  const lost = all.filter(({ rivals }) => rivals.length > 0);
  const lines = lost.map(({ cell, figure, rivals }) =>
    `  ${cell}, ${figures[figure].heading}: ${rivals.map(({ label, by }) => `${label} by ${Math.round((by - 1) * 100)}%`).join(", ")}`);
  return [`cells in which somebody else is ahead: ${lost.length} of ${all.length}`, ...lines].join("\n");
}

const speeds = [
  ["whole web requests, 64 connections", "web@64", "callsPerSecond", "/s"],
  ["the same, the database 1 ms away", "web-delayed@64", "callsPerSecond", "/s"],
  ["round trips from nothing to the first session", "cold-start@1", "roundTrips", ""],
  ["validate a session, 256 in flight", "validate@256", "callsPerSecond", "/s"],
  ["processor time of the JavaScript thread for each", "validate@256", "threadProcessorTime", " us"],
  ["p50 of a single call", "validate@1", "p50", " ms"],
  ["sign up, 64 in flight", "sign-up@64", "callsPerSecond", "/s"],
];

/** The README's table: a row for each figure, a column for each contender that one of them was taken of. */
export function speedTable(results) {
  const value = ([, cell, figure, unit], id) => {
    const rounds = roundsOf(results, cell, id, figure);
    return rounds ? `${figures[figure].show(median(rounds))}${unit}` : "";
  };
  const shown = contenders.filter(({ id }) => speeds.some((speed) => value(speed, id)));
  return markdown(speeds.filter(([, cell]) => results[cell]).map((speed) => Object.fromEntries([
    ["", speed[0]], ...shown.map(({ id, label }) => [label, value(speed, id)]),
  ])));
}

/** Whether the delay proxy was a wire and not a contender. */
export function wireLine(wire) {
  const held = Math.max(...wire.map(({ heldFor, delay }) => Math.abs(heldFor - delay)));
  const flights = wire.filter(({ flights }) => flights).map(({ cell, contender, flights }) => [`${cell} ${labelOf(contender)}`, flights]);
  const share = Math.max(...wire.map(({ processorShare }) => processorShare));
  const chunks = Math.max(...wire.map(({ chunksPerSecond }) => chunksPerSecond));
  return `delay proxy: was wrong by ${held.toFixed(2)} ms at most, carried up to ${thousands(chunks)} chunks/s, `
    + `used up to ${Math.round(share * 100)}% of one core`
    + Object.entries(Object.fromEntries(flights)).map(([who, count]) => `\n  ${who}: ${count} flights on a connection`).join("");
}
