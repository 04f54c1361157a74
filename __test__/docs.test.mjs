// Every code block of the README and of docs/ does what it says, and what the documents name is there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { createTables, freshDatabase } from "./support/database.mjs";
import { matchesGlob, missingFiles, readDocument } from "./support/documents.mjs";
import { evidence } from "./support/evidence.mjs";
import {
  effectiveOptions, ignoredOptions, modes, parameters, refusedTlsMembers, targets, tlsMembers, variables,
} from "./support/settings.mjs";
import { differences } from "./support/types.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json"));
const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");

/** Its recipes are programs of their own, which a test of their own builds. */
const testedElsewhere = { "docs/bundlers.md": "bundlers", "docs/deployment.md": "deployment", "docs/opentelemetry.md": "opentelemetry" };

const documents = ["README.md", ...readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)]
  .map((path) => readDocument(path, read(path)));
const document = (path) => documents.find((each) => each.path === path);

const folders = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A folder in which programs find the packages of this repository, and the repository itself under its name. */
function createFolder(lucia) {
  const folder = mkdtempSync(join(tmpdir(), "lucia-docs-"));
  folders.push(folder);
  mkdirSync(join(folder, "node_modules"));
  const link = (name, target) => symlinkSync(target, join(folder, "node_modules", name), "junction");
  for (const name of readdirSync(join(root, "node_modules")).filter((each) => !each.startsWith(".") && each !== "lucia")) {
    link(name, join(root, "node_modules", name));
  }
  link("lucia", lucia);
  link(manifest.name, root);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  return folder;
}
const withLucia2 = createFolder(join(root, "node_modules/lucia"));
const withLucia3 = createFolder(join(root, "__test__/lucia-3/node_modules/lucia"));
const folderFor = (text) => (text.includes('"lucia-postgres-native/v3"') ? withLucia3 : withLucia2);

/** The environment of a reader who has set DATABASE_URL and nothing else that PostgreSQL's programs know. */
function environmentFor(url) {
  const given = Object.entries(process.env).filter(([name]) => !name.startsWith("PG") && name !== "NODE_TEST_CONTEXT");
  return { ...Object.fromEntries(given), DATABASE_URL: url };
}

function runNode(folder, args, url) {
  const options = { cwd: folder, encoding: "utf8", env: environmentFor(url), timeout: 60_000 };
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, options);
  assert.equal(status, 0, `${signal ?? ""}${stdout}${stderr}`);
  assert.equal(stderr, "");
  return stdout;
}

/** What a line prints stands behind it: `console.log(...); // that`. */
function runProgram(name, text, url) {
  const folder = folderFor(text);
  writeFileSync(join(folder, name), text);
  const printed = runNode(folder, [name], url);
  const expected = [...text.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, comment]) => comment);
  assert.deepEqual(printed.split("\n").filter(Boolean), expected);
}

function compileAndRun(name, text, declarations, url) {
  const folder = folderFor(text);
  for (const [index, declaration] of declarations.entries()) writeFileSync(join(folder, `declared${index}.d.ts`), declaration);
  writeFileSync(join(folder, `${name}.ts`), text);
  const compilerOptions = {
    strict: true, target: "es2022", module: "nodenext", lib: ["es2023", "dom"], types: ["node"], skipLibCheck: true,
    exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, preserveSymlinks: true,
  };
  const files = [`${name}.ts`, ...declarations.keys().map?.((index) => `declared${index}.d.ts`) ?? []];
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8", cwd: folder });
  assert.equal(status, 0, stdout);
  if (!text.startsWith("// app.d.ts")) runProgram(`${name}.js`, readFileSync(join(folder, `${name}.js`), "utf8"), url);
}

