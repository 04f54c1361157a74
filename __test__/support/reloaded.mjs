// A module that makes an adapter when it is evaluated, as an application's own does. Development servers evaluate it
// again for every change, and sometimes the package with it.
import { createRequire } from "node:module";
import { dirname } from "node:path";

import { LuciaError } from "lucia";

import { tableNames } from "./database.mjs";

const require = createRequire(import.meta.url);
const { searchParams } = new URL(import.meta.url);
if (searchParams.has("package")) {
  const folder = dirname(require.resolve("../../index.js"));
  // Of a binary no second copy can be loaded.
  const isOurs = (path) => path.startsWith(folder) && !path.includes("node_modules") && !path.endsWith(".node");
  for (const path of Object.keys(require.cache).filter(isOurs)) delete require.cache[path];
}
const { postgres } = require("../../index.js");

export const initializer = postgres(searchParams.get("database"), tableNames, { max: 3 });
export const adapter = initializer(LuciaError);
