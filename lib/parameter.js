// A parameter's text, by the rules of the `postgres` driver: the server's type decides, except that a `Date`, bytes, a
// boolean or a bigint declares its own.
"use strict";

// Not `instanceof`: a value may be of another realm.
const { types } = require("node:util");

const { createError } = require("./errors.js");

const BOOL = 16;
const BYTEA = 17;
const INT8 = 20;
const JSON_TYPES = new Set([114, 3802]);
const BOX = 603;
const TIMESTAMPTZ = 1184;
const DATES = new Set([1082, 1114, TIMESTAMPTZ]);

/** The OID that a parameter is declared with; 0 leaves it to the server. */
const inferType = (value) => {
  if (types.isDate(value)) return TIMESTAMPTZ;
  if (types.isUint8Array(value)) return BYTEA;
  if (typeof value === "boolean") return BOOL;
  if (typeof value === "bigint") return INT8;
  return Array.isArray(value) ? inferType(value[0]) : 0;
};

const undefinedValue = (column) => {
  const where = column === undefined ? "" : ` (column ${column})`;
  return createError({ message: `UNDEFINED_VALUE: Undefined values are not allowed${where}`, code: "UNDEFINED_VALUE" });
};

const array = (values, type) => {
  const delimiter = type === BOX ? ";" : ",";
  const element = (value) => {
    if (value === undefined) throw undefinedValue();
    if (value === null) return "null";
    if (Array.isArray(value) && Array.isArray(values[0])) return array(value, type);
    return `"${serialize(value, type).replace(/["\\]/g, "\\$&")}"`;
  };
  return `{${values.map(element).join(delimiter)}}`;
};

/** `form` is the OID of a type with rules of its own, minus the OID of an array's elements, or 0 (see `parameter.rs`). */
const serialize = (value, form) => {
  if (form < 0) return Array.isArray(value) ? array(value, -form) : text(value);
  if (JSON_TYPES.has(form)) {
    const json = JSON.stringify(value);
    if (json === undefined) throw new TypeError(`a ${typeof value} cannot be written as JSON`);
    return json;
  }
  if (form === BOOL) return value === true ? "t" : "f";
  if (DATES.has(form)) return (types.isDate(value) ? value : new Date(value)).toISOString();
  if (form === BYTEA) return `\\x${Buffer.from(value).toString("hex")}`;
  return text(value);
};

// Not a template literal: that would ask an object for its string first, this for its value.
// oxlint-disable-next-line prefer-template
const text = (value) => "" + value;

module.exports = { inferType, serialize, undefinedValue };
