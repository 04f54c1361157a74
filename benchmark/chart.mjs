// The chart of a run: calls per second, one panel for every series, one group of bars for every number of calls in
// flight. A bar is the median of the rounds, the line on it reaches from the lowest to the highest.
import { cells, series } from "./cells.mjs";
import { contenders } from "./contenders.mjs";
import { median, roundsOf } from "./figures.mjs";

const colours = ["#d1495b", "#1d3557", "#457b9d", "#2a9d8f", "#8ab17d", "#e9a23b", "#c8b6ff", "#8d99ae"];
const width = 960;
const margin = 16;
const legendHeight = 64;
const panelHeight = 220;
const barsHeight = 140;
const groupWidth = (width - 2 * margin) / Math.max(...series.map(({ levels }) => levels.length));

const compact = (value) => (value < 1000 ? value.toFixed(0) : `${(value / 1000).toFixed(value < 9950 ? 1 : 0)}k`);
const text = (x, y, content, attributes = "") => `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;

function legend(present) {
  const columns = 4;
  return present.map(({ label, colour }, n) => {
    const x = margin + (n % columns) * ((width - 2 * margin) / columns);
    const y = margin + Math.floor(n / columns) * 20;
    return `<rect x="${x}" y="${y}" width="12" height="12" fill="${colour}"/>${text(x + 18, y + 10, label)}`;
  });
}

function bar({ x, bottom, barWidth, colour, rounds, scale }) {
  const y = (value) => (bottom - value * scale).toFixed(1);
  const middle = x + barWidth / 2;
  const value = median(rounds);
  return [
    `<rect x="${x}" y="${y(value)}" width="${barWidth - 2}" height="${(value * scale).toFixed(1)}" fill="${colour}"/>`,
    `<path d="M${middle - 1} ${y(Math.min(...rounds))}V${y(Math.max(...rounds))}" stroke="#000" stroke-opacity=".5"/>`,
    text(middle - 1, Number(y(Math.max(...rounds))) - 4, compact(value), 'class="value"'),
  ];
}

function panel(one, top, present, results) {
  const shown = cells.filter(({ series: owner, name }) => owner === one && results[name]);
  const bars = shown.map(({ name }) => present
    .map(({ id, colour }) => ({ colour, rounds: roundsOf(results, name, id, "callsPerSecond") }))
    .filter(({ rounds }) => rounds));
  const scale = barsHeight / Math.max(...bars.flat().flatMap(({ rounds }) => rounds));
  const bottom = top + panelHeight - 32;
  const barWidth = Math.floor((groupWidth - 24) / present.length);
  return [
    text(margin, top + 12, `${one.title}: calls per second`, 'class="title"'),
    `<path d="M${margin} ${bottom}H${width - margin}" stroke="#888"/>`,
    ...shown.flatMap(({ inFlight }, n) => {
      const left = margin + n * groupWidth + 12;
      return [
        ...bars[n].flatMap((drawn, place) => bar({ x: left + place * barWidth, bottom, barWidth, scale, ...drawn })),
        text(left, bottom + 16, `${inFlight} in flight`),
      ];
    }),
  ];
}

export function chart(results) {
  const present = contenders.map((contender, n) => ({ ...contender, colour: colours[n] }))
    .filter(({ id }) => Object.values(results).some((cell) => cell[id]?.length > 0));
  const hasRate = (name) => Object.values(results[name] ?? {}).flat().some(({ callsPerSecond }) => callsPerSecond);
  const panels = series.filter((one) => cells.some(({ series: owner, name }) => owner === one && hasRate(name)));
  const height = legendHeight + panels.length * panelHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    "<style>.title { font-weight: bold } .value { font-size: 9px; text-anchor: middle }</style>",
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...legend(present),
    ...panels.flatMap((one, n) => panel(one, legendHeight + n * panelHeight, present, results)),
    "</svg>\n",
  ].join("\n");
}
