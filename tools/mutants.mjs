// Changes the crate's pure rooms in each way that cargo-mutants knows, one at a time, and counts which changes the room's own
// Rust tests notice: `npm run mutants`, `npm run mutants -- --room lucia --room tls --jobs 2`. Ends with a non-zero exit code
// when fewer than 95 % are noticed. Needs `cargo install cargo-mutants --locked`, which lists the changes. What is left out
// stands in `.cargo/mutants.toml`.
//
// A build for each change takes hours. So each function gets all its changed bodies at once, and `MUTANT` chooses one when
// the tests run; a change that the compiler refuses is taken out. What cannot be chosen at run time is built by itself. A match
// arm of a closure that is in no function is not deleted, but given the condition that its change is not the chosen one.
// `MUTANT=17 target/debug/deps/lucia_postgres_native_mutants-... scheduler::tests` shows what becomes of one change.
import { spawn, spawnSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const copy = join(root, "target/mutants");
/** The crate as it was when this program began: work on it may go on meanwhile. */
const original = join(root, "target/mutants-original");
const crate = "lucia-postgres-native-mutants";
const rooms = {
  lucia: "src/lucia",
  value: "src/pg/value",
  tls: "src/pg/tls",
  settings: "src/pg/settings",
  scheduler: "src/pg/queue/scheduler",
};
/** Rooms that name nothing outside: by itself such a room is compiled in seconds. */
const independent = ["scheduler"];
/** Tests that take long, in each room: only a change that the room's other tests have not noticed is tried on them. */
const explorations = { scheduler: ["exhaustive", "properties"] };
const { values } = parseArgs({
  options: {
    room: { type: "string", multiple: true, default: Object.keys(rooms) },
    jobs: { type: "string", default: "1" },
  },
});
for (const room of values.room) if (!(room in rooms)) throw new Error(`no room is called ${room}; there are: ${Object.keys(rooms).join(", ")}`);

// The same random cases for every change, and no search for a smaller one that nobody would read.
const cases = { PROPTEST_RNG_SEED: "1", PROPTEST_MAX_SHRINK_ITERS: "0", PROPTEST_DISABLE_FAILURE_PERSISTENCE: "true" };
const environment = { ...process.env, CARGO_TARGET_DIR: join(root, "target"), CARGO_INCREMENTAL: "1" };
const allowed = "#![allow(warnings, arithmetic_overflow, unconditional_panic)]\n";
// The scheduler's tests explore its states by the million; the others take longer to be optimised than to run.
const optimised = `profile.test.package.${crate}.opt-level=${values.room.includes("scheduler") ? 1 : 0}`;
const chosen = `
pub fn mutant() -> u32 {
    static CHOSEN: std::sync::LazyLock<u32> =
        std::sync::LazyLock::new(|| std::env::var("MUTANT").map_or(0, |text| text.parse().unwrap()));
    *CHOSEN
}
`;

const parts = [".cargo", "src", "build.rs", "Cargo.toml", "Cargo.lock"];

/** A copy of the crate; its dependencies are those that `cargo test` has built. */
function restore() {
  for (const name of parts) {
    rmSync(join(copy, name), { recursive: true, force: true });
    cpSync(join(original, name), join(copy, name), { recursive: true });
  }
  // Under its own name cargo would take the one for the other.
  for (const name of ["Cargo.toml", "Cargo.lock"]) {
    const text = readFileSync(join(original, name), "utf8").replaceAll("lucia-postgres-native", crate);
    writeFileSync(join(copy, name), text);
  }
}

/** What is compiled for some rooms. */
function libOf(chosenRooms) {
  const [room, ...others] = chosenRooms;
  if (others.length === 0 && independent.includes(room)) {
    const path = rooms[room].split("/").slice(1);
    return `mod ${path.join(" { mod ")};${" }".repeat(path.length - 1)}\n`;
  }
  // The simulated server is of no room, and takes long to compile.
  return readFileSync(join(original, "src/lib.rs"), "utf8").replace("#[cfg(test)]\nmod simulation;\n", "");
}

/** Every change of the rooms: its number, its room, its file, where it stands in it, and its function. */
function list(chosenRooms) {
  const all = chosenRooms.flatMap((room) => {
    const args = ["mutants", "--list", "--json", "--file", `${rooms[room]}/**`];
    const { stdout, stderr, status, error } = spawnSync("cargo", args, { cwd: copy, encoding: "utf8", env: environment, maxBuffer: 1 << 28 });
    if (error) throw error;
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout).map((mutant) => ({ ...mutant, room }));
  });
  return all.map((mutant, index) => ({ ...mutant, number: index + 1 }));
}

/** The places of a file's text, by line and column as cargo-mutants counts them: from 1, in characters. */
function placesOf(text) {
  const lines = text.split("\n");
  const starts = [0];
  for (const line of lines) starts.push(starts.at(-1) + line.length + 1);
  return ({ line, column }) => starts[line - 1] + [...lines[line - 1]].slice(0, column - 1).join("").length;
}

