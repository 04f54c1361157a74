// Generators: names of columns, values of types as SQL expressions, JavaScript values for columns of types.
import fc from "fast-check";

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 10 }).map((value) => value.replaceAll("\u0000", "")),
  fc.constantFrom("", "NULL", "null", "{}", '"', "\\", ",", " ", "{a,b}", "(1,2)"),
);
const whole = (bits) => fc.bigInt({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }).map(String);
const float = (arbitrary) => arbitrary.map((value) => (Object.is(value, -0) ? "-0" : String(value)));
const json = fc.json({ stringUnit: "grapheme", maxDepth: 4 });
const numeric = fc
  .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.nat(30))
  .map(([digits, scale]) => `${digits}e-${scale}`);
const byte = fc.nat(255);
const hex = (length) =>
  fc
    .uint8Array({ minLength: length.min ?? length, maxLength: length.max ?? length })
    .map((bytes) => Buffer.from(bytes).toString("hex"));
const address = fc.oneof(
  fc.tuple(byte, byte, byte, byte).map((parts) => parts.join(".")),
  fc.ipV6(),
);
const coordinate = fc.integer({ min: -1e6, max: 1e6 }).map((value) => value / 100);
const quotedField = (value) => (value === null ? "" : `"${value.replaceAll(/["\\]/g, "$&$&")}"`);

