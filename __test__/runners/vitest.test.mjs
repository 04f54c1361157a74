// For vitest, in each of its pools (`runners.test.mjs`).
import { expect, test, vi } from "vitest";

import expectations from "./expectations.cjs";

expectations({
  test,
  expect,
  fakeDate: (now) => {
    vi.useFakeTimers({ now, toFake: ["Date"] });
    return () => vi.useRealTimers();
  },
});
