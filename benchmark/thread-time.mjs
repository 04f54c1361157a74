// The processor time that the JavaScript thread has used, in microseconds, or null where nothing tells.
import { readFileSync } from "node:fs";

function asked() {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Linux counts it in hundredths of a second: a measurement is off by one of them at most. */
function read() {
  // The main thread has its process's number. What follows the name in parentheses begins with the third field.
  const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

const unknown = () => null;

export const threadTime = process.threadCpuUsage ? asked : process.platform === "linux" ? read : unknown;
