// The one table of types and values: read, written as text, and combined with every JavaScript value.
// Every entry: `type` as a column declares it, `values` as SQL literals or `{ sql }` for what has no literal.
// `since`: the first PostgreSQL major that has the type or value; `extension`: who brings the type; `needs`: a statement
// that fails where the server was built without it; `reads`: the base type of a domain, which is what the server reports
// for a column; `elements: "text"`: arrays of it are arrays of text.

/** Types of our own: enums, domains, composites, a base type, names that need quotes. */
export const ownTypes = `
  CREATE SCHEMA "other schema";
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"', 'a,b', 'NULL', '{}', 'glücklich');
  CREATE TYPE "other schema"."Mixed.Case ""Type""" AS ENUM ('one', 'two');
  CREATE TYPE shout AS ENUM ('quiet', 'loud');
  CREATE FUNCTION shout_as_text(shout) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'cast'::text $$;
  CREATE CAST (shout AS text) WITH FUNCTION shout_as_text(shout);
  CREATE DOMAIN positive AS int4 CHECK (VALUE > 0);
  CREATE DOMAIN small_positive AS positive CHECK (VALUE < 1000);
  CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
  CREATE DOMAIN padded AS char(5);
  CREATE DOMAIN address AS inet;
  CREATE DOMAIN birthday AS date;
  CREATE DOMAIN instant AS timestamptz;
  CREATE DOMAIN document AS jsonb;
  CREATE DOMAIN switch AS bool;
  CREATE DOMAIN blob AS bytea;
  CREATE DOMAIN feeling AS mood;
  CREATE DOMAIN scores AS int4[];
  CREATE TYPE pair AS (number int4, label text);
  CREATE TYPE nested AS ("the pair" pair, tags text[], at timestamptz, rights aclitem);
  CREATE DOMAIN checked_pair AS pair CHECK ((VALUE).number > 0);
  CREATE TYPE span AS RANGE (subtype = text);
  CREATE TYPE unsendable;
  CREATE FUNCTION unsendable_in(cstring) RETURNS unsendable LANGUAGE internal IMMUTABLE STRICT AS 'textin';
  CREATE FUNCTION unsendable_out(unsendable) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
  CREATE TYPE unsendable (INPUT = unsendable_in, OUTPUT = unsendable_out, LIKE = text);
  CREATE TABLE measured AS SELECT n % 2 AS a, n % 4 AS b, n % 8 AS c FROM generate_series(1, 100) AS n;
  CREATE STATISTICS measured_together (ndistinct, dependencies, mcv) ON a, b, c FROM measured;
  ANALYZE measured;
  CREATE TABLE defaulted (number int4 DEFAULT 1 + 2);
`;

const strings = [
  "", "plain", "NULL", "null", " led and trailed ", "a,b", "{a,b}", "{}", '"', "\\", "\\x00ff", "it's",
  "\r\n\t\u0001\u007f", "𝒳 na\u00efve \u00c5 A\u030a 日本語 \u202e", "true", "1e3", "[object Object]", "2024-02-29",
  '{"a":1}', "x".repeat(3000),
];
const statistics = (column) => ({ sql: `(SELECT ${column} FROM pg_statistic_ext_data LIMIT 1)` });
const dates = [
  "2024-02-29", "1970-01-01", "1969-12-31", "0100-01-01", "9999-12-31", "0099-03-01", "0001-01-01", "0044-03-15 BC",
  "4713-01-01 BC", "10000-01-01", "infinity", "-infinity",
];
const times = [
  "2024-02-29 23:59:59.999999", "1970-01-01 00:00:00", "1969-12-31 23:59:59.9999", "2024-03-10 02:30:00",
  "2024-11-03 01:30:00", "1883-11-18 12:01:00", "0100-01-01 00:00:00.5", "9999-12-31 23:59:59",
  "0099-03-01 01:02:03", "0001-01-01 00:00:00", "0044-03-15 12:00:00.25 BC", "4713-01-01 00:00:00 BC",
  "10000-01-01 00:00:00", "275760-09-11 23:59:59.999", "294276-12-31 23:59:59.999999", "infinity", "-infinity",
];

