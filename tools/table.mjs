/** Rows as a table of the README, each an object of columns and their texts. */
export function table(rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const columns = Object.keys(rows[0]);
  return [line(columns), `|${"---|".repeat(columns.length)}`, ...rows.map((row) => line(Object.values(row)))].join("\n");
}
