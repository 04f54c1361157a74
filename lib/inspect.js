// What the command line asks of a database. Users of the package do not see it.
"use strict";

const { release, take } = require("./calls.js");
const { instance } = require("./completions.js");
const { PostgresError, unlessRefused } = require("./errors.js");

const nobody = { PostgresError, started() {}, settled() {} };

/**
 * @param {string} url
 * @param {string} sql takes one text, and gives one that is JSON
 * @param {string} parameter
 * @returns {Promise<string>} JSON, `{ answer, isPooled, isLocal, tls }`
 */
const inspect = (url, sql, parameter) =>
  new Promise((resolve) => {
    const slot = take(resolve, nobody);
    try {
      unlessRefused(instance.inspect(slot, url, sql, parameter, process.env));
    } catch (error) {
      release(slot);
      throw error;
    }
  });

module.exports = { inspect };