/** A command that a reader is told to type: what it names exists. */
function checkCommand(line) {
  const words = line.replace(/\s+#.*$/, "").split(/\s+/).filter((word) => !/^[A-Z_]+=/.test(word));
  const [command, first, ...rest] = words;
  const known = [manifest.name, ...Object.keys(manifest.devDependencies)];
  if (command === "npm" && first === "run") assert.ok(manifest.scripts[rest[0]], `package.json has no script ${rest[0]}`);
  else if (command === "npm" && first === "test") assert.ok(manifest.scripts.test);
  else if (command === "npm" && (first === "i" || first === "uninstall")) {
    for (const name of rest) assert.ok(known.includes(name.replace(/(.)@[^/]*$/, "$1")), `${name} is no package of this repository`);
  } else if (command === "npx") assert.ok(manifest.bin?.[first], `package.json has no program ${first}`);
  else if (command === "node") {
    assert.ok(existsSync(join(root, first)), `there is no file ${first}`);
    if (first === "tools/test.mjs") for (const name of rest) assert.ok(existsSync(join(root, "__test__", `${name}.test.mjs`)), name);
  } else assert.ok(command === "cargo" && ["test", "fmt", "clippy"].includes(first) || command === ".ci/run", `an unknown command: ${line}`);
}

for (const { path, blocks } of documents) {
  if (testedElsewhere[path]) {
    test(`${path} has a test of its own`, () => {
      assert.ok(existsSync(join(root, "__test__", `${testedElsewhere[path]}.test.mjs`)));
    });
    continue;
  }
  if (blocks.length === 0) continue;
  describe(path, { timeout: 300_000 }, () => {
    let database;
    before(async () => {
      database = await freshDatabase();
      const makesTables = blocks.some(({ language, text }) => language === "sql" && text.includes("CREATE TABLE auth_user"));
      if (makesTables) return;
      await createTables(database.sql);
      await database.sql`INSERT INTO auth_user VALUES ('u1', 'name 1')`;
      await database.sql`INSERT INTO user_session VALUES ('s1', 'u1', 1, 2, 'PT')`;
    });
    after(() => database?.drop());

    const declarations = blocks.filter(({ text }) => text.startsWith("// app.d.ts")).map(({ text }) => text);
    const name = (line) => `${path.replaceAll(/\W/g, "_")}_${line}`;
    const verbs = {
      js: ["runs", (text, line) => runProgram(`${name(line)}.js`, text, database.url)],
      ts: ["compiles and runs", (text, line) => compileAndRun(name(line), text, declarations, database.url)],
      sql: ["runs", (text) => database.sql.unsafe(text)],
      sh: ["names what exists", (text) => text.trim().split("\n").forEach(checkCommand)],
      json: ["is JSON", (text) => JSON.parse(text)],
      text: ["names files that exist", (text) => assert.deepEqual(missingFiles(root, text), [])],
      diff: ["runs before and after", (text, line) => {
        const side = (sign) => text.split("\n").filter((each) => !each.startsWith(sign)).map((each) => each.slice(1)).join("\n");
        runProgram(`${name(line)}_before.js`, side("+"), database.url);
        runProgram(`${name(line)}_after.js`, side("-"), database.url);
      }],
    };
    for (const { language, line, text } of blocks) {
      const [verb, execute] = verbs[language] ?? [];
      test(`${path}:${line} (${language}) ${verb}`, () => {
        assert.ok(execute, `no test knows what to do with a block of "${language}"`);
        return execute(text, line);
      });
    }
  });
}

test("every link within the repository leads to a file, and to a heading that it has", () => {
  const broken = [];
  for (const { path, links } of documents) {
    for (const { target, line } of links) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split("#");
      const to = file === "" ? path : relative(root, resolve(root, dirname(path), file)).split(sep).join("/");
      const isThere = existsSync(join(root, to)) && (anchor === undefined || document(to)?.anchors.has(anchor));
      if (!isThere) broken.push(`${path}:${line}: ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("docs/evidence.md is what the list of promises says", () => {
  assert.equal(read("docs/evidence.md"), evidence(JSON.parse(read("__test__/promises.json"))));
});

test("every link of the README leads to a file of the published package", () => {
  const shipped = ["README.md", "LICENSE", "package.json", ...manifest.files];
  const isShipped = (file) => shipped.some((pattern) => matchesGlob(file, pattern));
  const local = document("README.md").links.map(({ target }) => target.split("#")[0]).filter((target) => target && !/^[a-z]+:/.test(target));
  assert.ok(local.length > 10);
  assert.deepEqual(local.filter((file) => !isShipped(file)), []);
});

test("the README has at most 150 lines, and says in which file a new option, type, retry rule, TLS mode and method begin", () => {
  const text = read("README.md");
  assert.ok(text.split("\n").length - 1 <= 150);
  const kinds = ["option", "TLS mode", "type", "rule for what is sent again", "method of Lucia's"];
  const begin = text.replaceAll("\n", " ");
  const files = kinds.map((kind) => new RegExp(`${kind}( begins)? in \`([^\`]+)\``).exec(begin)?.[2]);
  assert.deepEqual(files.filter((file) => !file || !existsSync(join(root, file))), []);
});

test("docs/architecture.md names every room and no other", () => {
  const folders = (path) => readdirSync(join(root, path), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    .map((entry) => `${entry.name}/`);
  const rooms = [...folders("src").filter((floor) => floor !== "pg/"), ...folders("src/pg").map((room) => `pg/${room}`)];
  const named = [...read("docs/architecture.md").matchAll(/^\| `([^`]+\/)` \|/gm)].map(([, room]) => room);
  assert.deepEqual(named.sort(), rooms.sort());
});

test("docs/types.md lists every difference that the tests know, and no other", () => {
  const listed = [...read("docs/types.md").matchAll(/^\| `(\w+)` \| (reading|writing) \| ([^|]*) \|/gm)]
    .map(([, name, of, reason]) => `${name}, ${of}: ${reason}`);
  const known = Object.entries(differences).map(([name, { of, reason }]) => `${name}, ${of}: ${reason}`);
  assert.deepEqual(listed.sort(), known.sort());
});

describe("docs/configuration.md", () => {
  const tables = new Map(read("docs/configuration.md").split("\n## ").slice(1).map((section) => {
    const [title, ...lines] = section.split("\n");
    const rows = lines.filter((line) => /^\| .* \|$/.test(line)).map((line) => line.slice(2, -2).split(" | "));
    return [title, rows.slice(1)];
  }));
  const namesOf = (...titles) => titles
    .flatMap((title) => tables.get(title).flatMap(([first]) => [...first.matchAll(/`([^`]+)`/g)].map(([, name]) => name)));
  test("names a test in every row of every table", () => {
    const untested = [...tables].flatMap(([title, rows]) => rows.map((row) => [title, row]))
      .filter(([, row]) => !/\]\([^)]+\) "/.test(row.at(-1)))
      .map(([title, [first]]) => `${title}: ${first}`);
    assert.equal(tables.size, 8);
    assert.deepEqual(untested, []);
  });

  test("lists every option that the code knows, and no other", () => {
    assert.ok(effectiveOptions.length > 25 && ignoredOptions.length > 5);
    assert.deepEqual(namesOf("Options").sort(), [...effectiveOptions, ...ignoredOptions].sort());
  });

  test("lists every parameter of a connection string that the code knows", () => {
    const listed = namesOf("Parameters of a connection string", "Options");
    assert.ok(parameters.length > 25);
    assert.deepEqual(parameters.filter((name) => !listed.includes(name)), []);
  });

  test("lists every mode", () => {
    assert.ok(modes.length > 6 && targets.length > 5);
    assert.deepEqual(namesOf("TLS: `sslmode`, `ssl`").filter((name) => name !== "false").sort(), [...modes].sort());
    assert.deepEqual(namesOf("Several hosts: `target_session_attrs`").sort(), [...targets].sort());
  });

  test("lists every environment variable that the code reads, and no other", () => {
    assert.ok(variables.length > 35);
    assert.deepEqual(namesOf("Environment variables, the password file").sort(), [...variables].sort());
  });
});

