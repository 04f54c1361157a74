// Databases and adapters behind a proxy, for tests of what goes wrong on the way, and what may be rejected then.
import assert from "node:assert/strict";

import { openAdapter } from "./adapter.mjs";
import { dropConstraints, populate, read, reads, SignUps } from "./load.mjs";
import { databaseWith } from "./once.mjs";
import { startProxy } from "./proxy.mjs";

/** So that a call which never settles fails its own test only. */
export const limit = { timeout: 40_000 };
export const database = await databaseWith(populate);
/** The same tables without a constraint, where whatever is sent twice is stored twice. */
export const unconstrained = await databaseWith(populate, dropConstraints);

export async function proxied(t, url = unconstrained.url) {
  const proxy = await startProxy(url);
  t.after(() => proxy.stop());
  return proxy;
}

/** An adapter behind a proxy, which has already done a read and a sign-up. */
export async function connected(t, { url = unconstrained.url, ...options } = {}) {
  const proxy = await proxied(t, url);
  proxy.record();
  const opened = openAdapter(t, proxy.url(url), options);
  const signUps = new SignUps();
  for (const name of Object.keys(reads)) await read(opened.adapter, name, 1);
  await signUps.one(opened.adapter);
  const audit = () => signUps.audit(unconstrained.sql, proxy.timesSent(SignUps.SENT));
  return { ...opened, proxy, signUps, audit };
}

/** Rejections are allowed for calls that a fault caught between being sent and being answered, and say so. */
export function onlyUnknown({ pending, rejected, codes }, atMost = Infinity) {
  assert.deepEqual({ pending, codes }, { pending: 0, codes: rejected === 0 ? {} : { OUTCOME_UNKNOWN: rejected } });
  assert.ok(rejected <= atMost, `${rejected} calls were rejected, but only ${atMost} can have been under way`);
}

export function noneRejected({ rejected, pending, codes }) {
  assert.deepEqual({ rejected, pending, codes }, { rejected: 0, pending: 0, codes: {} });
}

export const unknown = { code: "OUTCOME_UNKNOWN" };
