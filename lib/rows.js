// Rows, made of the flat list of values that the native side gives.
"use strict";

const { conversions: NUMBERS } = require("./constants.js");

/** Beyond it a `Date` is invalid (ECMA-262, time values). */
const LAST_TIME = 8.64e15;

/** More columns than a table can have. */
const WIDEST_LITERAL = 1600;

const toDate = (time) => (Math.abs(time) <= LAST_TIME ? new Date(time) : time);

const toLocalDate = (time) => {
  if (!(Math.abs(time) <= LAST_TIME)) return time;
  const utc = new Date(time);
  const local = new Date(2000, 0, 1);
  local.setFullYear(utc.getUTCFullYear(), utc.getUTCMonth(), utc.getUTCDate());
  local.setHours(utc.getUTCHours(), utc.getUTCMinutes(), utc.getUTCSeconds(), utc.getUTCMilliseconds());
  return local;
};

const CONVERSIONS = new Map([
  [NUMBERS.Json, (text) => JSON.parse(text)],
  [NUMBERS.Date, toDate],
  [NUMBERS.LocalDate, toLocalDate],
  [NUMBERS.Float, Number],
]);

const ofElements = (convert) => {
  const each = (value) => (Array.isArray(value) ? ofArray(value) : value === null ? null : convert(value));
  // Not `map`, whose result would be of the array's realm.
  const ofArray = (array) => {
    const made = [];
    for (const element of array) made.push(each(element));
    return made;
  };
  return each;
};

/** The function that a conversion's number stands for; `undefined` where the value is what it should be. */
const conversion = (number) => {
  const one = CONVERSIONS.get(number & ~(NUMBERS.Array | NUMBERS.Number));
  const convert = number & NUMBERS.Array
    ? ofElements(one ?? ((value) => value))
    : one && ((value) => (value === null ? null : one(value)));
  if (!(number & NUMBERS.Number)) return convert;
  // Of NULL too, as the reference has it.
  return (value) => Number(convert ? convert(value) : value);
};

/** Makes a row of the values from `at` on, whose columns have these names. */
const assembler = (names, convert) => {
  const property = (name, index) => {
    const value = `values[at + ${index}]`;
    // In brackets it is a property like any other.
    const key = name === "__proto__" ? '["__proto__"]' : JSON.stringify(name);
    return `${key}: ${convert[index] ? `convert[${index}](${value})` : value}`;
  };
  try {
    if (names.length > WIDEST_LITERAL) throw new RangeError("a literal of so many properties is slow to compile");
    // The engine makes a literal six times as fast as it assigns properties whose names it learns one by one.
    return new Function("convert", `return (values, at) => ({ ${names.map(property).join(", ")} })`)(convert);
  } catch {
    // Or the program forbids code that is made of strings.
    return (values, at) => Object.fromEntries(names.map((name, index) => {
      const value = values[at + index];
      return [name, convert[index] ? convert[index](value) : value];
    }));
  }
};

/** How the rows of an answer are made; `split` is where the second table's columns begin. */
const createShape = (names, numbers, split) => {
  const convert = numbers.map(conversion);
  return {
    first: assembler(names.slice(0, split), convert.slice(0, split)),
    second: assembler(names.slice(split), convert.slice(split)),
    split,
    width: names.length,
  };
};

/** What a method resolves to, by its entry in the table of methods. */
const give = {
  Nothing: () => undefined,
  /** The count itself is in the message that the change is done (`completions.js`). */
  Count: () => undefined,
  Row: ({ first }, count, values, at) => (count === 0 ? null : first(values, at)),
  Rows({ first, width }, count, values, at) {
    const rows = [];
    for (let row = 0; row < count; row++) rows.push(first(values, at + row * width));
    return rows;
  },
  Pair({ first, second, split }, count, values, at) {
    return count === 0 ? [null, null] : [first(values, at), second(values, at + split)];
  },
};

module.exports = { createShape, give };
