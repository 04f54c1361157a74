import connect from "postgres";

import { writtenByHand } from "./written-by-hand.mjs";

export function open(url) {
  const sql = connect(url);
  return { adapter: writtenByHand(sql), end: () => sql.end() };
}
