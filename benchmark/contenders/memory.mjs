// No database at all: what the server and Lucia take by themselves.
import { sessionAndUserOf } from "../database.mjs";

export function open() {
  return { adapter: { getSessionAndUser: async (id) => sessionAndUserOf(id) }, end() {} };
}