test("docs/tls.md lists every member of the option `ssl` that the code knows", () => {
  const members = [...tlsMembers, ...refusedTlsMembers];
  const text = read("docs/tls.md");
  assert.ok(members.length > 30);
  assert.deepEqual(members.filter((name) => !text.includes(`\`${name}\``)), []);
});

test("docs/errors.md names every code that the source does", () => {
  const text = read("docs/errors.md");
  const codes = [...read("src/pg/codes.rs").matchAll(/pub const \w+: &str = "([A-Z_]{5,})";/g)].map(([, code]) => code)
    .concat([...read("src/pg/io_code.rs").matchAll(/(?:=> |, )"(E[A-Z_]+)"/g)].map(([, code]) => code))
    .concat(["connector", "explain", "rules", "verifier"].flatMap((file) => (
      [...read(`src/pg/tls/${file}.rs`).matchAll(/"((?:CERT|CRL|ERR|INVALID|PATH|TLS|UNABLE)_[A-Z_]+)"/g)].map(([, code]) => code)
    )));
  assert.ok(codes.length > 25);
  assert.deepEqual(codes.filter((code) => !text.includes(code)), []);
});

test("docs/contributing.md says why each dependency is there, and names no other", () => {
  const [, section] = /\n\[dependencies\]\n([^]*?)\n\n/.exec(read("Cargo.toml"));
  const [, builds] = /\n\[build-dependencies\]\n([^]*?)\n\n/.exec(read("Cargo.toml"));
  const [, tests] = /\n\[dev-dependencies\]\n([^]*?)\n\n/.exec(read("Cargo.toml"));
  const used = [...`${section}\n${builds}\n${tests}`.matchAll(/^([\w-]+) =/gm)].map(([, name]) => name);
  const [, told] = /\n## Dependencies\n([^]*?)\n## /.exec(read("docs/contributing.md"));
  const named = [...told.matchAll(/^\| (`[\w-]+`(?:, `[\w-]+`)*) \|/gm)].flatMap(([, names]) => names.replaceAll("`", "").split(", "));
  assert.deepEqual(named.sort(), [...new Set(used)].sort());
});
