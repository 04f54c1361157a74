// `postgres`, and the initializer that it gives. Its documentation is in `index.d.ts`.
"use strict";

const { createDeletion, createMethods } = require("./adapter.js");
const { Connection } = require("./connection.js");
const { methods } = require("./constants.js");
const { define } = require("./errors.js");
const { give } = require("./rows.js");

/** @type {typeof import("../index.js").postgres} */
const postgres = (first, tableNames, options) => {
  const connection = new Connection(first, tableNames, options, 2);

  const initialize = (LuciaError) => {
    if (typeof LuciaError === "function") return createMethods(connection, LuciaError, methods[2], give);
    throw new TypeError("the initializer must be called with the class LuciaError, as `lucia({ adapter })` does");
  };

  return define(initialize, {
    end: (how) => connection.end(how),
    stats: () => connection.load(),
    deleteExpiredSessions: createDeletion(connection, give.Count, () => String(Date.now())),
  });
};

module.exports = { postgres };
