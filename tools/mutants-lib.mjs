// Changes the JavaScript of `lib/` in simple ways, one at a time, and counts which changes the tests notice:
// `npm run mutants:lib -- --only adapter.js,write.js --jobs 2`. Prints those that are not noticed, and ends with a non-zero
// exit code when fewer than 95 % are. They are tried in an order that `--seed` draws, for `--minutes 60` at most, so that
// those of a run that ends early are a fair sample of all.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";

import { parse } from "@babel/parser";
import postgres from "postgres";

import { Random } from "../__test__/support/random.mjs";
import { startServer } from "./server.mjs";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({
  options: {
    only: { type: "string" },
    jobs: { type: "string", default: "2" },
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    tests: { type: "string" },
  },
});

/** The test files that together cover `lib/` in a quarter of a minute. Those are asked first that have noticed most, by the time that they take, in a file of `lib/`. */
const tests = values.tests?.split(",") ?? [
  "lib", "methods", "functions", "given", "binary", "error-contents", "contract", "lucia-3-contract", "tracing", "realms",
];

const operators = {
  "<": "<=", "<=": "<", ">": ">=", ">=": ">", "===": "!==", "!==": "===",
  "+": "-", "-": "+", "*": "/", "/": "*", "**": "*", "&": "|", "|": "&",
  "+=": "-=", "-=": "+=", "*=": "/=", "&&=": "=", "||=": "=", "??=": "=",
};
const logical = { "&&": "||", "||": "&&", "??": "&&" };