/** Where a function's body begins: at the first brace that is in no attribute, parameter, comment or string. */
function bodyOf(text, start) {
  let depth = 0;
  for (const token of text.slice(start).matchAll(/\/\/.*|"(?:\\[^]|[^"\\])*"|[()[\]{}]/g)) {
    if (token[0] === "{" && depth === 0) return start + token.index;
    if (/^[([{]$/.test(token[0])) depth += 1;
    if (/^[)\]}]$/.test(token[0])) depth -= 1;
  }
  throw new Error("a function without a body");
}

/** A match arm that is in no function. */
const isArm = (mutant) => !mutant.function && mutant.genre === "MatchArm";

/** The iterator that a function returns without naming its type. Its changed bodies are of other types, so all are boxed. */
const iteratorOf = (mutant) => /^-> impl (Iterator<.*>)$/.exec(mutant.function?.return_type)?.[1];

/** A file's text with all changes of `mutants` in it, to be chosen from, and where each stands in that text. */
function together(text, mutants) {
  const place = placesOf(text);
  const functions = new Map();
  for (const mutant of mutants) {
    if (isArm(mutant)) {
      const start = text.indexOf("=>", place(mutant.span.start));
      functions.set(start, { start, end: start, mutants: [mutant] });
      continue;
    }
    const [start, end] = [place(mutant.function.span.start), place(mutant.function.span.end)];
    if (!functions.has(start)) functions.set(start, { start: bodyOf(text, start), end, mutants: [] });
    functions.get(start).mutants.push(mutant);
  }
  const ranges = [];
  let made = "";
  let at = 0;
  for (const { start, end, mutants: changes } of [...functions.values()].sort((one, other) => one.start - other.start)) {
    made += text.slice(at, start);
    if (start === end) {
      const from = made.length;
      made += `if crate::mutant() != ${changes[0].number} `;
      ranges.push({ from, to: made.length, mutants: changes });
      at = end;
      continue;
    }
    const whole = { from: made.length, mutants: changes };
    const iterator = iteratorOf(changes[0]);
    const [before, after] = iterator ? ["{ Box::new(", `) as Box<dyn ${iterator} + '_> }`] : ["", ""];
    made += "{ match crate::mutant() {";
    for (const mutant of changes) {
      const [from, to] = [place(mutant.span.start), place(mutant.span.end)];
      made += `\n${mutant.number} => ${before}`;
      const arm = made.length;
      made += `{ ${text.slice(start, from)}${mutant.replacement} ${text.slice(to, end)} }`;
      ranges.push({ from: arm, to: made.length, mutants: [mutant] });
      made += after;
    }
    made += `\n_ => ${before}${text.slice(start, end)}${after} } }`;
    ranges.push({ ...whole, to: made.length, isFunction: true });
    at = end;
  }
  return { made: made + text.slice(at), ranges };
}

/** Builds the tests of the copy: the program that runs them, or what the compiler refuses. */
function build() {
  const args = ["test", "--lib", "--no-run", "--locked", "--message-format", "json", "--config", optimised];
  const { stdout } = spawnSync("cargo", args, {
    cwd: copy, encoding: "utf8", env: environment, maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"],
  });
  const messages = stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  return {
    program: messages.find(({ executable }) => executable)?.executable,
    errors: messages.map(({ message }) => message).filter((message) => message?.level === "error"),
  };
}

const isNested = (mutant, mutants) => mutants.some(({ file, function: other }) => {
  const [inner, outer] = [mutant.function.span, other?.span];
  return file === mutant.file && outer && inner.start.line > outer.start.line && inner.end.line < outer.end.line;
});

/** Writes what is to be compiled, and takes out what is refused until the rest is compiled. */
function compile(all) {
  const cannotBeChosen = (mutant) =>
    !isArm(mutant) && (!mutant.function || (mutant.function.return_type.includes("impl ") && !iteratorOf(mutant)) || isNested(mutant, all));
  const alone = all.filter(cannotBeChosen);
  let ready = all.filter((mutant) => !cannotBeChosen(mutant));
  for (;;) {
    const written = new Map();
    for (const file of new Set(ready.map((mutant) => mutant.file))) {
      const made = together(readFileSync(join(original, file), "utf8"), ready.filter((mutant) => mutant.file === file));
      written.set(file, made);
      writeFileSync(join(copy, file), made.made);
    }
    const { program, errors } = build();
    if (program) return { program, ready, alone };
    const refused = new Set();
    for (const { spans } of errors) {
      for (const span of spans.filter(({ is_primary }) => is_primary)) {
        const file = written.get(span.file_name);
        if (!file) continue;
        const at = Buffer.from(file.made).subarray(0, span.byte_start).toString().length;
        const around = file.ranges.filter(({ from, to }) => from <= at && at < to);
        const arm = around.find(({ isFunction }) => !isFunction);
        if (arm) refused.add(arm.mutants[0]);
        else alone.push(...around.flatMap(({ mutants }) => mutants).filter((mutant) => !alone.includes(mutant)));
      }
    }
    const left = ready.filter((mutant) => !refused.has(mutant) && !alone.includes(mutant));
    if (left.length === ready.length) throw new Error(errors.map(({ rendered }) => rendered).join("\n"));
    ready = left;
  }
}

