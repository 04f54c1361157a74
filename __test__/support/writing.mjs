// Writes through the reference and through this package, and the comparison of what is stored and of what is refused.
import { noComplaints } from "./compare.mjs";
import { inFlight, refusal, settled } from "./reference.mjs";

/** Every method that writes attributes. `stored`: the table it writes to; `exists`: the row must be there before. */
export const writings = {
  setUser: { stored: "user", write: (adapter, id, attributes) => adapter.setUser({ id, ...attributes() }, null) },
  "setUser with a key": {
    stored: "key",
    write: (adapter, id, attributes) => {
      return adapter.setUser({ id, ...attributes() }, { id, user_id: id, hashed_password: null, ...attributes() });
    },
  },
  updateUser: {
    stored: "user",
    exists: true,
    write: (adapter, id, attributes) => adapter.updateUser(id, attributes()),
  },
  setSession: {
    stored: "session",
    write: (adapter, id, attributes) => {
      return adapter.setSession({ id, user_id: "u", active_expires: 1, idle_expires: 2, ...attributes() });
    },
  },
  updateSession: {
    stored: "session",
    exists: true,
    write: (adapter, id, attributes) => adapter.updateSession(id, attributes()),
  },
  setKey: {
    stored: "key",
    write: (adapter, id, attributes) => adapter.setKey({ id, user_id: "u", hashed_password: null, ...attributes() }),
  },
  updateKey: { stored: "key", exists: true, write: (adapter, id, attributes) => adapter.updateKey(id, attributes()) },
};

/** Arrays beside values, or arrays of different lengths, in one array. */
function isRagged(value) {
  if (!Array.isArray(value)) return false;
  const inner = value.filter(Array.isArray);
  if (inner.length === 0) return false;
  return inner.length < value.length || inner.some((each) => each.length !== inner[0].length || isRagged(each));
}

/** The name of the difference by which both refuse, each in its own way. */
function acceptedRefusal(theirs, mine, value) {
  const refused = (outcome, by) => outcome.startsWith(`refused with ${by}`) && !outcome.endsWith("stored");
  return Object.entries({
    noArray: refused(theirs, "TypeError") && refused(mine, ""),
    raggedArray: isRagged(value) && refused(theirs, "") && refused(mine, ""),
  }).find(([, applies]) => applies)?.[0];
}

/**
 * Writes every value into its column by both adapters and compares what is stored, or the refusals.
 *
 * @param {{ sql: import("postgres").Sql, tables: object, both: object, careful: object }} context `careful`: both
 *   adapters with one connection, for the values after which the reference needs a rest
 * @param {string} method of `methods`
 * @param {{ column: string, label: string, make: () => unknown, alone?: boolean, standIn?: () => unknown }[]} cases
 *   `standIn`: what the reference is given instead
 * @param {Set<string>} differencesMet gains the differences that the values showed
 */
export async function compareWritings({ sql, tables, both, careful }, method, cases, differencesMet, methods = writings) {
  const { stored, exists, write } = methods[method];
  await sql.unsafe(`TRUNCATE "${tables.user}", "${tables.key}", "${tables.session}"`);
  if (exists) {
    await sql.unsafe(
      `INSERT INTO "${tables[stored]}" (id) SELECT kind || n FROM generate_series(0, $1::int) AS n,
      unnest(ARRAY['reference ', 'ours ']) AS kind`,
      [cases.length - 1],
    );
  }
  const attempt = async (adapter, side, { column, make, standIn }, index) => {
    const value = side === "reference" && standIn ? standIn : make;
    const { error } = await settled(write(adapter, `${side} ${index}`, () => ({ [column]: value() })));
    return error === undefined ? undefined : `refused with ${refusal(error)}`;
  };
  const outcomes = {
    reference: await inFlight(cases, 20, (each, index) =>
      each.alone ? undefined : attempt(both.reference, "reference", each, index),
    ),
    ours: await inFlight(cases, 20, (each, index) => attempt(both.ours, "ours", each, index)),
  };
  for (const [index, each] of cases.entries()) {
    if (!each.alone) continue;
    outcomes.reference[index] = await attempt(careful.reference, "reference", each, index);
    await careful.reference.getUser("nobody");
  }

  const texts = new Map();
  for (const column of new Set(cases.map((each) => each.column))) {
    const rows = await sql.unsafe(
      `SELECT id, "${column}"::text AS text FROM "${tables[stored]}" WHERE "${column}" IS NOT NULL`,
    );
    for (const { id, text } of rows) texts.set(`${id} ${column}`, text);
  }
  const ids = new Set((await sql.unsafe(`SELECT id FROM "${tables[stored]}"`)).map(({ id }) => id));
  const cut = (text) => (text.length > 120 ? `${text.slice(0, 120)}...` : text);
  const unlike = new Map();
  for (const [index, { column, label, make }] of cases.entries()) {
    const [theirs, mine] = ["reference", "ours"].map((side) => {
      const refused = outcomes[side][index];
      const id = `${side} ${index}`;
      if (refused) return ids.has(id) && !exists ? `${refused} and yet stored` : refused;
      return ids.has(id)
        ? `stored as ${texts.has(`${id} ${column}`) ? JSON.stringify(texts.get(`${id} ${column}`)) : "NULL"}`
        : "lost";
    });
    if (theirs === mine) continue;
    const met = acceptedRefusal(theirs, mine, make());
    if (met) differencesMet.add(met);
    if (met) continue;
    const complaint = `${method}: ${cut(mine)}, by the reference ${cut(theirs)}:`;
    unlike.set(complaint, [...(unlike.get(complaint) ?? []), `${label} into ${column}`]);
  }
  noComplaints(
    [...unlike].map(([complaint, values]) => `${complaint} ${values.slice(0, 5).join(", ")} (${values.length})`),
  );
}
