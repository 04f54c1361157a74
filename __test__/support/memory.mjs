// What memory a process holds after so many calls of every sort, refused ones included.
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { USERS } from "./load.mjs";

setFlagsFromString("--expose-gc");
const collectGarbage = globalThis.Bun ? () => Bun.gc(true) : runInNewContext("gc");

function call(adapter, n) {
  const k = 1 + n % USERS;
  // Few of these: the server writes each to its log.
  if (n % 100 === 0) return adapter.setUser({ id: `u${k}` }, null).catch(() => {});
  if (n % 100 === 1) {
    return adapter.setUser({ id: "x" }, { id: `k${k}`, user_id: "x", hashed_password: null }).catch(() => {});
  }
  switch (n % 6) {
    case 0: return adapter.getUser(`u${k}`);
    case 1: return adapter.getSessionAndUser("no such session");
    case 2: return adapter.getSessionsByUserId(`u${k}`);
    case 3: return adapter.updateUser(`u${k}`, { username: `name ${k}` });
    case 4: return adapter.getUser(undefined).catch(() => {});
    default: return adapter.getSessionAndUser(`s${k}`);
  }
}

/** Makes so many calls in each of so many rounds, 250 at a time, and reports what memory is in use after each round. */
export async function measure(adapter, rounds, calls, report) {
  for (let round = 0; round < rounds; round += 1) {
    for (let first = 0; first < calls; first += 250) {
      await Promise.all(Array.from({ length: 250 }, (_, n) => call(adapter, first + n)));
    }
    collectGarbage();
    await turn();
    collectGarbage();
    const { heapUsed, external, rss } = process.memoryUsage();
    report({ calls: (round + 1) * calls, heapUsed, external, rss });
  }
}
