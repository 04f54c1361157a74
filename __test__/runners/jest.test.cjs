// For jest 29 and 30 (`runners.test.mjs`).
"use strict";

/* global jest, test, expect */
require("./expectations.cjs")({
  test,
  expect,
  fakeDate: (now) => {
    const real = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "setInterval", "clearInterval", "nextTick",
      "queueMicrotask", "performance", "hrtime"];
    jest.useFakeTimers({ now, doNotFake: real });
    return () => jest.useRealTimers();
  },
});