// Days and microseconds from 2000-01-01: near it, and as far as the server goes.
const days = fc.oneof(
  fc.integer({ min: -800_000, max: 3_000_000 }),
  fc.integer({ min: -2_451_000, max: 2_145_000_000 }),
);
const day = 86_400_000_000n;
// Before 15 the server reads no more than 32 bits for a field of an interval.
const clock = (value) => `${value / 1_000_000n} seconds ${value % 1_000_000n} microseconds`;
const microseconds = fc.oneof(
  fc.bigInt({ min: -80_000n * day, max: 80_000n * day }),
  fc.bigInt({ min: -2_451_000n * day, max: 106_000_000n * day }),
);
const moment = (type) =>
  fc.oneof(
    {
      weight: 9,
      arbitrary: microseconds.map((value) => {
        const [whole, rest] = [value / day, value % day];
        return { sql: `'2000-01-01 00:00:00'::${type} + interval '${whole} days' + interval '${clock(rest)}'` };
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom("infinity", "-infinity") },
  );
const part = (limit) => fc.integer({ min: -limit, max: limit });
const interval = fc
  .tuple(part(5000), part(5000), part(1e12))
  .map(([months, days, microseconds]) => `${months} months ${days} days ${clock(BigInt(microseconds))}`);
const range = (value) =>
  fc
    .tuple(fc.constantFrom("[", "("), fc.option(value), fc.option(value), fc.constantFrom("]", ")"))
    .map(([open, low, high, close]) => {
      const isOrdered = low === null || high === null || low <= high;
      return `${open}${(isOrdered ? low : high) ?? ""},${(isOrdered ? high : low) ?? ""}${close}`;
    });

/** By type: its values as the server reads them, or as SQL expressions. A type not listed has those of the table. */
const literals = {
  int2: whole(16n),
  int4: whole(32n),
  int8: whole(64n),
  numeric,
  oid: fc.nat(0xffffffff).map(String),
  float4: float(fc.float()),
  float8: float(fc.double()),
  bool: fc.boolean().map(String),
  text,
  varchar: text,
  citext: text,
  unsendable: text,
  bytea: hex({ min: 0, max: 40 }).map((value) => `\\x${value}`),
  "char(5)": fc.string({ maxLength: 5, unit: fc.constantFrom("a", " ", "é", ",", '"') }),
  varbit: fc.string({ maxLength: 40, unit: fc.constantFrom("0", "1") }),
  date: fc.oneof(
    { weight: 9, arbitrary: days.map((value) => ({ sql: `'2000-01-01'::date + (${value})` })) },
    { weight: 1, arbitrary: fc.constantFrom("infinity", "-infinity") },
  ),
  timestamp: moment("timestamp"),
  timestamptz: moment("timestamptz"),
  interval,
  uuid: fc.uuid(),
  json,
  jsonb: json.map((value) => value.replaceAll("\\u0000", "")),
  inet: fc.tuple(address, fc.nat(32)).map(([value, mask]) => `${value}/${mask}`),
  macaddr: hex(6),
  macaddr8: hex(8),
  point: fc.tuple(coordinate, coordinate).map(([x, y]) => `(${x},${y})`),
  box: fc.tuple(coordinate, coordinate, coordinate, coordinate).map(([a, b, c, d]) => `(${a},${b}),(${c},${d})`),
  int4range: range(part(1e6)),
  numrange: range(coordinate),
  pair: fc
    .tuple(fc.option(part(1e6)), fc.option(text))
    .map(([number, label]) => `(${number ?? ""},${quotedField(label)})`),
  birthday: days.map((value) => ({ sql: `'2000-01-01'::date + (${value})` })),
  document: json.map((value) => value.replaceAll("\\u0000", "")),
};

/** A value of the type, as in the table of types. */
export const literalOf = ({ type, values }) => literals[type] ?? fc.constantFrom(...values);

/** The shape of an array over values: positions in a list of them, `null` for NULL, nested; rarely with lower bounds. */
export const arrayOf = (entry) =>
  fc
    .record({
      lengths: fc.oneof(
        fc.nat(6).map((length) => [length]),
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
      ),
      values: fc.array(literalOf(entry), { minLength: 9, maxLength: 9 }),
      missing: fc.array(
        fc.nat(3).map((chance) => chance === 0),
        { minLength: 9, maxLength: 9 },
      ),
    })
    .map(({ lengths: [outer, inner], values, missing }) => {
      const leaf = (position) => (missing[position] ? null : position);
      const nested = (position) => Array.from({ length: inner }, (_, index) => leaf(position * inner + index));
      return { shape: Array.from({ length: outer }, (_, index) => (inner ? nested(index) : leaf(index))), values };
    });

const taken = [
  "id", "user_id", "active_expires", "idle_expires", "hashed_password", "tableoid", "ctid", "xmin", "xmax", "cmin",
  "cmax", "__proto__", "__session_id",
];

/** What may be a column's name, but for the names that the reference cannot write. */
export const columnName = fc
  .oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
    fc.string({ unit: "binary", minLength: 1, maxLength: 12 }),
    fc.constantFrom(
      "then", "constructor", "toString", "valueOf", "hasOwnProperty", "select", "User", "$1", "?", "0", "10", "1e3",
      "-1", "'", "a b",
    ),
    fc.string({ unit: fc.constantFrom("a", "b", "_", "1", " "), minLength: 1, maxLength: 63 }),
    fc.nat(1000).map(String),
  )
  .filter(
    (name) =>
      !['"', ".", "\u0000"].some((character) => name.includes(character)) &&
      Buffer.byteLength(name) <= 63 &&
      !taken.includes(name),
  );

const moments = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }),
);
const anyString = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("\ud800", "a\udc00", "\u0000"),
);
const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withNullPrototype: true,
  withBoxedValues: true,
  withTypedArray: true,
  withSparseArray: true,
  withMap: true,
  withSet: true,
  withObjectString: true,
  maxDepth: 3,
  maxKeys: 4,
});
const scalars = {
  number: fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger(), fc.constantFrom(0, -0, 1, 1e21, 1e-7, NaN)),
  bigint: fc.oneof(fc.bigInt({ min: -10n, max: 10n }), fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n })),
  bytes: fc.oneof(
    fc.uint8Array(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  ),
  object: fc.object({ maxDepth: 3, values: [fc.string(), fc.double(), fc.boolean(), fc.constant(null), moments] }),
};
const likely = {
  int2: fc.integer({ min: -33_000, max: 33_000 }),
  int4: fc.integer(),
  int8: fc.oneof(fc.integer(), fc.maxSafeInteger(), scalars.bigint),
  numeric: scalars.number,
  float4: scalars.number,
  float8: scalars.number,
  oid: fc.nat(),
  bool: fc.boolean(),
  text: anyString,
  varchar: anyString,
  bytea: scalars.bytes,
  date: moments,
  timestamp: moments,
  timestamptz: moments,
  json: fc.oneof(scalars.object, fc.jsonValue()),
  jsonb: fc.oneof(scalars.object, fc.jsonValue()),
  uuid: fc.uuid(),
};

/** A JavaScript value for a column of the type, likely or not to be one that it takes; never `undefined` itself. */
export function javascriptValueFor({ type, values }, isArray) {
  const fitting = fc.oneof(
    likely[type] ?? fc.constant(null),
    fc.constantFrom(null, ...values.filter((value) => typeof value === "string")),
  );
  const list = fc.oneof(fc.array(fitting, { maxLength: 5 }), fc.array(fc.tuple(fitting, fitting), { maxLength: 3 }));
  return fc
    .oneof(
      { weight: 6, arbitrary: isArray ? list : fitting },
      { weight: 1, arbitrary: fc.oneof(...Object.values(scalars), anyString, fc.boolean()) },
      { weight: 1, arbitrary: anything },
    )
    .filter((value) => value !== undefined);
}
