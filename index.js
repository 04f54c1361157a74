// The entry of the package.
"use strict";

// Each by its name, which is how Node and bundlers find out what can be imported.
exports.postgres = require("./lib/postgres.js").postgres;