/** The changes of one node, each the places that it replaces and the text that it puts there. */
const changes = {
  BinaryExpression: ({ left, right, operator }) => inside(left.end, right.start, operator, operators[operator]),
  AssignmentExpression: ({ left, right, operator }) => inside(left.end, right.start, operator, operators[operator]),
  LogicalExpression: ({ start, end, left, right, operator }, text) =>
    [[start, end, `((${text.slice(left.start, left.end)}) ${logical[operator]} (${text.slice(right.start, right.end)}))`]],
  UnaryExpression: ({ start, operator }) => (operator === "!" ? [[start, start + 1, ""]] : []),
  ExpressionStatement: ({ start, end, expression }, text) =>
    (/^(super\(|module\.exports)/.test(text.slice(start, end)) || expression.type === "StringLiteral" ? [] : [[start, end, ";"]]),
  ThrowStatement: ({ start, end }) => [[start, end, ";"]],
  ContinueStatement: ({ start, end }) => [[start, end, ";"]],
  BreakStatement: ({ start, end }) => [[start, end, ";"]],
  ReturnStatement: ({ start, end, argument }) => [[start, end, argument ? "return undefined;" : ";"]],
  ArrowFunctionExpression: ({ body }) => (body.type === "BlockStatement" ? [] : [[body.start, body.end, "undefined"]]),
  IfStatement: ({ test }) => [[test.start, test.end, "true"], [test.start, test.end, "false"]],
  ConditionalExpression: ({ test }) => [[test.start, test.end, "true"], [test.start, test.end, "false"]],
  NumericLiteral: ({ start, end, value }) => [[start, end, String(value + 1)]],
  BooleanLiteral: ({ start, end, value }) => [[start, end, String(!value)]],
  StringLiteral: ({ start, end, value }) => [[start, end, value === "" ? '"?"' : '""']],
  TemplateLiteral: ({ start, end }) => [[start, end, '""']],
  OptionalMemberExpression: ({ object, property, optional, computed }) =>
    (optional ? inside(object.end, property.start, "?.", computed ? "" : ".") : []),
  OptionalCallExpression: ({ callee, end, optional }) => (optional ? inside(callee.end, end, "?.", "") : []),
};

/** Changes that no test can notice: the file, the text of the line, what is put there, and why. */
const leftOut = [
  // The way through all other forms leads to the same text, and takes longer.
  { file: "adapter.js", line: /form === 0 \? id : textOf/, is: /^(false|1)$/ },
  // An entry of a number and of an empty reference stays of an adapter that was collected.
  { file: "functions.js", line: /collected\.register|FinalizationRegistry/, is: /^(;|undefined)$/ },
  // A time of 24.8 days that is a millisecond shorter.
  { file: "functions.js", line: /LONGEST_TIMEOUT = 2 \*\* 31 - 1/, is: /^2$/ },
  { file: "functions.js", line: /limit >= LONGEST_TIMEOUT/, is: /^>$/ },
  // A list that is longer than the names that are given to its values.
  { file: "completions.js", line: /^ +const \[.* = values\.slice\(at, at \+ \d\)/, is: /^[48]$/ },
  { file: "completions.js", line: /shapes\.set\(number, createShape/, is: /^[34]$/ },
  // Any day will do: the year, the month and the day are set next.
  { file: "rows.js", line: /new Date\(2000, 0, 1\)/, is: /^\d+$/ },
  // An error that is caught where it is thrown.
  { file: "rows.js", line: /throw new RangeError/, is: /^""$/ },
  // A group is empty, or has five entries at least.
  { file: "connection.js", line: /this\.#group\.length > 0/, is: /^1$/ },
  // What is made for a call that nobody observes is not read.
  { file: "connection.js", line: /call\.trace &&= /, is: /^=$/ },
  // A thousandth of the time.
  { file: "connection.js", line: /setTimeout\(\(\) => this\.#destroy\(\)/, is: /^1001$/ },
];
const isLeftOut = ({ file, source, is }) => leftOut.some((each) => each.file === file && each.line.test(source) && each.is.test(is));

/** One change: the operator that stands between two places is another one. */
function inside(from, to, operator, replacement) {
  return replacement === undefined ? [] : [[from, to, (between) => between.replace(operator, () => replacement)]];
}

/** Every node of a syntax tree that may be changed, from the outside in. */
function* nodes(node) {
  yield node;
  for (const [name, child] of Object.entries(node)) {
    // A name is no value; without a module nothing is there to be tested.
    const isName = name === "key" && !node.computed;
    const isModule = name === "arguments" && node.callee.name === "require";
    if (isName || isModule) continue;
    for (const each of Array.isArray(child) ? child : [child]) if (typeof each?.type === "string" && "start" in each) yield* nodes(each);
  }
}

/** The changes of a file, in the order of its text. */
function list(file) {
  const text = originals.get(file);
  const { program } = parse(text, { sourceType: "script" });
  const all = [...nodes(program)].flatMap((node) => (changes[node.type]?.(node, text) ?? []).map(([from, to, made]) => {
    const was = text.slice(from, to);
    const replacement = typeof made === "function" ? made(was) : made;
    const line = text.slice(0, from + was.search(/\S|$/)).split("\n").length;
    // What stands before an operator is executed where that is; `?.` itself begins what may be left out.
    const place = typeof made === "function" ? from - 1 : from;
    const source = text.split("\n")[line - 1];
    return { file, from, place, line, source, text: text.slice(0, from) + replacement + text.slice(to), was: shown(was), is: shown(replacement) };
  }));
  return all.filter((change) => change.was !== change.is && !isLeftOut(change)).sort((one, other) => one.from - other.from);
}

const shown = (text) => {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 100 ? `${line.slice(0, 100)}…` : line;
};

/** A copy of the package with a server of its own, in which one change after the other is made. */
async function workshop(number) {
  const folder = join(root, "target/mutants-lib", String(number));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(root)) {
    if (name === "node_modules") symlinkSync(join(root, name), join(folder, name), "dir");
    else if (!name.startsWith(".git") && name !== "target") cpSync(join(root, name), join(folder, name), { recursive: true, verbatimSymlinks: true });
  }
  const server = await startServer({ settings: { fsync: "off" } });
  const sql = postgres(server.url(), { max: 1, onnotice() {} });

  /** Runs a test file until a test fails; "missed" when none does. `coverage` is the folder for what has been executed. */
  async function run(test, limit, coverage) {
    const args = ["--max-old-space-size=1024", "--test-reporter=tap", `__test__/${test}.test.mjs`];
    const child = spawn(process.execPath, args, {
      cwd: folder,
      // A group of its own, so that what the tests have started ends with them.
      detached: true,
      env: { ...process.env, DATABASE_URL: server.url(), ...(coverage && { NODE_V8_COVERAGE: coverage }) },
      stdio: ["ignore", "pipe", "ignore"],
    });
    return await new Promise((resolve) => {
      const end = (outcome) => {
        clearTimeout(timer);
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch {
          // Nothing of the group is left.
        }
        resolve(outcome);
      };
      const timer = setTimeout(end, limit, "too slow");
      let told = "";
      child.stdout.setEncoding("utf8").on("data", (more) => {
        told += more;
        if (/^ *not ok (?!.*# TODO)/m.test(told)) end("failed");
      });
      child.on("exit", (code) => end(code === 0 ? "missed" : "failed"));
    });
  }

  return {
    folder,
    run,
    write: (file, text) => writeFileSync(join(folder, "lib", file), text),
    /** Drops what ended tests have left behind. */
    async clear() {
      const left = await sql`SELECT datname FROM pg_database WHERE datname LIKE 'lucia\_%'`;
      for (const { datname } of left) await sql.unsafe(`DROP DATABASE IF EXISTS ${datname} WITH (FORCE)`);
    },
    async close() {
      await sql.end();
      await server.stop();
    },
  };
}

/** Whether a change is at a place that was executed, by what V8 has written of it. */
function executes(coverage) {
  const scripts = readdirSync(coverage).flatMap((name) => JSON.parse(readFileSync(join(coverage, name), "utf8")).result);
  return ({ file, place }) => scripts.filter(({ url }) => url.endsWith(`/lib/${file}`)).some(({ functions }) => {
    const around = functions.flatMap(({ ranges }) => ranges).filter(({ startOffset, endOffset }) => startOffset <= place && place < endOffset);
    // The innermost one counts.
    return around.toSorted((one, other) => (one.endOffset - one.startOffset) - (other.endOffset - other.startOffset))[0]?.count > 0;
  });
}

const files = readdirSync(join(root, "lib")).filter((name) => name.endsWith(".js"));
const originals = new Map(files.map((file) => [file, readFileSync(join(root, "lib", file), "utf8")]));
const wanted = values.only?.split(",") ?? files;
for (const file of wanted) if (!files.includes(file)) throw new Error(`lib/ has no file ${file}`);
const all = wanted.flatMap(list);
const random = new Random(Number(values.seed));
const places = new Map(all.map((change) => [change, random.fraction()]));
const shuffled = all.toSorted((one, other) => places.get(one) - places.get(other));

const began = performance.now();
const minutes = () => (performance.now() - began) / 60_000;
const workshops = await Promise.all(Array.from({ length: Number(values.jobs) }, (_, number) => workshop(number)));
console.log(`${all.length} changes, in the order of seed ${values.seed}`);

// Each test file as it is, while the other workshops do the same: how long it may take with a change, and which changes it executes.
const durations = new Map();
const executed = new Map();
await Promise.all(workshops.map(async ({ folder, run }, number) => {
  for (const test of tests) {
    const coverage = join(folder, "target/coverage", test);
    const start = performance.now();
    // Once more, since a machine that does other work may let a test fail.
    if (await run(test, 300_000, coverage) !== "missed" && await run(test, 300_000, coverage) !== "missed") throw new Error(`${test} fails as it is`);
    if (number > 0) continue;
    durations.set(test, performance.now() - start);
    executed.set(test, executes(coverage));
  }
}));
console.log(`the tests as they are: ${minutes().toFixed(1)} minutes`);

/** By file of `lib/` and test file: how often it was asked, and how often it has noticed the change. */
const counts = new Map(wanted.map((file) => [file, new Map(tests.map((test) => [test, { asked: 0, noticed: 0 }]))]));
/** How many changes a test file is likely to notice in a second. */
const worth = (file, test) => {
  const { asked, noticed } = counts.get(file).get(test);
  return (noticed + 1) / (asked + 2) / durations.get(test);
};
const outcomes = new Map();
const waiting = shuffled.values();
await Promise.all(workshops.map(async ({ run, write, clear, close }) => {
  // Not `for ... of`, which would end the iteration of the other workshops with its own.
  for (let change = waiting.next().value; change && minutes() < Number(values.minutes); change = waiting.next().value) {
    const { file } = change;
    const order = tests.filter((test) => executed.get(test)(change)).sort((one, other) => worth(file, other) - worth(file, one));
    write(file, change.text);
    let outcome = "missed";
    for (const test of order) {
      const count = counts.get(file).get(test);
      count.asked += 1;
      outcome = await run(test, 10_000 + 4 * durations.get(test));
      if (outcome === "missed") continue;
      count.noticed += 1;
      await clear();
      break;
    }
    outcomes.set(change, outcome);
    if (outcomes.size % 100 === 0) console.log(`${outcomes.size} tried: ${minutes().toFixed(1)} minutes`);
    const how = order.length === 0 ? "not executed" : "not noticed";
    if (outcome === "missed") console.log(`${how}: lib/${file}:${change.line}: ${change.was} -> ${change.is}`);
    write(file, originals.get(file));
  }
  await close();
}));

const rows = wanted.map((file) => {
  const tried = [...outcomes.keys()].filter((change) => change.file === file);
  const missed = tried.filter((change) => outcomes.get(change) === "missed");
  const share = tried.length === 0 ? 100 : (100 * (tried.length - missed.length)) / tried.length;
  return { file, changes: tried.length, noticed: tried.length - missed.length, share: `${share.toFixed(1)} %` };
});
const missed = [...outcomes.values()].filter((outcome) => outcome === "missed").length;
const share = (100 * (outcomes.size - missed)) / outcomes.size;
if (share < 95) process.exitCode = 1;
const asked = tests.map((test) => {
  const each = [...counts.values()].map((ofFile) => ofFile.get(test));
  const total = (name) => each.reduce((sum, count) => sum + count[name], 0);
  return { test, seconds: (durations.get(test) / 1000).toFixed(1), asked: total("asked"), noticed: total("noticed") };
});
console.log(`\n${table(rows)}\n\n${table(asked)}\n`);
console.log(`${outcomes.size - missed} of ${outcomes.size} changes were noticed (${share.toFixed(1)} %) in ${minutes().toFixed(1)} minutes`);
if (outcomes.size < all.length) console.log(`The time was too short for the other ${all.length - outcomes.size}.`);
