// A comparison that sees everything a program can see: -0, NaN, invalid dates, prototypes, key order, property flags.
import { inspect } from "node:util";

const show = (value) => inspect(value, { depth: 6, maxStringLength: 300, maxArrayLength: 20, breakLength: Infinity });

/**
 * The first place where two values are not the same, in words; `undefined` where they are the same throughout.
 *
 * @returns {string | undefined}
 */
export function difference(actual, expected, path = "it") {
  if (Object.is(actual, expected)) return undefined;
  const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";
  if (!isObject(actual) || !isObject(expected)) return `${path} is ${show(actual)}, expected ${show(expected)}`;

  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) {
    const name = (value) => Object.getPrototypeOf(value)?.constructor.name ?? "null";
    return `${path} is ${show(actual)} of ${name(actual)}, expected ${show(expected)} of ${name(expected)}`;
  }
  if (expected instanceof Date && !Object.is(actual.getTime(), expected.getTime())) {
    return `${path} is the Date ${show(actual)}, expected ${show(expected)}`;
  }
  if (ArrayBuffer.isView(expected)) {
    const bytes = (view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    return bytes(actual).equals(bytes(expected))
      ? undefined
      : `${path} is ${show(actual)}, expected ${show(expected)}`;
  }

  const keys = Reflect.ownKeys(expected);
  const actualKeys = Reflect.ownKeys(actual);
  if (actualKeys.length !== keys.length || actualKeys.some((key, index) => key !== keys[index])) {
    return `${path} has the keys ${show(actualKeys)}, expected ${show(keys)}`;
  }
  for (const key of keys) {
    const mine = Object.getOwnPropertyDescriptor(actual, key);
    const theirs = Object.getOwnPropertyDescriptor(expected, key);
    const at = `${path}[${typeof key === "symbol" ? String(key) : JSON.stringify(key)}]`;
    const unlike = ["enumerable", "writable", "configurable"].find((flag) => mine[flag] !== theirs[flag]);
    if (unlike) return `${at} is ${unlike}: ${mine[unlike]}, expected ${theirs[unlike]}`;
    const found = difference(mine.value, theirs.value, at);
    if (found) return found;
  }
  return undefined;
}

/** Throws an Error that lists every complaint, `undefined` ones left out. */
export function noComplaints(complaints) {
  const found = complaints.filter((complaint) => complaint !== undefined);
  if (found.length === 0) return;
  const shown = found.slice(0, 12).join("\n");
  throw new Error(`${found.length} differ:\n${shown}${found.length > 12 ? "\n..." : ""}`);
}
