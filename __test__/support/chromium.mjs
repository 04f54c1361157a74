// A real browser for the tests: the `chromium` (or Chrome) of this machine, without a window.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

import { chromium } from "playwright-core";

function find() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of names) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}

const executablePath = find();

/** Why there is no browser, for `skip`; `false` when there is one. */
export const noBrowser = executablePath
  ? false
  : "no Chromium on this machine (on Debian: apt-get install chromium; elsewhere set CHROMIUM to its path)";

/** Every browser has a profile of its own that is deleted when it closes. */
export function openBrowser() {
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox", // Chromium does not start as root with it
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
