// The binary, or an error that says which one is missing here and how to get it. `../binding.js`, which the build writes, looks
// for the binary of this platform beside it and in the platform's package.
"use strict";

/** @type {typeof import("../binding.js")} */
let binding;
try {
  binding = require("../binding.js");
} catch (error) {
  throw explained(error);
}
if (typeof binding.instance !== "function") {
  const given = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  const where = given ? `${given}, as NAPI_RS_NATIVE_LIBRARY_PATH has it,` : "The binary that was found";
  throw coded("BINARY_UNUSABLE", undefined, `${where} is not the binary of lucia-postgres-native`);
}

module.exports = binding;

function explained(cause) {
  // In a clone that was not built, binding.js itself is missing.
  if (!cause.cause) return cause;
  // Everything that was tried, each with its reason.
  const reasons = [];
  for (let error = cause.cause; error; error = error.cause) reasons.push(String(error.message));
  const failure = reasons.find((reason) => !/^(Cannot find (module|package)|Unsupported )/i.test(reason));
  const given = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  if (given) return coded("BINARY_UNUSABLE", cause, `${given}, as NAPI_RS_NATIVE_LIBRARY_PATH has it, cannot be loaded: ${reasons[0]}`);

  const { NAPI_RS_FORCE_WASI: wasi, NAPI_RS_WASI_FLAVOR: flavor } = process.env;
  if (wasi === "error" || flavor) {
    const name = flavor ? "NAPI_RS_WASI_FLAVOR" : "NAPI_RS_FORCE_WASI";
    return coded("BINARY_UNUSABLE", cause, `lucia-postgres-native has no build for WebAssembly, which ${name} asks for`);
  }

  const platform = `${process.platform} ${process.arch}`;
  const packages = /lucia-postgres-native-(?:linux-(?:x64|arm64)-(?:gnu|musl)|darwin-(?:x64|arm64)|win32-(?:x64|arm64)-msvc)\b/;
  const name = reasons.map((reason) => packages.exec(reason)?.[0]).find(Boolean);
  if (!name && failure) return coded("BINARY_UNUSABLE", cause, `The binary of lucia-postgres-native cannot be loaded: ${failure}`);
  if (!name) {
    return coded("PLATFORM_UNSUPPORTED", cause, `lucia-postgres-native has no binary for ${platform}. It has binaries for ` +
      "Linux (glibc and musl), macOS and Windows, each for x64 and arm64.");
  }
  const library = name.endsWith("-gnu") ? " (glibc)" : name.endsWith("-musl") ? " (musl)" : "";
  const binary = `The binary of lucia-postgres-native for ${platform}${library}`;
  if (failure) return coded("BINARY_UNUSABLE", cause, `${binary} cannot be loaded: ${failure}`);
  return coded("BINARY_MISSING", cause, `${binary} is missing: the package ${name} is not installed. npm installs it by ` +
    "itself, as an optional dependency, but not with --omit=optional, and not always from a lock file or into a node_modules " +
    `folder that was made on another platform. Install again on this platform, or name it: npm install ${name}`);
}

function coded(code, cause, message) {
  return Object.assign(new Error(message, { cause }), { code });
}