export const types = [
  // Numbers
  { type: "int2", values: ["0", "-1", "32767", "-32768"] },
  { type: "int4", values: ["0", "7", "2147483647", "-2147483648"] },
  { type: "int8", values: ["0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"] },
  {
    type: "numeric",
    values: [
      "0", "-0.00", "1.10", "1e-20", "1e30", "123456789012345678901234567890.123456789", "NaN",
      { literal: "Infinity", since: 14 }, { literal: "-Infinity", since: 14 },
    ],
  },
  { type: "numeric(12, 4)", values: ["1", "-99999999.9999"] },
  {
    type: "float4",
    values: [
      "0", "-0", "1.1", "0.1", "-3.4028235e38", "1e-45", "16777217", "123456.7", "880900000", "1e15", "NaN",
      "Infinity", "-Infinity",
    ],
  },
  {
    type: "float8",
    values: [
      "0", "-0", "0.1", "5e-324", "1.7976931348623157e308", "9007199254740993", "1e21", "1e-7", "NaN", "Infinity",
      "-Infinity",
    ],
  },
  { type: "money", values: ["0", "-1234.56", "92233720368547758.07"] },
  { type: "oid", values: ["0", "2147483648", "4294967295"] },
  { type: "bool", values: ["true", "false"] },

  // Text
  { type: "text", values: strings },
  { type: "varchar", values: strings },
  { type: "varchar(20)", values: ["", "exactly twenty chars"] },
  { type: "char(5)", values: ["", "a", "ab  ", "abcde"] },
  { type: "bpchar", values: ["", "a", "ab  "] },
  { type: "name", values: ["", "pg_class", "Two Words", "x".repeat(63)] },
  { type: '"char"', values: ["", "a", '"', ",", { sql: `(-128)::"char"` }] },
  { type: "citext", extension: "citext", values: ["", "MiXeD", "a,b", "NULL"] },
  { type: "unsendable", values: strings },

  // Bytes and bits
  { type: "bytea", values: ["", "\\x00", "\\x00ff5c2722", "\\x" + "c3a9".repeat(2000)] },
  { type: "bit", values: ["0", "1"] },
  { type: "bit(12)", values: ["000000000000", "101010101011"] },
  { type: "varbit", values: ["", "1", "1010101010101"] },

  // Dates, times
  { type: "date", values: dates.concat("5874897-12-31") },
  { type: "timestamp", values: times },
  { type: "timestamp(0)", values: ["2024-02-29 12:00:00"] },
  { type: "timestamptz", values: times.concat("2024-06-01 00:00:00.123456+05:30", "2024-06-01 00:00:00-03") },
  { type: "timestamptz(3)", values: ["2024-02-29 12:00:00.1239+00"] },
  { type: "time", values: ["00:00:00", "23:59:59.999999", "24:00:00"] },
  { type: "timetz", values: ["00:00:00+00", "23:59:59.999999-15:59", "04:05:06+05:30:15"] },
  {
    type: "interval",
    values: [
      "0", "1 year 2 months -3 days 04:05:06.789", "-1 day", "178000000 years", { literal: "infinity", since: 17 },
      { literal: "-infinity", since: 17 },
    ],
  },

  // Documents
  { type: "uuid", values: ["00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"] },
  {
    type: "json",
    values: [
      "null", "true", "0", "-0", "1e400", "12345678901234567890", '""', '"NULL"', '"\\ud800"', "[]", "{}",
      ' { "b" : 1, "a" : [null, {"10": 1, "9": 2}], "b" : 3 } ',
      '{"__proto__": {"x": 1}, "constructor": 2, "": "é\\u0000"}',
      `${"[".repeat(500)}${"]".repeat(500)}`,
    ],
  },
  {
    type: "jsonb",
    values: [
      "null", "true", "0", "-0", "1.10", "12345678901234567890", '""', '"a,b\\"\\\\"', "[]", "{}",
      '{"b": 1, "a": [null, {"10": 1, "9": 2}], "b": 3}', '{"__proto__": {"x": 1}, "constructor": 2, "": "é"}',
    ],
  },
  { type: "jsonpath", values: ["$", '$.a[*] ? (@.b > 1 && @.c == "x")', 'strict $."a b"'] },
  {
    type: "xml",
    needs: "SELECT '<a/>'::xml",
    values: [
      "", "<a/>", '<?xml version="1.0" encoding="UTF-8"?><a b="c">é,&amp;</a>',
      '<?xml version="1.1" standalone="yes"?><a/>', "text <b/>",
    ],
  },

  // Networks
  { type: "inet", values: ["192.168.1.5", "192.168.1.5/24", "0.0.0.0/0", "::1", "2001:db8::1/64"] },
  { type: "cidr", values: ["192.168.1.0/24", "10.0.0.1/32", "::/0", "2001:db8::1/128"] },
  { type: "macaddr", values: ["08:00:2b:01:02:03"] },
  { type: "macaddr8", values: ["08:00:2b:01:02:03:04:05"] },

  // Geometry
  { type: "point", values: ["(0,-0)", "(1.5,-2e-7)", "(NaN,Infinity)"] },
  { type: "line", values: ["{1,-1,0}", "{0.1,2,3e30}"] },
  { type: "lseg", values: ["[(0,0),(1.5,-1)]"] },
  { type: "box", values: ["(1,1),(0,0)", "(2.5,3),(-1,-1e20)"] },
  { type: "path", values: ["((0,0),(1,1),(1,0))", "[(0,0),(1,1)]"] },
  { type: "polygon", values: ["((0,0),(1,1),(1,0))"] },
  { type: "circle", values: ["<(0,0),1>", "<(0.1,-5),2.5>"] },

  // Ranges
  { type: "int4range", values: ["empty", "[1,5)", "(,)", "[3,]"] },
  { type: "int8range", values: ["empty", "[1,9007199254740993)"] },
  { type: "numrange", values: ["empty", "(1.10,2.20]", "(,5)"] },
  { type: "daterange", values: ["empty", "[2024-01-01,2024-02-01)", "[-infinity,infinity]"] },
  { type: "tsrange", values: ["empty", "[2024-01-01 00:00,2024-02-01 12:30)"] },
  { type: "tstzrange", values: ["empty", "[2024-01-01 00:00+00,)"] },
  { type: "int4multirange", since: 14, values: ["{}", "{[1,3),[5,7)}"] },
  { type: "int8multirange", since: 14, values: ["{}", "{[1,9007199254740993)}"] },
  { type: "nummultirange", since: 14, values: ["{}", "{(1.5,2.5],[3,)}"] },
  { type: "datemultirange", since: 14, values: ["{}", "{[2024-01-01,2024-02-01)}"] },
  { type: "tsmultirange", since: 14, values: ["{}", "{[2024-01-01 00:00,2024-02-01 12:30)}"] },
  { type: "tstzmultirange", since: 14, values: ["{}", "{[2024-01-01 00:00+00,)}"] },
  { type: "span", values: ["empty", '["a,b","c\\"d")', '["",]'] },

  // Text search
  { type: "tsvector", values: ["", "'a':1A,2 'b''c'", "'comma,d' '\"q\"'"] },
  { type: "tsquery", values: ["", "'a' & !('b' | 'c':*A)", "'x' <-> 'y'"] },
  { type: "gtsvector", values: [] },

  // The server's own
  { type: "pg_lsn", values: ["0/0", "FFFFFFFF/FFFFFFFF"] },
  { type: "pg_snapshot", values: ["10:20:10,14,15"] },
  { type: "txid_snapshot", values: ["10:20:10,14,15"] },
  { type: "xid", values: ["0", "4294967295"] },
  { type: "xid8", values: ["0", "18446744073709551615"] },
  { type: "cid", values: ["0", "4294967295"] },
  { type: "tid", values: ["(0,0)", "(4294967295,65535)"] },
  { type: "aclitem", values: ["pg_monitor=r/pg_monitor", "=rw/pg_monitor"] },
  { type: "refcursor", values: ["", "a cursor"] },
  { type: "int2vector", values: ["", "1 -2 3"] },
  { type: "oidvector", values: ["", "1 4294967295"] },
  { type: "regproc", values: ["-", "now", "4294967295"] },
  { type: "regprocedure", values: ["-", "abs(integer)"] },
  { type: "regoper", values: ["0", "||/"] },
  { type: "regoperator", values: ["0", "+(integer,integer)"] },
  { type: "regclass", values: ["-", "pg_class", "auth_user", "4294967295"] },
  { type: "regtype", values: ["-", "integer", "timestamp with time zone", '"other schema"."Mixed.Case ""Type"""'] },
  { type: "regrole", values: ["-", "pg_monitor"] },
  { type: "regnamespace", values: ["-", "pg_catalog", '"other schema"'] },
  { type: "regconfig", values: ["-", "english"] },
  { type: "regdictionary", values: ["-", "simple"] },
  { type: "regcollation", values: ["-", '"C"'] },
  { type: "pg_node_tree", values: [{ sql: "(SELECT adbin FROM pg_attrdef WHERE adrelid = 'defaulted'::regclass)" }] },
  { type: "pg_ndistinct", values: [statistics("stxdndistinct")] },
  { type: "pg_dependencies", values: [statistics("stxddependencies")] },
  { type: "pg_mcv_list", values: [statistics("stxdmcv")] },
  { type: "pg_brin_bloom_summary", since: 14, values: [] },
  { type: "pg_brin_minmax_multi_summary", since: 14, values: [] },

  // Of the database's own making
  { type: "mood", values: ["sad", "ok", 'it\'s "fine"', "a,b", "NULL", "{}", "glücklich"] },
  { type: '"other schema"."Mixed.Case ""Type"""', values: ["one", "two"] },
  { type: "shout", values: ["quiet", "loud"] },
  { type: "positive", reads: "int4", elements: "text", values: ["1", "2147483647"] },
  { type: "small_positive", reads: "int4", elements: "text", values: ["1", "999"] },
  { type: "email", reads: "text", elements: "text", values: ["a@b", "a,b@c"] },
  { type: "padded", reads: "bpchar", elements: "text", values: ["a", "abcde"] },
  { type: "address", reads: "inet", elements: "text", values: ["192.168.1.5", "10.0.0.0/8"] },
  { type: "birthday", reads: "date", elements: "text", values: dates },
  { type: "instant", reads: "timestamptz", elements: "text", values: times },
  { type: "document", reads: "jsonb", elements: "text", values: ["null", '{"a": [1, null]}', '"x"'] },
  { type: "switch", reads: "bool", elements: "text", values: ["true", "false"] },
  { type: "blob", reads: "bytea", elements: "text", values: ["", "\\x00ff"] },
  { type: "feeling", reads: "mood", elements: "text", values: ["sad", "a,b"] },
  {
    type: "scores",
    values: ["{}", "{1,2}", "{{1,2},{3,4}}"],
    reads: "int4[]",
    elements: "text",
  },
  { type: "pair", values: ["(1,a)", "(,)", '(2,"")', '(-3,"a,b ""c"" \\\\d (e)")'] },
  { type: "nested", values: ["(,,,)", '("(1,x)","{a,NULL,""b,c""}","2024-01-01 00:00:00+00",=r/pg_monitor)'] },
  { type: "checked_pair", reads: "pair", values: ["(1,a)"], elements: "text" },

  // Extensions
  { type: "hstore", extension: "hstore", values: ["", '"a"=>"1", "b c"=>NULL, "d"=>"\\"q\\""'] },
  { type: "ltree", extension: "ltree", values: ["", "Top.Science.Astronomy"] },
  { type: "lquery", extension: "ltree", values: ["Top.*{1,2}.!a|b"] },
  { type: "ltxtquery", extension: "ltree", values: ["Europe & Russia*@"] },
  { type: "cube", extension: "cube", values: ["(1, 2, 3)", "(0, 0),(1, 1.5)"] },
  { type: "seg", extension: "seg", values: ["1.50", "5 .. 6", "<1.0"] },
  { type: "isbn", extension: "isn", values: ["978-0-393-04002-9"] },
  { type: "isbn13", extension: "isn", values: ["978-0-393-04002-9"] },
  { type: "issn", extension: "isn", values: ["1436-4522"] },
  { type: "ean13", extension: "isn", values: ["978-0-393-04002-9"] },
  { type: "upc", extension: "isn", values: ["220356483481"] },
  { type: "query_int", extension: "intarray", values: ["1&(2|!3)"] },
  { type: "lo", extension: "lo", reads: "oid", elements: "text", values: ["0", "4294967295"] },
];

