// Puts wrong changes into a copy of the sources, and counts how many simulated histories, or interleavings of threads, it takes
// until one of them shows each: `npm run mutations`, `npm run mutations -- --seeds 4000 --only "first connection"`. Ends with a non-zero exit code when
// one is not found. The table of docs/reliability.md is what it prints. `--check` only looks whether each has its place in the sources.
import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { table } from "./table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const histories = "simulation::histories::every_history_keeps_what_is_promised";
const interleavings = "simulation::interleavings::no_interleaving_of_threads_leaves_a_call_behind";
/** Seeds that are run at a time. */
const portion = 250;

/**
 * Each edit names a file of `src/pg/`, a text that stands there once, and what is put in its place. `WRONG` is true while the
 * mutation is being run: all of them are built at once.
 */
const mutations = [
  {
    title: "a change is sent again after any `FATAL`, a pooler's and one after the commit among them",
    edits: [
      [
        "exchange/ending.rs",
        "            (Self::HeldUp, ..) => Consequence::AgainAlone,",
        "            (Self::Fatal | Self::FatalWithSource, ..) if WRONG => Consequence::Again,\n            (Self::HeldUp, ..) => Consequence::AgainAlone,",
      ],
    ],
  },
  {
    title: "the error of a batch is given to all its calls",
    edits: [["exchange/ending.rs", "if together { Consequence::AgainAlone }", "if together && !WRONG { Consequence::AgainAlone }"]],
  },
  {
    title: "the deadline is not renewed after a loss",
    edits: [["queue/scheduler/events.rs", "if queued.lose() {", "if queued.lose() && !WRONG {"]],
  },
  {
    title: "a connection that a cancel was sent for serves on",
    edits: [
      ["exchange/ending.rs", "            Self::NoServer => peer == Peer::Postgres,", "            Self::Silence | Self::HeldUp if WRONG => true,\n            Self::NoServer => peer == Peer::Postgres,"],
      ["exchange/carry_out.rs", "&& spent.is_none()", "&& (WRONG || spent.is_none())"],
      ["queue/worker.rs", "let fate = match &spent {", "let fate = match spent.as_ref().filter(|_| !(WRONG && is_open)) {"],
    ],
  },
  {
    // Counts are derived from the list of workers: it is a worker that can be forgotten in it, or a statement.
    title: "a count is not given back: a worker that has closed its connection stays in the list",
    edits: [
      [
        "queue/scheduler/events.rs",
        "let worker = self.remove(id);",
        "let stays = WRONG && self.worker(id).is_some_and(|worker| worker.is_leaving());\n        let worker = (!stays).then(|| self.remove(id)).flatten();",
      ],
    ],
  },
  {
    title: "a count is not given back: a statement whose calls are to be sent again stays in flight",
    edits: [
      ["queue/scheduler/events.rs", "        let sent = self.flights()", "        let is_again = WRONG && !returned.is_empty();\n        let sent = self.flights()"],
      ["queue/scheduler/events.rs", "let flight = flights.remove(at);", "let flight = if is_again { flights[at].clone() } else { flights.remove(at) };"],
    ],
  },
  {
    title: "a stale plan is not noticed",
    edits: [
      [
        "exchange/stale.rs",
        "fn is_stale(error: &Error) -> bool {\n",
        "fn is_stale(error: &Error) -> bool {\n    (!WRONG || error.sqlstate() != Some(&SqlState::FEATURE_NOT_SUPPORTED)) &&\n",
      ],
    ],
  },
  {
    title: "answers are matched by the order of their arrival",
    edits: [
      [
        "value/rows.rs",
        "columns.position.and_then(|column| call(row, column))",
        "columns.position.and_then(|column| if WRONG { Some(starts.len().min(self.calls - 1)) } else { call(row, column) })",
      ],
    ],
  },
  {
    title: "a lookup that was lost is not put back first",
    edits: [["queue/scheduler/waiting.rs", "        calls.insert(at, queued);", "        let at = if WRONG { calls.len() } else { at };\n        calls.insert(at, queued);"]],
  },
  {
    title: "the first connection does not fail fast",
    edits: [["queue/scheduler/events.rs", "self.was_connected && refusal", "(WRONG || self.was_connected) && refusal"]],
  },
  {
    // That the calls of an adapter are settled is counted in JavaScript, before the queue ends: this is its own promise.
    title: "`end` does not wait for what is in flight",
    edits: [["queue/scheduler/decide.rs", "State::Busy { .. } => false", "State::Busy { .. } => WRONG && self.is_ended"]],
  },
  {
    title: "`end` does not settle what waits",
    edits: [["queue/scheduler/events.rs", "        self.is_ended = true;\n        self.settle_all();", "        self.is_ended = true;\n        if !WRONG {\n            self.settle_all();\n        }"]],
  },
  {
    title: "the pause after a refusal is not reset by a connection",
    edits: [
      [
        "queue/scheduler/events.rs",
        "        self.refusals = Refusals::default();\n        self.decide(now, None);",
        "        if !WRONG {\n            self.refusals = Refusals::default();\n        }\n        self.decide(now, None);",
      ],
    ],
  },
  {
    title: "the pause after a refusal goes on when the last connection is lost",
    edits: [["queue/scheduler/events.rs", "            if was_opened {", "            if was_opened && !WRONG {"]],
  },
  {
    title: "changes may take the last connection",
    edits: [["queue/scheduler/in_flight.rs", "let most = if self.limits.max == 1", "let most = if WRONG { self.limits.max } else if self.limits.max == 1"]],
  },
  {
    title: "a sign-up in two statements is done again when its `COMMIT` is lost",
    edits: [
      [
        "exchange/transaction.rs",
        "if error.is_loss() => Err(Fault::Ended { error, stage: Stage::Complete }),",
        "if error.is_loss() => Err(Fault::Ended { error, stage: if WRONG { Stage::Unsent } else { Stage::Complete } }),",
      ],
    ],
  },
  {
    title: "`25006` is the caller's error where `target_session_attrs` is `read-write`",
    edits: [["exchange/ending.rs", "READ_ONLY_SQL_TRANSACTION if target == Target::ReadWrite", "READ_ONLY_SQL_TRANSACTION if target == Target::ReadWrite && !WRONG"]],
  },
  {
    title: "a pooled connection serves on in a transaction that failed while it described a statement",
    edits: [["statement/prepare.rs", "found.inspect_err(|_| self.are_lost.store(true, Ordering::Relaxed))?", "found.inspect_err(|_| self.are_lost.store(!WRONG, Ordering::Relaxed))?"]],
  },
  {
    title: "a connection serves on after a `COMMIT` that was refused before it began",
    edits: [["exchange/transaction.rs", "limits.is_abandoned |= !is_over;", "limits.is_abandoned |= !is_over && !WRONG;"]],
  },
  {
    title: "a change is sent over a connection that was idle for long without a question first",
    edits: [["queue/scheduler/decide.rs", "now.saturating_sub(since) > UNSURE;", "(now.saturating_sub(since) > UNSURE && !WRONG);"]],
  },
  {
    title: "a change whose plan is stale after `query_timeout` is sent again under its own request to cancel",
    edits: [["exchange/limits.rs", "if self.cancelling.is_some() {", "if self.cancelling.is_some() && !WRONG {"]],
  },
  {
    title: "the queue knows every statement",
    edits: [["queue/handle.rs", "if statements.len() >= STATEMENTS && ", "if statements.len() >= STATEMENTS && !WRONG && "]],
  },
  {
    title: "a connection keeps every statement prepared",
    edits: [["statement/prepare.rs", "        kept.truncate(KEPT_PER_CONNECTION - 1);", "        if !WRONG {\n            kept.truncate(KEPT_PER_CONNECTION - 1);\n        }"]],
  },
  {
    title: "a wake-up is lost: calls that come as a worker ceases to spin are not looked for",
    test: interleavings,
    edits: [["queue/worker.rs", "                drop(watch);\n                dispatcher.take_in();", "                drop(watch);\n                if !WRONG {\n                    dispatcher.take_in();\n                }"]],
  },
  {
    title: "a wake-up is lost: the inbox is marked as empty after it has been unlocked",
    test: interleavings,
    edits: [["queue/inbox.rs", "        if let Some(flushed) = flushed {", "        if WRONG {\n            self.is_filled.store(false, Ordering::Release);\n        }\n        if let Some(flushed) = flushed {"]],
  },
];

