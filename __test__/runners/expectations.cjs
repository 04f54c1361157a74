// What a test of a program says of rows and errors, in whatever realm a test runner evaluates it. `pg` and `postgres` beside it show
// that it can be met.
"use strict";

const { Pool } = require("pg");
const connect = require("postgres");

const { postgres } = require("../..");

const url = process.env.DATABASE_URL;
const tables = { user: "auth_user", key: "user_key", session: "user_session" };

class LuciaError extends Error {
  constructor(message) {
    super(message);
    this.name = "LuciaError";
  }
}

/** Each gives the row of a user, and rejects for a row that is not unique. */
const packages = {
  "lucia-postgres-native": () => {
    const initializer = postgres(url, tables);
    const adapter = initializer(LuciaError);
    return {
      user: (id) => adapter.getUser(id),
      insert: (row) => adapter.setUser(row, null),
      end: () => initializer.end(),
    };
  },
  pg: () => {
    const pool = new Pool({ connectionString: url });
    return {
      user: async (id) => (await pool.query("SELECT * FROM auth_user WHERE id = $1", [id])).rows[0],
      insert: (row) => pool.query("INSERT INTO auth_user (id) VALUES ($1)", [row.id]),
      end: () => pool.end(),
    };
  },
  postgres: () => {
    const sql = connect(url);
    return {
      user: async (id) => (await sql`SELECT * FROM auth_user WHERE id = ${id}`)[0],
      insert: (row) => sql`INSERT INTO auth_user ${sql(row)}`,
      end: () => sql.end(),
    };
  },
};

/** @param fakeDate makes `Date.now()` give this time until the function that it gives is called */
module.exports = ({ test, expect, fakeDate }) => {
  for (const [name, open] of Object.entries(packages)) {
    test(`${name}: rows, dates, arrays and errors are this realm's`, async () => {
      const { user, insert, end } = open();
      const row = await user("u1");
      expect({ ...row, born: undefined }).toStrictEqual({ id: "u1", username: "one", born: undefined, tags: ["a", "b"], meta: { list: [1] } });
      expect(row.born).toBeInstanceOf(Date);
      expect(row.born).toEqual(new Date("2020-01-02T03:04:05Z"));
      expect(row.tags).toBeInstanceOf(Array);
      expect(row.meta.list).toBeInstanceOf(Array);
      expect(Object.getPrototypeOf(row.meta)).toBe(Object.prototype);
      await expect(insert({ id: "u1" })).rejects.toThrow(Error);
      await expect(insert({ id: "u1" })).rejects.toMatchObject({ code: "23505" });
      await end();
    });
  }

  test("a method gives a promise, a row and errors of this realm", async () => {
    const initializer = postgres(url, tables);
    const adapter = initializer(LuciaError);
    expect(adapter.getUser("u1")).toBeInstanceOf(Promise);
    expect(await adapter.getSession("s1")).toStrictEqual({ id: "s1", user_id: "u1", active_expires: 1000, idle_expires: 2000 });
    expect(await adapter.getSessionsByUserId("u1")).toStrictEqual([{ id: "s1", user_id: "u1", active_expires: 1000, idle_expires: 2000 }]);
    await expect(adapter.getUser(7)).rejects.toThrow(TypeError);
    await expect(adapter.setKey({ id: "k", user_id: "nobody", hashed_password: null })).rejects.toThrow(LuciaError);
    expect(() => postgres(7, tables)).toThrow(TypeError);
    await initializer.end();
  });

  test("deleteExpiredSessions goes by the clock of the test", async () => {
    const initializer = postgres(url, tables);
    await initializer(LuciaError).setSession({ id: "fleeting", user_id: "u1", active_expires: 5000, idle_expires: 6000 });
    const restore = fakeDate(5999);
    expect(await initializer.deleteExpiredSessions()).toBe(1);
    restore();
    expect(await initializer.deleteExpiredSessions()).toBe(1);
    await initializer(LuciaError).setSession({ id: "s1", user_id: "u1", active_expires: 1000, idle_expires: 2000 });
    await initializer.end();
  });
};
