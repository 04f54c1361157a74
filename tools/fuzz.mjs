// Changes a server's answers at random for so many minutes: `npm run fuzz -- --minutes 30 --seed 1`. Prints each history that broke a promise;
// the same is run for 20 seconds by `npm test`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { startServer } from "./server.mjs";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "1" }, seed: { type: "string" } } });
const server = await startServer();
const program = fileURLToPath(new URL("../__test__/support/fuzz.mjs", import.meta.url));
const args = [program, String(Number(values.minutes) * 60), ...(values.seed === undefined ? [] : [values.seed])];
const child = spawn(process.execPath, args, { env: { ...process.env, DATABASE_URL: server.url() }, stdio: "inherit" });
const [code, signal] = await once(child, "close");
if (signal) console.log(`the process was ended by ${signal}`);
await server.stop();
process.exitCode = code ?? 1;