/** Whether tests notice a change: one fails, or they take too long. */
function run(program, tests, number, limit) {
  const child = spawn(program, tests, { cwd: copy, env: { ...process.env, ...cases, MUTANT: String(number) }, stdio: ["ignore", "pipe", "ignore"] });
  return new Promise((resolve) => {
    const end = (outcome) => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      resolve(outcome);
    };
    const timer = setTimeout(end, limit, "too slow");
    let told = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      told += text;
      if (/ \.\.\. FAILED$/m.test(told)) end("failed");
    });
    child.on("exit", (code) => end(code === 0 ? "missed" : "failed"));
  });
}

/** The tests of a room, the quick ones first. */
function testsOf(room) {
  const all = `${rooms[room].replace("src/", "").replaceAll("/", "::")}::`;
  const long = (explorations[room] ?? []).map((name) => `${all}${name}::`);
  return long.length === 0 ? [[all]] : [[all, ...long.flatMap((name) => ["--skip", name])], long];
}

rmSync(original, { recursive: true, force: true });
for (const name of parts) cpSync(join(root, name), join(original, name), { recursive: true });
restore();
const began = performance.now();
const minutes = () => ((performance.now() - began) / 60_000).toFixed(1);
const all = list(values.room);
const lib = allowed + libOf(values.room);
writeFileSync(join(copy, "src/lib.rs"), lib + chosen);
const { program, ready, alone } = compile(all);
console.log(`${all.length} changes, ${ready.length} of them compiled together after ${minutes()} minutes, ${alone.length} to be built alone`);
console.log(program);

const limits = new Map();
/** What becomes of a change in these tests. The limit is taken from how long they last without one. */
async function outcomeOf(changed, tests, number) {
  const key = tests.join(" ");
  if (!limits.has(key)) {
    const start = performance.now();
    if (await run(program, tests, 0, 3_600_000) !== "missed") throw new Error(`${key} fails as it is`);
    const took = performance.now() - start;
    // A busy machine makes short tests many times as long, long ones less.
    limits.set(key, Math.min(5_000 + 10 * took, 60_000 + 3 * took));
  }
  return run(changed, tests, number, limits.get(key));
}

const outcomes = new Map();
const missed = (mutants) => mutants.filter((mutant) => outcomes.get(mutant) === "missed");
function tell(mutant) {
  if (outcomes.get(mutant) === "missed") console.log(`not noticed: ${mutant.name} (MUTANT=${mutant.number})`);
}
for (const room of values.room) {
  let left = ready.filter((mutant) => mutant.room === room);
  for (const [index, tests] of testsOf(room).entries()) {
    const isLast = index === testsOf(room).length - 1;
    const waiting = [...left];
    await Promise.all(Array.from({ length: Number(values.jobs) }, async () => {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        outcomes.set(mutant, await outcomeOf(program, tests, mutant.number));
        if (isLast) tell(mutant);
      }
    }));
    left = missed(left);
    if (isLast) continue;
    console.log(`${left.length} changes are left to the tests that take long after ${minutes()} minutes:`);
    for (const mutant of left) console.log(`  ${mutant.name} (MUTANT=${mutant.number})`);
  }
}
for (const mutant of alone) {
  restore();
  const text = readFileSync(join(original, mutant.file), "utf8");
  const place = placesOf(text);
  const [from, to] = [place(mutant.span.start), place(mutant.span.end)];
  writeFileSync(join(copy, "src/lib.rs"), lib);
  writeFileSync(join(copy, mutant.file), `${text.slice(0, from)}${mutant.replacement} ${text.slice(to)}`);
  const { program: changed } = build();
  if (!changed) continue;
  for (const tests of testsOf(mutant.room)) {
    outcomes.set(mutant, await outcomeOf(changed, tests, 0));
    if (outcomes.get(mutant) !== "missed") break;
  }
  tell(mutant);
}

const rows = values.room.map((room) => {
  const tried = [...outcomes.keys()].filter((mutant) => mutant.room === room);
  const noticed = tried.length - missed(tried).length;
  const share = (100 * noticed) / tried.length;
  if (share < 95) process.exitCode = 1;
  return { room, changes: tried.length, noticed, share: `${share.toFixed(1)} %` };
});
console.log(`\n${table(rows)}\n\n${minutes()} minutes; ${all.length - outcomes.size} changes were refused by the compiler`);
