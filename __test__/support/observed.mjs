// What the tracing channel says of calls.
import { subscribe, unsubscribe } from "node:diagnostics_channel";

export const CHANNEL = "lucia-postgres-native:call";
const SETTLED = `tracing:${CHANNEL}:asyncEnd`;

/** The contexts of the calls that settle from now on, until `stop`. */
export function observe() {
  const contexts = [];
  const push = (context) => contexts.push(context);
  subscribe(SETTLED, push);
  return { contexts, stop: () => unsubscribe(SETTLED, push) };
}

/** The same, until the test is over. */
export function observeTest(t) {
  const { contexts, stop } = observe();
  t.after(stop);
  return contexts;
}

/** The contexts of the calls that `act` makes, in the order in which they settle. */
export async function observed(act) {
  const { contexts, stop } = observe();
  try {
    await act();
  } finally {
    stop();
  }
  return contexts;
}
