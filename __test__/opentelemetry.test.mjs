// The recipe of docs/opentelemetry.md, with the real SDK.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { installed } from "../tools/installed.mjs";
import { createTables, freshDatabase, tableNames } from "./support/database.mjs";

const packages = {
  "@opentelemetry/api": "1.10.0",
  "@opentelemetry/sdk-metrics": "3.1.0",
  "@opentelemetry/sdk-node": "0.301.0",
  "@opentelemetry/sdk-trace": "3.1.0",
};

const program = (entry) => `
import { trace } from "@opentelemetry/api";
import * as metrics from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import * as tracing from "@opentelemetry/sdk-trace";
import { createRequire } from "node:module";

const spans = new tracing.InMemorySpanExporter();
const measured = new metrics.InMemoryMetricExporter(metrics.AggregationTemporality.CUMULATIVE);
const { connectionTimes, measureTimes } = await import("./connection-times.mjs");
const reader = new metrics.PeriodicExportingMetricReader({ exporter: measured, metricProducers: [connectionTimes], exportIntervalMillis: 3_600_000, exportTimeoutMillis: 60_000 });
const sdk = new NodeSDK({ spanProcessors: [new tracing.SimpleSpanProcessor({ exporter: spans })], metricReaders: [reader], instrumentations: [] });
sdk.start();

const { measureConnections } = await import("./telemetry.mjs");
const { postgres } = createRequire(import.meta.url)(${JSON.stringify(entry)});
const initializer = postgres(process.env.DATABASE_URL, ${JSON.stringify(tableNames)}, { max: 3 });
measureConnections(initializer, "auth");
measureTimes(initializer, "auth");
const adapter = initializer(class LuciaError extends Error {});
const tracer = trace.getTracer("test");
const parents = await Promise.all(Array.from({ length: 256 }, (_, n) => tracer.startActiveSpan("request " + n, async (span) => {
  await adapter.getSessionAndUser("secret session " + n);
  span.end();
  return span.spanContext().spanId;
})));
await adapter.setKey({ id: "secret", user_id: "nobody", hashed_password: null }).catch(() => {});
await adapter.updateUser("secret", { nonsense: 1 }).catch(() => {});
await reader.forceFlush();
const { waitTime, useTime } = initializer.stats();
await initializer.end();
const made = spans.getFinishedSpans().filter(({ name }) => !name.startsWith("request"))
  .map(({ name, kind, status, attributes, parentSpanContext }) => ({ name, kind, status: status.code, attributes, parent: parentSpanContext?.spanId }));
const metric = measured.getMetrics().at(-1).scopeMetrics.flatMap((scope) => scope.metrics)
  .map(({ descriptor: { name, unit }, dataPoints }) => ({ name, unit, points: dataPoints.map(({ attributes, value }) => ({ attributes, value })) }));
console.log(JSON.stringify({ times: { wait_time: waitTime, use_time: useTime }, parents, made, metric }));
await sdk.shutdown();
`;

let database;
let told;
before(async () => {
  database = await freshDatabase();
  await createTables(database.sql);
  const folder = installed("opentelemetry", packages);
  const recipes = readFileSync(new URL("../docs/opentelemetry.md", import.meta.url), "utf8");
  for (const [, recipe, name] of recipes.matchAll(/```js\n(\/\/ (\S+)\n[^]*?)```/g)) writeFileSync(join(folder, name), recipe);
  writeFileSync(join(folder, "program.mjs"), program(fileURLToPath(new URL("../index.js", import.meta.url))));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["program.mjs"], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, DATABASE_URL: database.url, OTEL_LOGS_EXPORTER: "none" },
    timeout: 60_000,
  });
  assert.equal(status, 0, stdout + stderr);
  told = JSON.parse(stdout);
});
after(() => database?.drop());

const known = () => {
  const { hostname, port, pathname } = new URL(database.url);
  return { "db.system.name": "postgresql", "db.namespace": pathname.slice(1), "server.address": hostname, "server.port": Number(port) };
};
const about = (operation, table) => ({
  ...known(),
  "db.operation.name": operation,
  "db.collection.name": table,
  "db.query.summary": `${operation} ${table}`,
});
const failed = (type, code) => ({ "error.type": type, "db.response.status_code": code });
const CLIENT = 2;
const ERROR = 2;

test("the recipe makes client spans under their callers' with the stable names", () => {
  const lookups = told.made.filter(({ name }) => name === "SELECT user_session");
  assert.equal(lookups.length, 256);
  for (const { kind, status, attributes } of lookups) {
    assert.deepEqual({ kind, status, attributes }, { kind: CLIENT, status: 0, attributes: about("SELECT", "user_session") });
  }
  assert.deepEqual(lookups.map(({ parent }) => parent).sort(), told.parents.sort());
  assert.deepEqual(told.made.filter((span) => !lookups.includes(span)), [
    { name: "INSERT user_key", kind: CLIENT, status: ERROR, attributes: { ...about("INSERT", "user_key"), ...failed("AUTH_INVALID_USER_ID", "23503") } },
    { name: "UPDATE auth_user", kind: CLIENT, status: ERROR, attributes: { ...about("UPDATE", "auth_user"), ...failed("42703", "42703") } },
  ]);
  assert.doesNotMatch(JSON.stringify(told), /secret/);
});

test("the recipe measures durations in seconds and the connections of the pool", () => {
  const metric = (name) => told.metric.find((each) => each.name === name);
  const { unit, points } = metric("db.client.operation.duration");
  assert.equal(unit, "s");
  assert.deepEqual(points.map(({ value: { count } }) => count).sort(), [1, 1, 256]);
  for (const { attributes, value } of points) {
    assert.deepEqual(value.buckets.boundaries, [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]);
    assert.ok(value.sum > 0 && value.sum / value.count < 60, `${value.sum} s of ${value.count}`);
    assert.equal(attributes["db.system.name"], "postgresql");
  }
  const values = (name) => Object.fromEntries(metric(name).points.map(({ attributes, value }) => {
    assert.equal(attributes["db.client.connection.pool.name"], "auth");
    return [attributes["db.client.connection.state"], value];
  }));
  const { idle, used } = values("db.client.connection.count");
  assert.ok(idle + used >= 1 && idle + used <= 3, `${idle} and ${used}`);
  assert.deepEqual(values("db.client.connection.max"), { undefined: 3 });
  assert.deepEqual(values("db.client.connection.pending_requests"), { undefined: 0 });
});

test("the recipe measures how long statements wait for a connection and use it", () => {
  for (const [name, times] of Object.entries(told.times)) {
    const { unit, points } = told.metric.find((metric) => metric.name === `db.client.connection.${name}`);
    assert.equal(unit, "s");
    assert.deepEqual(points, [{ attributes: { "db.client.connection.pool.name": "auth" }, value: times }]);
    assert.ok(times.count > 2 && times.sum > 0, `${times.sum} s of ${times.count}`);
  }
  const { points } = told.metric.find((metric) => metric.name === "db.client.connection.timeouts");
  assert.deepEqual(points.map(({ value }) => value), [0]);
});
