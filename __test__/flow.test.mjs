// Imports go one way: from a floor to a lower one, and within a floor from a file to those later in its list of modules.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { readModule, tokens } from "./support/rust-paths.mjs";

const folder = fileURLToPath(new URL("../src", import.meta.url));

/** `{ "pg/row.rs": source }` of every Rust file. */
function readSources() {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".rs"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  return Object.fromEntries(files.map((file) => [relative(folder, file).replaceAll(sep, "/"), readFileSync(file, "utf8")]));
}

function moduleOf(file) {
  const parts = file.replace(/\.rs$/, "").split("/");
  return ["mod", "lib"].includes(parts.at(-1)) ? parts.slice(0, -1) : parts;
}

/** Every arrow that goes up, as `from -> to`. */
function arrowsUp(sources) {
  const modules = new Map(Object.entries(sources).map(([file, source]) => {
    const home = moduleOf(file);
    return [home.join("::"), readModule(source, home)];
  }));
  const childrenOf = (path) => modules.get(path.join("::"))?.children ?? [];

  /** The file that a path leads to: follows modules as far as they go, then what the module passes on. */
  const destination = (path, followed = new Set()) => {
    let length = 0;
    while (length < path.length && modules.has(path.slice(0, length + 1).join("::"))) length += 1;
    const found = path.slice(0, length);
    const item = path[length];
    const { exported } = modules.get(found.join("::"));
    const passed = exported.find(({ name }) => name === item);
    if (!passed || followed.has(passed)) return found;
    return destination(passed.target, new Set([...followed, passed]));
  };

  const isTest = (path) => path.length > 0 && modules.get(path.slice(0, -1).join("::")).testsOnly.includes(path.at(-1));
  const isDown = (from, to) => {
    let same = 0;
    while (same < from.length && same < to.length && from[same] === to[same]) same += 1;
    if (same === from.length) return true;
    // A file of tests is part of the module that it tests.
    if (same === to.length) return same === from.length - 1 && isTest(from);
    const order = childrenOf(from.slice(0, same));
    return order.indexOf(to[same]) > order.indexOf(from[same]);
  };

  const arrows = [];
  for (const [name, { paths }] of modules) {
    const from = name === "" ? [] : name.split("::");
    for (const path of paths) {
      const to = destination(path);
      // What an item of the same file is called never leads out of it.
      if (to.join("::") !== name && !isDown(from, to)) arrows.push(`${name || "lib"} -> ${to.join("::") || "lib"} (${path.join("::")})`);
    }
  }
  return [...new Set(arrows)];
}

const sources = readSources();
const floorOf = (file) => (file.includes("/") ? file.split("/")[0] : undefined);
const filesThatName = (pattern, files) => files.filter((file) => tokens(sources[file]).some((token) => pattern.test(token)));

test("no import in the crate goes up", () => {
  assert.ok(Object.keys(sources).length > 10);
  assert.deepEqual(arrowsUp(sources), []);
});

test("the floors are js, simulation (for tests), lucia and pg, from the top, and every file is on one", () => {
  assert.deepEqual(readModule(sources["lib.rs"], []).children, ["js", "simulation", "lucia", "pg"]);
  for (const file of Object.keys(sources)) {
    if (file === "lib.rs") continue;
    assert.ok(["js", "simulation", "lucia", "pg"].includes(floorOf(file)), `${file} is on no floor`);
    const home = moduleOf(file);
    const parent = [...home.slice(0, -1), "mod.rs"].join("/");
    const declaredIn = sources[parent] ?? sources[`${home.slice(0, -1).join("/")}.rs`] ?? sources["lib.rs"];
    assert.ok(readModule(declaredIn, []).children.includes(home.at(-1)), `${file} is declared nowhere`);
  }
});

test("only js names napi, only pg names the database's crates", () => {
  const files = Object.keys(sources);
  assert.deepEqual(filesThatName(/^napi(_|$)/, files.filter((file) => floorOf(file) !== "js")), []);
  const database = /^(tokio_postgres|postgres_types|postgres_protocol|deadpool)/;
  assert.deepEqual(filesThatName(database, files.filter((file) => floorOf(file) !== "pg")), []);
  assert.ok(filesThatName(/^napi(_|$)/, files).length > 0);
  assert.ok(filesThatName(database, files).length > 0);
});

test("a file of Rust holds at most 300 lines besides its tests", () => {
  const isOfTests = (file) => /\/(tests|model|properties|exhaustive|connection_strings)\.rs$/.test(file);
  const lengths = Object.entries(sources).filter(([file]) => !isOfTests(file))
    .map(([file, source]) => [file, source.split("#[cfg(test)]\nmod tests {")[0].split("\n").length - 1]);
  assert.deepEqual(lengths.filter(([, length]) => length > 300), []);
});