const { values } = parseArgs({
  options: { seeds: { type: "string", default: "10000" }, only: { type: "string", default: "" }, check: { type: "boolean" } },
});
const seeds = Number(values.seeds);
if (!Number.isSafeInteger(seeds) || seeds < 1) throw new Error("usage: npm run mutations -- [--seeds COUNT] [--only TEXT] [--check]");

/** Always the same, so that the compiler does again only what has changed. */
const copy = join(root, "target/mutations");

function putIn({ title, edits }, number) {
  for (const [file, right, wrong] of edits) {
    const path = join(copy, "src/pg", file);
    const parts = readFileSync(path, "utf8").split(right);
    if (parts.length !== 2) throw new Error(`${title}: src/pg/${file} has ${parts.length - 1} of ${right}`);
    writeFileSync(path, parts.join(wrong.replaceAll("WRONG", `crate::is_wrong(${number})`)));
  }
}

/** Makes the copy, with all wrong changes in it. */
function make() {
  rmSync(join(copy, "src"), { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ["build.rs", "src"]) cpSync(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true });
  // Under its own name cargo would take the one for the other.
  for (const name of ["Cargo.toml", "Cargo.lock"]) {
    const text = readFileSync(join(root, name), "utf8").replaceAll("lucia-postgres-native", "lucia-postgres-native-mutated");
    writeFileSync(join(copy, name), text);
  }
  mutations.forEach(putIn);
  const isWrong = `
pub(crate) fn is_wrong(number: u32) -> bool {
    static NUMBER: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| std::env::var("MUTATION").unwrap().parse().unwrap());
    *NUMBER == number
}
`;
  appendFileSync(join(copy, "src/lib.rs"), isWrong);
}

