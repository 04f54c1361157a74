// The numbers that both languages use, and the table of Lucia's methods: written in Rust (`src/js/instance.rs`).
"use strict";

module.exports = require("./binding.js").constants();