test("the sources have no words of their own for what the field has words for", () => {
  const isPrivate = /\b(travel(s|led|ling)?|compan(y|ies)|journeys?|lanes?|landing|crossings?|pace|guards?|guarded|dress(es|ed)?|prompt(s|ed|ly)?|lots?)\b/;
  const lib = fileURLToPath(new URL("../lib", import.meta.url));
  const files = { ...sources };
  for (const file of readdirSync(lib).filter((name) => name.endsWith(".js"))) files[`lib/${file}`] = readFileSync(join(lib, file), "utf8");
  assert.ok(Object.keys(files).length > Object.keys(sources).length);
  const found = Object.entries(files).flatMap(([file, source]) =>
    source.split("\n").flatMap((line, index) => (isPrivate.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])));
  assert.deepEqual(found, []);
});

test("only js holds unsafe code", () => {
  const others = Object.keys(sources).filter((file) => floorOf(file) !== "js" && file !== "lib.rs");
  assert.deepEqual(filesThatName(/^unsafe$/, others), []);
});

const house = {
  "lib.rs": "mod js;\nmod lucia;\nmod pg;\n",
  "js/mod.rs": "mod adapter;\nmod rows;\n",
  "lucia/mod.rs": "mod store;\nmod statement;\npub use store::Store;\n",
  "pg/mod.rs": "mod queue;\nmod row;\nmod error;\npub(crate) use error::{Error, Other as Renamed};\n",
  "js/adapter.rs": "", "js/rows.rs": "", "lucia/store.rs": "", "lucia/statement.rs": "",
  "pg/queue.rs": "", "pg/row.rs": "#[cfg(test)]\nmod tests;\nmod part;", "pg/error.rs": "", "pg/row/tests.rs": "", "pg/row/part.rs": "",
};
const cases = [
  ["a lower floor", "js/rows.rs", "use crate::{lucia::{store::Store, statement}, pg::Error};", 0],
  ["a later file", "pg/queue.rs", "use super::row::{self, Row}; fn f() { crate::pg::error::new(); }", 0],
  ["a later file through its floor's module", "pg/row.rs", "use crate::pg::Error; fn f() { super::Renamed::new() }", 0],
  ["its floor as what may see it", "pg/row.rs", "pub(in crate::pg) fn f() {} pub(super) struct S;", 0],
  ["itself", "pg/row.rs", "use self::inner::Thing; mod inner { use super::Row; fn f() { super::g() } }", 0],
  ["the file around an inline module", "pg/row.rs", "mod tests { use super::*; use crate::pg::error::Error; }", 0],
  ["the module that its tests are about", "pg/row/tests.rs", "use super::*; use crate::pg::row::Row;", 0],
  ["nothing: comments and strings", "pg/row.rs",
    `// crate::js\n/* crate::js */ const A: &str = "crate::js"; const B: &str = r#"crate::js"#; 'a'`, 0],
  ["another crate's module of the same name", "pg/error.rs", "use tokio::sync::queue; fn f() { std::row::x() }", 0],
  ["an upper floor", "pg/row.rs", "use crate::lucia::statement::quote;", 1],
  ["an upper floor in a nested group", "pg/row.rs", "use crate::{pg::{error::{Error}}, js::{self, rows::{A, B as C}}};", 3],
  ["an upper floor in a path", "lucia/statement.rs", "fn f() -> crate::js::rows::Rows { todo!() }", 1],
  ["an upper floor in a public import", "lucia/store.rs", "pub(crate) use crate::js::adapter::X;", 1],
  ["an earlier file", "pg/row.rs", "use super::queue::Queue;", 1],
  ["an earlier file in an inline module", "pg/row.rs", "mod tests { use super::super::queue::Queue; }", 1],
  ["an earlier file through its floor's module", "lucia/statement.rs", "use super::Store;", 1],
  ["the module that it is a part of", "pg/row/part.rs", "use super::Row;", 1],
  ["an earlier file, in tests", "pg/row/tests.rs", "use crate::pg::queue::Queue;", 1],
  ["its own floor's module", "pg/row.rs", "use crate::pg::*;", 1],
  ["the crate's root", "pg/row.rs", "use crate::Thing;", 1],
  ["an upper floor after a lifetime", "pg/row.rs", "fn f<'a>(x: &'a str) -> &'a crate::js::rows::Rows { x }", 1],
  ["an upper floor after characters", "pg/row.rs", "const C: [char; 3] = ['\"', '\\'', '{']; use crate::js::rows;", 1],
];
for (const [kind, file, source, count] of cases) {
  test(`the reader ${count ? "finds an arrow to" : "accepts a file that names"} ${kind}`, () => {
    const arrows = arrowsUp({ ...house, [file]: source });
    assert.equal(arrows.length, count, arrows.join("\n"));
  });
}
