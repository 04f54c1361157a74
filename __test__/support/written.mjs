// Every kind of JavaScript value, to be written into every kind of column. `make` yields a fresh one each time;
// `everywhere` marks those that are written into columns of every type, and not only of the types that matter most.

const own = (label, make) => ({ label, make, everywhere: false });
const everywhere = (label, make) => ({ label, make, everywhere: true });
const circular = () => {
  const value = { name: "loop" };
  value.self = value;
  return value;
};
class Point {
  constructor() {
    this.x = 1;
    this.y = "2";
  }
}
class Instant extends Date {}
class Bytes extends Uint8Array {}

const strings = [
  "0", "12.5", " 7 ", "true", "f", "null", "NaN", "infinity", "2024-02-29", "2024-02-29 12:00:00",
  "2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00+05:30", "0044-03-15 BC", "1720000000000", '{"a":1}', '"quoted"',
  "{1,2}", "[1,2]", "\\x00ff", "\\", '"', "a\u0000b", "a\udc00b", "🙂 é \u202e", "ab   ", "x".repeat(10_000),
];
const numbers = [
  0, 1, -1, 1.5,
  1e-7,
  -1e-7,
  1e20, 123456789012345680000, 2 ** 31, 2 ** 53 + 2, 1720000000000, 8.64e15, 8.64e15 + 1, Number.MAX_VALUE,
  Number.MIN_VALUE, -Infinity,
];
const bigints = [0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n];
const instants = [
  0, -1, 0.5, 951782399999, -62135596800000, -62198755200000, -62167219200001, 253402300799999, 253402300800000,
  8.64e15, -8.64e15,
];

