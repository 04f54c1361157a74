import { SQL } from "bun";

import { writtenByHand } from "./written-by-hand.mjs";

export function open(url) {
  const sql = new SQL(url);
  return { adapter: writtenByHand(sql), end: () => sql.end() };
}
