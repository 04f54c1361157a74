// The official suite, and many calls at a time, in a thread of its own: how V8 makes errors, which the suite compares deeply, depends on
// how many there have been.
import assert from "node:assert/strict";
import { workerData } from "node:worker_threads";

import { LuciaError } from "lucia";
import connect from "postgres";

import { postgres } from "../../index.js";
import { createTables, tableNames } from "./database.mjs";
import { officialSuite } from "./official.mjs";

const { url, direct, options } = workerData;
// What looks on does not have to pass, where the server can be asked directly.
const sql = connect(direct, { max: 1, prepare: false, onnotice: () => {}, fetch_types: false });
const initializer = postgres(url, tableNames, { max: 3, ...options });
const adapter = initializer(LuciaError);

await sql`DROP TABLE IF EXISTS user_session, user_key, auth_user`;
await createTables(sql);
await officialSuite(adapter, sql);

const ids = Array.from({ length: 200 }, (_, n) => `user ${n}`);
const keyOf = (id, user) => ({ id: `key of ${id}`, user_id: user, hashed_password: null });
await Promise.all(ids.map((id) => adapter.setUser({ id, username: `name of ${id}` }, keyOf(id, id))));
const rows = await Promise.all(ids.map((id) => adapter.getUser(id)));
assert.deepEqual(rows.map(({ username }) => username), ids.map((id) => `name of ${id}`));
const again = ids.slice(0, 20).map((id) => adapter.setUser({ id: `other ${id}`, username: "" }, keyOf(id, `other ${id}`)));
assert.deepEqual((await Promise.allSettled(again)).map(({ reason }) => reason?.message), again.map(() => "AUTH_DUPLICATE_KEY_ID"));
assert.equal((await sql`SELECT count(*)::int AS count FROM auth_user`)[0].count, ids.length);

await initializer.end({ timeout: 5 });
await sql.end({ timeout: 1 });
