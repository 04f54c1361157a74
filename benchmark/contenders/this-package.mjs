import { postgres } from "../../index.js";
import { tableNames } from "../database.mjs";

export function open(url, LuciaError) {
  const initializer = postgres(url, tableNames);
  return { adapter: initializer(LuciaError), end: () => initializer.end() };
}
