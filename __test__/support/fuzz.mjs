// Answers that were changed at random, to real calls: `node fuzz.mjs SECONDS [SEED]` prints a line for each history that broke a promise, and
// what it did in all. A history is made again by its seed.
import { setTimeout as pass } from "node:timers/promises";

import { LuciaError } from "lucia";
import connect from "postgres";

import { postgres } from "../../index.js";
import { createTables, tableNames } from "./database.mjs";
import { startHostile } from "./hostile.mjs";
import { Random } from "./random.mjs";

/** Histories at a time: most of their time some wait for a time-out. */
const AT_ONCE = 12;
/** Seconds that a call may take: `connect_timeout` and `query_timeout`, twice, and what a busy machine adds. */
const PATIENCE = 60;
/** Beyond what the process has after the first histories. */
const MOST_MEMORY = 200 * 2 ** 20;

const BORDERS = [0, 1, 2, 3, 4, 5, 127, 128, 255, 256, 32_767, 32_768, 65_535, 2 ** 24, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** The ways to change the bytes of a message. */
const changes = {
  flip: (bytes, random) => {
    const changed = Buffer.from(bytes);
    for (let times = 1 + random.between(0, 3); times > 0; times -= 1) changed[random.between(0, changed.length - 1)] ^= 1 << random.between(0, 7);
    return [changed];
  },
  drop: () => [],
  double: (bytes) => [bytes, bytes],
  cut: (bytes, random) => [bytes.subarray(0, random.between(0, bytes.length - 1))],
  "change the length": (bytes, random) => {
    const changed = Buffer.from(bytes);
    changed.writeUInt32BE(random.pick(BORDERS), 1);
    return [changed];
  },
  "change a count": (bytes, random) => {
    const changed = Buffer.from(bytes);
    if (changed.length >= 9) changed.writeUInt16BE(random.pick(BORDERS) & 0xffff, 5 + 2 * random.between(0, Math.min(2, (changed.length - 5) >> 1) - 1));
    return [changed];
  },
  "change four bytes": (bytes, random) => {
    const changed = Buffer.from(bytes);
    if (changed.length >= 9) changed.writeUInt32BE(random.pick(BORDERS), 5 + random.between(0, changed.length - 8 - 1));
    return [changed];
  },
  "change the type": (bytes, random) => {
    const changed = Buffer.from(bytes);
    changed[0] = random.pick([..."RSKZTDCENA12nstIGHWdcfv!"]).charCodeAt(0);
    return [changed];
  },
  "keep for later": (bytes, random, later) => {
    later.push(bytes);
    return [];
  },
  "make up": (_, random) => [Buffer.from(Array.from({ length: 1 + random.between(0, 63) }, () => random.between(0, 255)))],
};

/** What one history does with the messages of its connections. */
function planOf(seed) {
  const random = new Random(seed);
  const faults = Array.from({ length: 1 + random.between(0, 2) }, () => ({ index: random.between(0, 59), how: random.pick(Object.keys(changes)) }));
  const later = [];
  let said = 0;
  const change = ({ bytes }) => {
    const index = said;
    said += 1;
    const fault = faults.find((each) => each.index === index);
    const now = fault ? changes[fault.how](bytes, random, later) : [bytes];
    return fault?.how === "keep for later" ? now : [...now, ...later.splice(0)];
  };
  return { faults, change };
}

const settles = (promise) => Promise.race([
  promise.then(() => "resolved", () => "rejected"),
  pass(PATIENCE * 1000, "pending", { ref: false }),
]);

async function history(seed, url) {
  const { faults, change } = planOf(seed);
  const hostile = await startHostile(Number(new URL(url).port), change);
  const through = new URL(url);
  through.hostname = "127.0.0.1";
  through.port = String(hostile.port);
  const initializer = postgres(through.href, tableNames, { share: false, max: 1 + (seed % 2), connect_timeout: 5, query_timeout: 1, onnotice() {} });
  const adapter = initializer(LuciaError);
  const calls = () => [
    adapter.getUser("u1"),
    adapter.getSessionAndUser("s1"),
    adapter.getSessionAndUser("s2"),
    adapter.getSessionsByUserId("u1"),
    adapter.updateUser("u2", { username: "other" }),
    adapter.setKey({ id: "k1", user_id: "u1", hashed_password: null }),
    adapter.deleteSession("none"),
  ];
  const complaints = [];
  for (let times = 0; times < 2; times += 1) {
    const outcomes = await Promise.all(calls().map(settles));
    if (outcomes.includes("pending")) complaints.push(`pending: ${outcomes}`);
  }
  hostile.becomeHonest();
  // An attempt to connect that began before may still fail; a row is right or it is a fault.
  let found = [];
  let last;
  for (const late = performance.now() + PATIENCE * 1000; performance.now() < late && found.length === 0;) {
    found = await adapter.getSessionAndUser("s1").catch((error) => {
      last = error;
      return pass(100, []);
    });
  }
  const [session, user] = found;
  if (session?.id !== "s1" || session.idle_expires !== 2 || user?.id !== "u1" || user.username !== "name1") {
    complaints.push(`of an honest server: ${JSON.stringify(found)} ${last}`);
  }
  const ended = await settles(initializer.end({ timeout: 5 }));
  if (ended !== "resolved") complaints.push(`end: ${ended}`);
  await hostile.stop();
  return complaints.map((complaint) => `seed ${seed}: ${complaint}; ${JSON.stringify(faults)}`);
}

const [seconds, first = Date.now() % 1_000_000] = process.argv.slice(2).map(Number);
const url = process.env.DATABASE_URL;
const sql = connect(url, { onnotice() {} });
await createTables(sql);
await sql`INSERT INTO auth_user (id, username) SELECT 'u' || n, 'name' || n FROM generate_series(1, 3) n`;
await sql`INSERT INTO user_session (id, user_id, active_expires, idle_expires) SELECT 's' || n, 'u' || n, 1, 2 FROM generate_series(1, 3) n`;

const until = performance.now() + seconds * 1000;
let next = first;
let histories = 0;
let failed = 0;
let before;
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  while (performance.now() < until) {
    const seed = next;
    next += 1;
    for (const complaint of await history(seed, url)) {
      failed += 1;
      console.log(complaint);
    }
    histories += 1;
    if (histories === 100) before = process.memoryUsage().rss;
  }
}));
const grown = before === undefined ? 0 : process.memoryUsage().rss - before;
if (grown > MOST_MEMORY) {
  failed += 1;
  console.log(`memory has grown by ${Math.round(grown / 2 ** 20)} MiB`);
}
await sql.end();
console.log(`${histories} histories from seed ${first}: ${failed} complaints; ${Math.round(grown / 2 ** 20)} MiB more than after the first 100`);
process.exitCode = failed === 0 ? 0 : 1;
