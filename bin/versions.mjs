// What each version of Lucia needs of its tables.

/**
 * By table. `idLength`: of the ids that Lucia makes, 0 where the application makes texts of its own, `null` where it makes ids
 * of any kind; `indexed`: the columns by which rows are looked for, besides `id`.
 *
 * @typedef {{ idLength: number | null, columns: Record<string, string>, indexed: string[] }} Need
 * @typedef {{ command: string, needs: Record<string, Need> }} Version `command`: what prints its tables
 * @type {Record<string, Version>}
 */
export const versions = {
  2: {
    command: "npx lucia-postgres-native schema",
    needs: {
      user: { idLength: 15, columns: { id: "text" }, indexed: [] },
      key: { idLength: 0, columns: { id: "text", user_id: "text", hashed_password: "text" }, indexed: ["user_id"] },
      session: {
        idLength: 40,
        columns: { id: "text", user_id: "text", active_expires: "bigint", idle_expires: "bigint" },
        indexed: ["user_id"],
      },
    },
  },
  3: {
    command: "npx lucia-postgres-native schema --lucia 3",
    needs: {
      user: { idLength: null, columns: { id: "text" }, indexed: [] },
      session: {
        idLength: 40,
        columns: { id: "text", user_id: "text", expires_at: "timestamptz" },
        indexed: ["user_id", "expires_at"],
      },
    },
  },
};
