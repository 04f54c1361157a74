// A `require` that works as those of jest and of vitest's vm pools: packages' files are evaluated in a realm of their own, Node's
// modules and binaries are loaded outside of it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

/** @returns the realm's global object, and the package as that realm has it */
export function loadInRealm() {
  const given = { process, console, URL, Buffer, setTimeout, clearTimeout, setImmediate, queueMicrotask, performance };
  const context = vm.createContext(given);
  const loaded = new Map();
  const load = (file) => {
    if (loaded.has(file)) return loaded.get(file).exports;
    const outside = createRequire(file);
    if (file.endsWith(".node")) return outside(file);
    const module = { exports: {} };
    loaded.set(file, module);
    const inside = (name) => {
      const found = outside.resolve(name);
      return isAbsolute(found) ? load(found) : outside(name);
    };
    inside.resolve = outside.resolve;
    const names = ["exports", "require", "module", "__filename", "__dirname"];
    const run = vm.compileFunction(readFileSync(file, "utf8"), names, { parsingContext: context, filename: file });
    run(module.exports, inside, module, file, dirname(file));
    return module.exports;
  };
  const { postgres } = load(fileURLToPath(new URL("../../index.js", import.meta.url)));
  return { postgres, evaluate: (text) => vm.runInContext(`(${text})`, context) };
}
