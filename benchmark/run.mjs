// `npm run benchmark`: this package beside everything else that a program could use, in one run.
//
//   --quick             the goals alone, in less than five minutes
//   --large             ten million sessions too
//   --only CELLS        some cells, such as `validate@256,sign-up`
//   --contenders IDS    some contenders, such as `this-package,bun`
//   --rounds N          how often each contender is measured in each cell
//   --seconds N         for how long
//
// It starts a PostgreSQL of its own with the settings of a server in production, or works in databases of its own on
// the server of DATABASE_URL. A complete run writes `results.svg` and `results.json` beside this file, any other run
// `partial.*`. It fails when an answer was wrong, not when a goal is missed.
import { writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";

import { sharesTables } from "./cells.mjs";
import { chart } from "./chart.mjs";
import { createDatabase } from "./database.mjs";
import { judge } from "./goals.mjs";
import { makePlan } from "./plan.mjs";
import { progressOver } from "./progress.mjs";
import { aheadLines, cellTables, goalTable, legend, speedTable, wireLine } from "./report.mjs";
import { measureCell } from "./rounds.mjs";
import { scenarios } from "./scenarios.mjs";

const productionSettings = { fsync: "on", shared_buffers: "512MB", max_wal_size: "4GB" };

async function ownServer() {
  const { startServer } = await import("../tools/server.mjs");
  const server = await startServer({ settings: productionSettings, hba: "host all all all trust" });
  return { url: server.url(), stop: () => server.stop() };
}

const { steps, present, rounds, seconds, complete } = makePlan(process.argv.slice(2));
const load = loadavg()[0];
const given = process.env.DATABASE_URL;
const server = given ? { url: given, async stop() {} } : await ownServer();
const progress = progressOver(rounds * steps.reduce((sum, step) => sum + step.contenders.length, 0));
const results = {};
const wire = [];
let settings;
let creation;
let database;
let series;

// A server of our own goes as a whole when this is interrupted; on somebody else's, what was made there goes.
if (given) {
  process.once("SIGINT", async () => {
    const interrupted = await creation;
    await interrupted?.drop();
    process.exit(130);
  });
}

try {
  for (const { cell, contenders } of steps) {
    if (!series || !(series === cell.series || sharesTables(cell.series, series))) {
      await database?.drop();
      creation = createDatabase(server.url, cell.series);
      database = await creation;
      await scenarios[cell.series.scenario].setUp?.(database.sql);
    }
    series = cell.series;
    settings ??= await database.sql`
      SELECT name, current_setting(name) AS setting FROM pg_settings
      WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'shared_buffers', 'max_wal_size')`;
    const measured = await measureCell(cell, { contenders, database, rounds, seconds, progress });
    results[cell.name] = measured.rounds;
    wire.push(...measured.wire);
  }
} finally {
  progress();
  await database?.drop();
  await server.stop();
}

const conditions = {
  machine: `${cpus().length} cores of ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}, `
    + `load ${load.toFixed(1)} before the start`,
  server: settings.map(({ name, setting }) => `${name} ${setting}`).join(", "),
  contenders: [...new Set(present.map(({ program }) => program.version))].join(", "),
  measured: `${rounds} rounds of ${seconds} s, medians`,
};

/** A line for every part, numbers to five places. */
function toJson(parts) {
  const round = (_, value) => (typeof value === "number" ? Number(value.toPrecision(5)) : value);
  const lines = Object.entries(parts).map(([name, part]) => `${JSON.stringify(name)}: ${JSON.stringify(part, round)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

const judged = judge(results).filter((goal) => goal.cells.every((name) => results[name]));
const file = (extension) => new URL(`${complete ? "results" : "partial"}.${extension}`, import.meta.url);
writeFileSync(file("json"), toJson({ conditions, goals: judged, wire, ...results }));
writeFileSync(file("svg"), chart(results));

console.log(`\n${cellTables(results)}\n\n${legend}\n`);
for (const [what, value] of Object.entries(conditions)) console.log(`${what}: ${value}`);
if (wire.length > 0) console.log(wireLine(wire));
console.log(`\n${aheadLines(results)}`);
console.log(`\n${speedTable(results)}`);
if (judged.length > 0) console.log(`\n${goalTable(judged)}`);
