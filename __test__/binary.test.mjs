// What a program is told by the loading of the binary, over what the file says that the build writes. (`loader` holds it against that file.)
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, test } from "node:test";

const require = createRequire(import.meta.url);

describe("the binary", () => {
  const [ours, built] = ["../lib/binding.js", "../binding.js"].map((name) => require.resolve(name));
  const NAMES = ["NAPI_RS_NATIVE_LIBRARY_PATH", "NAPI_RS_FORCE_WASI", "NAPI_RS_WASI_FLAVOR"];

  /** What is thrown where the file that the build writes gives `exports`, or throws. */
  const thrownOver = (exports, variables = {}) => {
    const cached = [ours, built].map((file) => [file, require.cache[file]]);
    const before = NAMES.map((name) => [name, process.env[name]]);
    const set = ([name, value]) => {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    };
    for (const name of NAMES) set([name, variables[name]]);
    delete require.cache[ours];
    require.cache[built] = Object.defineProperty({ id: built, filename: built, loaded: true, children: [] }, "exports", { get: exports });
    try {
      require("../lib/binding.js");
    } catch (error) {
      return error;
    } finally {
      before.forEach(set);
      for (const [file, module] of cached) require.cache[file] = module;
    }
    return undefined;
  };

  /** Throws as the file that the build writes does, where each attempt has failed for one of these reasons. */
  const failing = (...reasons) => {
    const tried = reasons.reduceRight((cause, reason) => new Error(reason, cause && { cause }), undefined);
    const error = new Error("Failed to load native binding", tried && { cause: tried });
    return { error, exports() {
      throw error;
    } };
  };
  const saysOf = (reasons, variables) => {
    const { error, exports } = failing(...reasons);
    const { code, message, cause } = thrownOver(exports, variables);
    assert.equal(cause, error);
    return [code, message];
  };
  const missing = (name) => `Cannot find module '${name}'`;
  const here = `${process.platform} ${process.arch}`;
  const found = "The binary of lucia-postgres-native";

  test("is what the file that the build writes gives, if it is the package's own", () => {
    assert.equal(thrownOver(() => ({ instance() {} })), undefined);
    const own = (error) => [error.code, error.message, error.cause];
    const not = "is not the binary of lucia-postgres-native";
    assert.deepEqual(own(thrownOver(() => ({}))), ["BINARY_UNUSABLE", `The binary that was found ${not}`, undefined]);
    assert.deepEqual(own(thrownOver(() => ({}), { NAPI_RS_NATIVE_LIBRARY_PATH: "/x.node" })),
      ["BINARY_UNUSABLE", `/x.node, as NAPI_RS_NATIVE_LIBRARY_PATH has it, ${not}`, undefined]);
  });

  test("and the file itself may be missing, which Node's error says", () => {
    const { error, exports } = failing();
    assert.equal(thrownOver(exports), error);
  });

  test("that is missing is named by its package, its platform and its C library", () => {
    const packages = { "linux-x64-gnu": " (glibc)", "linux-arm64-musl": " (musl)", "darwin-arm64": "", "win32-x64-msvc": "" };
    for (const [name, library] of Object.entries(packages)) {
      const full = `lucia-postgres-native-${name}`;
      assert.deepEqual(saysOf([missing("./x.node"), missing(full)]), ["BINARY_MISSING", `${found} for ${here}${library} is missing: the package ${full} ` +
        "is not installed. npm installs it by itself, as an optional dependency, but not with --omit=optional, and not always from a lock file or " +
        `into a node_modules folder that was made on another platform. Install again on this platform, or name it: npm install ${full}`]);
    }
  });

  test("that cannot be loaded is told with the reason", () => {
    const full = "lucia-postgres-native-linux-x64-gnu";
    assert.deepEqual(saysOf([missing("./x.node"), `/node_modules/${full}/x.node: invalid ELF header`]),
      ["BINARY_UNUSABLE", `${found} for ${here} (glibc) cannot be loaded: /node_modules/${full}/x.node: invalid ELF header`]);
    assert.deepEqual(saysOf(["too old", missing("./x.node")]), ["BINARY_UNUSABLE", `${found} cannot be loaded: too old`]);
    assert.deepEqual(saysOf([missing("/x.node"), "other"], { NAPI_RS_NATIVE_LIBRARY_PATH: "/x.node" }),
      ["BINARY_UNUSABLE", `/x.node, as NAPI_RS_NATIVE_LIBRARY_PATH has it, cannot be loaded: ${missing("/x.node")}`]);
  });

  test("that there is none of for this platform is told with those that there are", () => {
    const says = ["PLATFORM_UNSUPPORTED", `lucia-postgres-native has no binary for ${here}. It has binaries for Linux (glibc and musl), macOS and ` +
      "Windows, each for x64 and arm64."];
    const reasons = ["Unsupported OS: plan9", "Cannot find package 'x'", missing("lucia-postgres-native-freebsd-x64")];
    assert.deepEqual(saysOf(reasons), says);
    assert.deepEqual(saysOf(reasons, { NAPI_RS_FORCE_WASI: "true" }), says);
  });

  test("of WebAssembly is none, which the variable that asks for it is named for", () => {
    const says = (name) => ["BINARY_UNUSABLE", `lucia-postgres-native has no build for WebAssembly, which ${name} asks for`];
    assert.deepEqual(saysOf(["no WASI"], { NAPI_RS_FORCE_WASI: "error" }), says("NAPI_RS_FORCE_WASI"));
    assert.deepEqual(saysOf(["no WASI"], { NAPI_RS_WASI_FLAVOR: "x" }), says("NAPI_RS_WASI_FLAVOR"));
    assert.deepEqual(saysOf(["no WASI"], { NAPI_RS_FORCE_WASI: "error", NAPI_RS_WASI_FLAVOR: "x" }), says("NAPI_RS_WASI_FLAVOR"));
  });
});
