// `postgres`, and the initializer that it gives. Its documentation is in `index.d.ts`.
"use strict";

const { createAdapter, missingTable } = require("./adapter.js");
const { take } = require("./calls.js");
const { Connection } = require("./connection.js");
const { define } = require("./errors.js");
const { observable } = require("./observe.js");
const { give } = require("./rows.js");

/** @type {typeof import("../index.js").postgres} */
const postgres = (first, tableNames, options) => {
  const connection = new Connection(first, tableNames, options);

  const initialize = (LuciaError) => {
    if (typeof LuciaError === "function") return createAdapter(connection, LuciaError);
    throw new TypeError("the initializer must be called with the class LuciaError, as `lucia({ adapter })` does");
  };

  const deleteExpired = async (_, __, tally) => {
    connection.checkOpen();
    if (!connection.native.hasSessions) throw missingTable();
    return await new Promise((resolve) => {
      const slot = take(resolve, connection, undefined, give.Count, tally);
      connection.deleteExpired(slot, String(Date.now()), tally !== undefined);
    });
  };

  return define(initialize, {
    end: (how) => connection.end(how),
    stats: () => connection.load(),
    deleteExpiredSessions: observable("deleteExpiredSessions", undefined, deleteExpired),
  });
};

module.exports = { postgres };
