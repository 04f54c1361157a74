// Reads and sign-ups kept in flight while something goes wrong, and the count of what became of them.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";

import { LuciaError } from "lucia";

import { within } from "./bounded.mjs";

export const USERS = 200;

/** Users `u1`, `u2` ..., each with a key and a session. */
export async function populate(sql) {
  await sql.unsafe(`
    INSERT INTO auth_user SELECT 'u' || n, 'name ' || n FROM generate_series(1, ${USERS}) n;
    INSERT INTO user_key SELECT 'k' || n, 'u' || n, 'hash ' || n FROM generate_series(1, ${USERS}) n;
    INSERT INTO user_session SELECT 's' || n, 'u' || n, n, 2 * n, 'country ' || n FROM generate_series(1, ${USERS}) n;
  `);
}

const user = (n) => ({ id: `u${n}`, username: `name ${n}` });
const key = (n) => ({ id: `k${n}`, user_id: `u${n}`, hashed_password: `hash ${n}` });
const session = (n) => ({
  id: `s${n}`, user_id: `u${n}`, active_expires: n, idle_expires: 2 * n, country: `country ${n}`,
});

/** Every reading method, called for user number `n`, with the only right answer. */
export const reads = {
  getUser: [(adapter, n) => adapter.getUser(`u${n}`), user],
  getKey: [(adapter, n) => adapter.getKey(`k${n}`), key],
  getKeysByUserId: [(adapter, n) => adapter.getKeysByUserId(`u${n}`), (n) => [key(n)]],
  getSession: [(adapter, n) => adapter.getSession(`s${n}`), session],
  getSessionsByUserId: [(adapter, n) => adapter.getSessionsByUserId(`u${n}`), (n) => [session(n)]],
  getSessionAndUser: [(adapter, n) => adapter.getSessionAndUser(`s${n}`), (n) => [session(n), user(n)]],
};

/** Takes away what would keep a write that is sent twice from being stored twice. */
export async function dropConstraints(sql) {
  await sql.unsafe(`
    ALTER TABLE user_key DROP CONSTRAINT user_key_pkey;
    ALTER TABLE auth_user DROP CONSTRAINT auth_user_pkey CASCADE;
    CREATE INDEX ON user_key (id);
    CREATE INDEX ON auth_user (id);
  `);
}

/** Calls one reading method and checks its answer. */
export async function read(adapter, name, n) {
  const [call, expected] = reads[name];
  assert.deepEqual(await call(adapter, n), expected(n));
}

/** How many calls were made, and how each ended. */
export class Outcome extends EventEmitter {
  started = 0;
  resolved = 0;
  errors = [];

  /** Counts what becomes of `promise`; never rejects. */
  async follow(promise) {
    this.started += 1;
    try {
      await promise;
      this.resolved += 1;
    } catch (error) {
      this.errors.push(error);
    }
    this.emit("settled");
  }

  get settled() {
    return this.resolved + this.errors.length;
  }

  /** So many more calls have settled. */
  async more(count) {
    const goal = this.settled + count;
    const reached = async () => {
      while (this.settled < goal) await once(this, "settled");
    };
    await within(30, `${count} more calls settle (so far ${JSON.stringify(this.counts())})`, reached());
  }

  /** Every call has settled, or the time is up and `counts` tells how many are pending. */
  async all(seconds = 30) {
    await within(seconds, "every call settles", this.more(this.started - this.settled)).catch(() => {});
    return this.counts();
  }

  counts() {
    const codes = {};
    for (const { code, message } of this.errors) codes[code ?? message] = (codes[code ?? message] ?? 0) + 1;
    const rejected = this.errors.length;
    return { resolved: this.resolved, rejected, pending: this.started - this.settled, codes };
  }
}

/** Sign-ups through one adapter after the other, each with an id that was never used before. */
export class SignUps extends Outcome {
  static #instances = 0;
  made = [];
  #instance = SignUps.#instances += 1;

