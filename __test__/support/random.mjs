// Numbers drawn at random from one seed, which is printed: SEED=... repeats a run.
import { randomInt } from "node:crypto";

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  /** From 0 up to, not including, 1. */
  fraction() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number; both ends are possible. */
  between(low, high) {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  /** Like `between`, but every order of magnitude is as likely as the next. */
  magnitude(low, high) {
    return Math.round(low * (high / low) ** this.fraction());
  }

  pick(list) {
    return list[this.between(0, list.length - 1)];
  }

  /** A generator of its own, so that what one drawer takes does not shift what another gets. */
  split() {
    return new Random(this.between(0, 2 ** 31 - 1));
  }
}

/** A generator whose seed is SEED, or one never used before. */
export function seeded(seed = Number(process.env.SEED ?? randomInt(2 ** 31))) {
  console.log(`SEED=${seed} repeats this run`);
  return new Random(seed);
}