export const javascriptValues = [
  everywhere("the string empty", () => ""),
  everywhere("the string 1", () => "1"),
  everywhere("the string text", () => "text"),
  everywhere("U+0000", () => "\u0000"),
  everywhere("a lone surrogate", () => "\ud800"),
  ...strings.map((value) => own(`the string ${JSON.stringify(value.slice(0, 40))}`, () => value)),
  everywhere("-0", () => -0),
  everywhere("7", () => 7),
  everywhere("1e21", () => 1e21),
  everywhere("NaN", () => NaN),
  everywhere("Infinity", () => Infinity),
  ...numbers.map((value) => own(String(value), () => value)),
  everywhere("5n", () => 5n),
  ...bigints.map((value) => own(`${value}n`, () => value)),
  everywhere("true", () => true),
  everywhere("false", () => false),
  everywhere("null", () => null),
  // The reference's driver never settles the second of two such calls on one connection.
  { label: "undefined", make: () => undefined, everywhere: false, alone: true },
  everywhere("a Date", () => new Date("2024-02-29T23:59:59.999Z")),
  everywhere("an invalid Date", () => new Date(NaN)),
  ...instants.map((value) => own(`a Date of ${value}`, () => new Date(value))),
  own("a subclass of Date", () => new Instant(86400000)),
  everywhere("a Buffer", () => Buffer.from([0, 255, 39, 92])),
  everywhere("a Uint8Array", () => new Uint8Array([1, 2, 3])),
  own("an empty Buffer", () => Buffer.alloc(0)),
  own("a part of a Uint8Array", () => new Uint8Array([1, 2, 3, 4]).subarray(1, 3)),
  own("a subclass of Uint8Array", () => new Bytes([5, 6])),
  own("a Uint8ClampedArray", () => new Uint8ClampedArray([1, 300])),
  own("a Uint16Array", () => new Uint16Array([1, 300])),
  own("an ArrayBuffer", () => new Uint8Array([7, 8]).buffer),
  own("a large Buffer", () => Buffer.alloc(10_000, 171)),
  everywhere("{}", () => ({})),
  everywhere("an object", () => ({
    b: 1,
    a: [true, null, undefined, () => 1, Symbol("s")],
    c: undefined,
    d: { e: new Date(0) },
    "é\u0000\ud800": NaN,
  })),
  everywhere("an object with toJSON", () => ({ toJSON: (key) => ({ key, is: "JSON" }) })),
  own("an object whose toJSON returns undefined", () => ({ toJSON: () => undefined })),
  own("an object whose toJSON returns a string", () => ({ toJSON: () => "text" })),
  own("an object without surrogates", () => ({ "é\u0000": "🙂" })),
  own("an object of plain text", () => ({ "a b": 'it\'s "quoted" \\', n: -0, big: 1e21 })),
  own("an object with toString", () => ({ toString: () => "2024-01-01" })),
  own("an object with valueOf", () => ({ valueOf: () => 42, toString: () => "text" })),
  own("an object with Symbol.toPrimitive", () => ({ [Symbol.toPrimitive]: (hint) => `to ${hint}` })),
  own("an object whose text is a number", () => ({ [Symbol.toPrimitive]: () => 12 })),
  own("an object without a prototype", () => Object.assign(Object.create(null), { a: 1 })),
  own("an object of a class", () => new Point()),
  own("an object with a type and a value", () => ({ type: "home", value: "5" })),
  own("an object like a Buffer in JSON", () => ({ type: "Buffer", data: [1, 2] })),
  own("an object with a length", () => ({ length: 2, 0: 65, 1: 66 })),
  own("an object with a bigint", () => ({ n: 1n })),
  own("a circular object", circular),
  own("a getter that throws", () => ({
    get broken() {
      throw new RangeError("from the getter");
    },
  })),
  own("a toString that throws", () => ({
    toString() {
      throw new SyntaxError("from toString");
    },
  })),
  own("a toJSON that throws", () => ({
    toJSON() {
      throw new SyntaxError("from toJSON");
    },
    toString: () => "text",
  })),
  own("a Map", () => new Map([["a", 1]])),
  own("a Set", () => new Set([1])),
  own("a RegExp", () => /a+/g),
  own("an Error", () => new Error("message")),
  own("a URL", () => new URL("http://example.test/path")),
  own("a Promise", () => Promise.resolve(1)),
  own("a Number object", () => Object(5)),
  own("a String object", () => Object("text")),
  own("a Boolean object", () => Object(true)),
  own("a BigInt object", () => Object(5n)),
  own("a proxy of an object", () => new Proxy({ a: 1 }, {})),
  everywhere("a symbol", () => Symbol("s")),
  everywhere("a function", () => (a) => a),
  own("a class", () => Point),
  everywhere("[]", () => []),
  everywhere('["a","b"]', () => ["a", "b"]),
  everywhere("[1,-0]", () => [1, -0]),
  everywhere("[null]", () => [null]),
  own("[undefined]", () => [undefined]),
  own("a sparse array", () => Object.assign([], { 1: "a" })),
  own("[true,false]", () => [true, false]),
  own("[null,true]", () => [null, true]),
  own("[1n]", () => [1n]),
  own("[null,1n]", () => [null, 1n]),
  own("[a Date]", () => [new Date(951782399999)]),
  own("[null, a Date]", () => [null, new Date(951782399999)]),
  own("[an invalid Date]", () => [null, new Date(NaN)]),
  own("[a Buffer]", () => [Buffer.from([1, 255])]),
  own("[null, a Buffer]", () => [null, Buffer.from([1, 255])]),
  own("[[1,2],[3,4]]", () => [
    [1, 2],
    [3, 4],
  ]),
  own('[[["a"]],[[null]]]', () => [[["a"]], [[null]]]),
  own("[[true]]", () => [[true]]),
  own("[[],[]]", () => [[], []]),
  own("[[1],[2,3]]", () => [[1], [2, 3]]),
  own("[1,[2]]", () => [1, [2]]),
  own("[[1],2]", () => [[1], 2]),
  own("[{}]", () => [{ a: 1, b: [2] }]),
  own("[an object with toJSON]", () => [{ toJSON: () => "text" }]),
  {
    ...own("[an object with a type and a value]", () => [{ type: "home", value: "5" }]),
    // What the reference is given: an object that reads the same, and has no property `type`.
    standIn: () => [{ toJSON: () => ({ type: "home", value: "5" }) }],
    difference: "typedElement",
  },
  own("array elements that need quotes", () => ["", "NULL", "null", 'a"b\\c', " x ", "{}", "a,b", "🙂\n"]),
  own("[NaN,1e21,Infinity]", () => [NaN, 1e21, Infinity]),
  own("[U+0000]", () => ["a\u0000"]),
  own("[a lone surrogate]", () => ["\ud800"]),
  own("[a symbol]", () => [Symbol("s")]),
  own("[a function]", () => [() => 1]),
  own("an array of many", () => Array.from({ length: 1000 }, (_, index) => index)),
];

/** The types whose columns are given every value: each serialiser has its own, and a few that have none. */
export const typesThatMatter = [
  "int2", "int4", "int8", "numeric", "float4", "float8", "oid", "bool", "text", "char(5)", "bytea", "date",
  "timestamp", "timestamptz", "time", "interval", "json", "jsonb", "uuid", "mood", "positive", "document", "switch",
  "instant", "scores",
];

/** The types whose array columns are given every value. */
export const arraysThatMatter = [
  "int4", "int8", "float8", "bool", "text", "bytea", "date", "timestamp", "timestamptz", "json", "jsonb", "box",
  "mood", "document",
];