  /** The password's hash occurs in what is sent once for every time that the sign-up is sent. */
  static SENT = /<sign-up \d+\.\d+>/g;

  get #number() {
    return `${this.#instance}.${this.made.length + 1}`;
  }

  /** What the next sign-up will send. */
  get next() {
    return `<sign-up ${this.#number}>`;
  }

  async one(adapter) {
    const signUp = { id: `new ${this.#number}`, sent: this.next, state: "pending", error: undefined };
    this.made.push(signUp);
    const keyOfUser = { id: `key of ${signUp.id}`, user_id: signUp.id, hashed_password: signUp.sent };
    const promise = adapter.setUser({ id: signUp.id, username: "somebody" }, keyOfUser);
    await this.follow(promise.then(
      () => {
        signUp.state = "resolved";
      },
      (error) => {
        signUp.state = "rejected";
        signUp.error = error;
        throw error;
      },
    ));
    return signUp;
  }

  /** Compares what the callers were told with what is stored, and with what a proxy has counted in `timesSent`. */
  async audit(sql, timesSent = new Map()) {
    const count = (rows) => new Map(rows.map(({ id, stored }) => [id, stored]));
    const users = count(await sql`SELECT id, count(*)::int AS stored FROM auth_user GROUP BY id`);
    const keys = count(await sql`SELECT user_id AS id, count(*)::int AS stored FROM user_key GROUP BY user_id`);
    const mine = this.made.map((signUp) => ({
      ...signUp,
      users: users.get(signUp.id) ?? 0,
      keys: keys.get(signUp.id) ?? 0,
      times: timesSent.get(signUp.sent) ?? 0,
    }));
    const number = (test) => mine.filter(test).length;
    return {
      lost: number(({ state, users: stored }) => state === "resolved" && stored === 0),
      doubled: number(({ users: stored, keys: storedKeys }) => stored > 1 || storedKeys > 1),
      sentTwice: number(({ times }) => times > 1),
      pending: number(({ state }) => state === "pending"),
      usersWithoutKey: number(({ users: stored, keys: storedKeys }) => stored > storedKeys),
      keysWithoutUser: number(({ users: stored, keys: storedKeys }) => storedKeys > stored),
      ownDuplicates: number(({ error }) => error instanceof LuciaError || error?.code === "23505"),
    };
  }
}

/** What `audit` must find after any chaos. */
export const NOTHING_WRONG = {
  lost: 0, doubled: 0, sentTwice: 0, pending: 0, usersWithoutKey: 0, keysWithoutUser: 0, ownDuplicates: 0,
};

/** Keeps so many calls in flight until the function it returns is called. `call` must not reject. */
export function keepInFlight(count, call) {
  let over = false;
  for (let started = 0; started < count; started += 1) {
    (async () => {
      while (!over) {
        await call();
        // A call that settles at once must not keep the rest of the process from its turn.
        await turn();
      }
    })();
  }
  return () => {
    over = true;
  };
}

/** Reads of every kind and sign-ups, at the same time, until `stop`. */
export class Load {
  reads = new Outcome();
  signUps = new SignUps();
  #stops;

  constructor(adapter, random, { readers = 32, writers = 16 } = {}) {
    const names = Object.keys(reads);
    const reading = () => this.reads.follow(read(adapter, random.pick(names), random.between(1, USERS)));
    this.#stops = [keepInFlight(readers, reading), keepInFlight(writers, () => this.signUps.one(adapter))];
  }

  /** So many more of each have settled. */
  async more(count) {
    await Promise.all([this.reads.more(count), this.signUps.more(count)]);
  }

  /** Starts nothing more and waits until everything has settled. */
  async stop(seconds = 30) {
    for (const stop of this.#stops) stop();
    const [readCounts, signUpCounts] = await Promise.all([this.reads.all(seconds), this.signUps.all(seconds)]);
    return { reads: readCounts, signUps: signUpCounts };
  }
}