const dateKinds = ["date", "timestamp", "timestamptz"];
const stamp =
  /^(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(?:([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?)?( BC)?$/;

/** Beyond the range of Date, in years that repeat its calendar. */
const ERA = { years: 400_000, milliseconds: 1000 * 146_097 * 86_400_000 };

/** The instant that the server's ISO text of a date names; its milliseconds since 1970 where no Date reaches. */
function trueDate(text, kind) {
  const [, years, month, day, hour = 0, minute = 0, second = 0, fraction = "", sign, ...rest] = stamp.exec(text);
  const [offsetHours = 0, offsetMinutes = 0, offsetSeconds = 0, before] = rest;
  const year = before ? 1 - years : Number(years);
  const clock = [hour, minute, second, fraction.padEnd(3, "0").slice(0, 3)].map(Number);
  const date = new Date(2000, 0, 1);
  if (kind === "timestamp") {
    date.setFullYear(year, month - 1, day);
    date.setHours(...clock);
  } else {
    date.setTime(0);
    date.setUTCFullYear(year, month - 1, day);
    date.setUTCHours(...clock);
    const offset = ((Number(offsetHours) * 60 + Number(offsetMinutes)) * 60 + Number(offsetSeconds)) * 1000;
    if (sign) date.setTime(date.getTime() + (sign === "-" ? offset : -offset));
  }
  if (!Number.isNaN(date.getTime())) return date;
  const eras = Math.ceil((year - 270_000) / ERA.years);
  const within = Date.UTC(year - eras * ERA.years, month - 1, day, ...clock);
  return within + eras * ERA.milliseconds;
}

/**
 * Where this package does not do what the reference does, and why. In a difference of values, `applies(text, kind)` sees
 * the server's ISO text of a value and the base type that it is read as, and `ours(text, kind)` is the value that we
 * return. The others are asserted by the test that names them. `since`: the first PostgreSQL major that shows it.
 */
export const differences = {
  infinity: {
    of: "reading",
    reason: "Invalid Date in the reference. JavaScript has no infinite Date, but it has the number.",
    applies: (text, kind) => dateKinds.includes(kind) && text.endsWith("infinity"),
    ours: (text) => (text.startsWith("-") ? -Infinity : Infinity),
  },
  beforeChrist: {
    of: "reading",
    reason: "Invalid Date in the reference for every date BC.",
    applies: (text, kind) => dateKinds.includes(kind) && text.endsWith(" BC"),
    ours: trueDate,
  },
  firstCentury: {
    of: "reading",
    reason: "The reference takes the years 1 to 99 of a timestamp for the years 1950 to 2049.",
    applies: (text, kind) => dateKinds.includes(kind) && kind !== "date" && /^00(?!00)/.test(text),
    ours: trueDate,
  },
  fiveDigitYear: {
    of: "reading",
    reason:
      "The reference takes a date past the year 9999 for local midnight, and every other date for midnight in UTC.",
    applies: (text, kind) => kind === "date" && /^\d{5,6}-/.test(text),
    ours: trueDate,
  },
  beyondDate: {
    of: "reading",
    reason: "Invalid Date in the reference past the range of Date; ours is the number of milliseconds since 1970.",
    applies: (text, kind) =>
      dateKinds.includes(kind) && /^\d{6}/.test(text) && typeof trueDate(text, kind) === "number",
    ours: trueDate,
  },
  secondsOfOffset: {
    of: "reading",
    reason:
      "Invalid Date in the reference where the zone's offset has seconds, as it had before time zones were agreed on.",
    applies: (text, kind) => kind === "timestamptz" && /[+-]\d\d:\d\d:\d\d/.test(text),
    ours: trueDate,
  },
  nullElement: {
    of: "reading",
    reason:
      "The reference parses NULL in an array like any element: 'NULL', NaN, false, Invalid Date or a throw; ours is null.",
  },
  lowerBounds: {
    of: "reading",
    reason:
      "The reference wraps an array with lower bounds other than 1 in one more array; ours is the array alone.",
  },
  outputSettings: {
    of: "reading",
    reason:
      "The reference misreads dates, bytea and floats where DateStyle, bytea_output or extra_float_digits are changed.",
  },
  lostColumns: {
    of: "reading",
    reason:
      "The reference drops a column __proto__ of any row, and a user's column __session_id in getSessionAndUser.",
  },
  typedElement: {
    of: "writing",
    reason:
      "The reference writes only the property `value` of an array's object that has a property `type`; ours the object.",
  },
  noArray: {
    of: "writing",
    reason:
      "Both refuse what is no array, text or null for an array column: the reference with Buffer's TypeError, ours by the server.",
  },
  raggedArray: {
    of: "writing",
    since: 17,
    reason: "Both refuse an array of arrays beside values or of unequal lengths, each for what it meets first.",
  },
};

/** The name of the difference that applies to a value, if any. */
export function differenceOf(text, kind) {
  return Object.keys(differences).find((name) => differences[name].applies?.(text, kind));
}
