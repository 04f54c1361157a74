// An npm registry on this machine, to publish to: what was not published here it takes from npm's own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { installedProject, npm } from "./installed.mjs";
import { freePort } from "./server.mjs";

/** Anyone may publish. Of node-fetch verdaccio's parts ask for a version that is not there. */
const version = { dependencies: { verdaccio: "6.8.0" }, overrides: { "node-fetch": "2.7.0" } };

const configuration = (folder, uplink, name) => JSON.stringify({
  storage: join(folder, "storage"),
  auth: { htpasswd: { file: join(folder, "htpasswd") } },
  uplinks: { npm: { url: uplink } },
  packages: {
    [`${name}*`]: { access: "$all", publish: "$anonymous" },
    "**": { access: "$all", proxy: "npm" },
  },
  web: { enable: false },
  log: { type: "stdout", level: "warn" },
});

/** @param {string} name of the package, whose name with any ending can be published */
export async function startRegistry(folder, name) {
  const modules = join(installedProject("registry", version), "node_modules");
  mkdirSync(folder, { recursive: true });
  // YAML is a superset of JSON.
  const file = join(folder, "verdaccio.yaml");
  writeFileSync(file, configuration(folder, npm(folder, "config", "get", "registry").trim(), name));
  const port = await freePort();
  const child = spawn(process.execPath, [join(modules, "verdaccio/bin/verdaccio"), "--config", file, "--listen", `127.0.0.1:${port}`],
    { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`verdaccio exited with ${code}: ${said}`)));
    child.once("error", reject);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        said += text;
        if (said.includes("http address")) resolve();
      });
    }
  });
  return {
    url: `http://127.0.0.1:${port}/`,
    /** npm publishes only with a token, whatever the registry asks for. */
    token: `--//127.0.0.1:${port}/:_authToken=none`,
    async stop() {
      child.removeAllListeners("exit");
      child.kill();
      await once(child, "close");
    },
  };
}
