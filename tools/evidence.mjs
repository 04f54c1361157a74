// Writes docs/evidence.md from the list of promises.
import { readFileSync, writeFileSync } from "node:fs";

import { evidence } from "../__test__/support/evidence.mjs";

const file = (path) => new URL(`../${path}`, import.meta.url);
writeFileSync(file("docs/evidence.md"), evidence(JSON.parse(readFileSync(file("__test__/promises.json"), "utf8"))));