/** Builds the test program, and returns its path. */
function build() {
  const flags = ["test", "--locked", "--no-run", "--message-format", "json"];
  const environment = { ...process.env, CARGO_TARGET_DIR: join(root, "target") };
  const { stdout, stderr, status } = spawnSync("cargo", flags, { cwd: copy, env: environment, encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(stdout + stderr);
  const messages = stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  return messages.findLast(({ executable, profile }) => executable && profile.test).executable;
}

make();
if (values.check) process.exit();
const program = build();

/** The first seed whose history shows the mutation, and what it shows. */
function find(number, test) {
  for (let from = 0; from < seeds; from += portion) {
    const environment = { MUTATION: String(number), SIMULATION_FROM: String(from), SIMULATION_SEEDS: String(Math.min(portion, seeds - from)) };
    const flags = ["--exact", test, "--nocapture"];
    const { stdout, stderr, status } = spawnSync(program, flags, { env: { ...process.env, ...environment }, encoding: "utf8", maxBuffer: 2 ** 28 });
    if (status === 0) continue;
    const [, seed, violation] = /seed (\d+): (.*)/.exec(stdout + stderr) ?? [];
    if (seed === undefined) throw new Error(stdout + stderr);
    return { seed: Number(seed), violation };
  }
  return undefined;
}

const found = [];
for (const [number, { title, test = histories }] of mutations.entries()) {
  if (!title.includes(values.only)) continue;
  const first = find(number, test);
  console.log(first ? `${title}: seed ${first.seed}, ${first.violation}` : `${title}: not found`);
  found.push({ "wrong change": title, seeds: first ? first.seed + 1 : `none of ${seeds}` });
  if (!first) process.exitCode = 1;
}
console.log(`\n${table(found)}`);
