// Which violation becomes which Lucia error, and that every other error is the database's own.
import assert from "node:assert/strict";
import { test } from "node:test";

import { LuciaError } from "lucia";

import { postgres } from "../index.js";
import { tableNames } from "./support/database.mjs";
import { outcome } from "./support/opened.mjs";
import {
  adapter, assertBothKeyErrors, assertDatabaseError, assertDuplicate, assertInvalidUser, before, inSchema,
  keyTable, newKey, plainKeyTable, sql, stored, takenKey, times, url,
} from "./support/violating.mjs";

test("a key id that exists is AUTH_DUPLICATE_KEY_ID, from setKey and from setUser", async () => {
  await assertDuplicate(adapter.setKey(takenKey));
  await assertDuplicate(adapter.setUser({ id: "bob" }, { ...takenKey, user_id: "bob" }));
  assert.deepEqual(await stored(), before);
});

test("a user id that does not exist is AUTH_INVALID_USER_ID, from setKey and from setSession", async () => {
  await assertInvalidUser(adapter.setKey(newKey({ user_id: "nobody" })));
  await assertInvalidUser(adapter.setSession({ id: "new", user_id: "nobody", ...times }));
  assert.deepEqual(await stored(), before);
});

test("a user id that exists is the database's error, and neither half of the sign-up remains", async () => {
  const fields = { code: "23505", table_name: "auth_user", constraint_name: "auth_user_pkey" };
  await assertDatabaseError(adapter.setUser({ id: "alice" }, null), fields);
  await assertDatabaseError(adapter.setUser({ id: "alice" }, newKey()), fields);
  await assertDatabaseError(adapter.setUser({ id: "alice" }, takenKey), fields);
  assert.deepEqual(await stored(), before);
});

test("other methods report the same violations as the database's errors", async () => {
  await adapter.setKey(newKey());
  await assertDatabaseError(adapter.updateKey("new", { id: "email:alice" }), { code: "23505", constraint_name: "user_key_pkey" });
  await assertDatabaseError(adapter.updateKey("new", { user_id: "nobody" }), { code: "23503", table_name: "user_key" });
  await assertDatabaseError(adapter.updateSession("session-a", { user_id: "nobody" }), { code: "23503", table_name: "user_session" });
  const sameSession = { id: "session-a", user_id: "alice", ...times };
  await assertDatabaseError(adapter.setSession(sameSession), { code: "23505", table_name: "user_session" });
  await assertDatabaseError(adapter.deleteUser("alice"), { code: "23503" });
  await assertDatabaseError(adapter.updateUser("alice", { id: "other" }), { code: "23503" });
});

test("a key of another, unknown user is the database's error in setUser, and no user remains", async () => {
  await assertDatabaseError(adapter.setUser({ id: "bob" }, newKey({ user_id: "nobody" })), { code: "23503", table_name: "user_key" });
  assert.deepEqual(await stored(), before);
});

test("a unique attribute of users is the database's error, whatever its value says", async () => {
  await sql`CREATE UNIQUE INDEX unique_username ON auth_user (username)`;
  const username = "Key (id)=(email:alice) already exists.";
  try {
    await adapter.setUser({ id: "carol", username }, null);
    const fields = { code: "23505", table_name: "auth_user", constraint_name: "unique_username" };
    await assertDatabaseError(adapter.setUser({ id: "bob", username }, newKey({ user_id: "bob" })), fields);
    await assertDatabaseError(adapter.setUser({ id: "bob", username }, null), fields);
    await assertDatabaseError(adapter.updateUser("alice", { username }), fields);
  } finally {
    await sql`DROP INDEX unique_username`;
  }
});

test("unique constraints on other columns of keys are the database's errors", () =>
  inSchema(
    `${keyTable(`id TEXT PRIMARY KEY, user_id TEXT CONSTRAINT one_key_each UNIQUE REFERENCES own.auth_user,
      hashed_password TEXT, place TEXT, CONSTRAINT id_and_place UNIQUE (place, id), tag TEXT`)}
     CREATE UNIQUE INDEX lower_id ON own.user_key (lower(id));
     CREATE UNIQUE INDEX tag_alone ON own.user_key (tag) INCLUDE (id);`,
    async (own) => {
      await own.setUser({ id: "bob" }, newKey({ id: "email:bob", user_id: "bob", tag: "Key (id)" }));
      await own.setUser({ id: "carol" }, null);
      const error = (fields) => own.setKey(newKey({ user_id: "carol", ...fields }));
      await assertDatabaseError(error({ user_id: "alice" }), { code: "23505", constraint_name: "one_key_each" });
      await assertDatabaseError(error({ id: "EMAIL:ALICE" }), { code: "23505", constraint_name: "lower_id" });
      await assertDatabaseError(error({ tag: "Key (id)" }), { code: "23505", constraint_name: "tag_alone" });
      const ofAnother = own.setUser({ id: "dan" }, newKey({ user_id: "alice" }));
      await assertDatabaseError(ofAnother, { code: "23505", constraint_name: "one_key_each" });
      await assertDuplicate(error({ id: "email:alice" }));
    },
  ));

test("a unique constraint on the id together with another column is the database's error", () =>
  inSchema(
    keyTable(`id TEXT, user_id TEXT REFERENCES own.auth_user, hashed_password TEXT, place TEXT DEFAULT 'here',
      CONSTRAINT composite PRIMARY KEY (id, place)`),
    async (own) => {
      await assertDatabaseError(own.setKey(takenKey), { code: "23505", constraint_name: "composite" });
      await own.setKey({ ...takenKey, place: "there" });
    },
  ));

test("an exclusion constraint on the id is the database's error", () =>
  inSchema(
    keyTable(`id TEXT, user_id TEXT REFERENCES own.auth_user, hashed_password TEXT,
      CONSTRAINT no_equals EXCLUDE USING btree (id WITH =)`),
    (own) => assertDatabaseError(own.setKey(takenKey), { code: "23P01", constraint_name: "no_equals" }),
  ));

const uniqueIds = {
  "a unique index without a constraint": ["id TEXT", "CREATE UNIQUE INDEX some_index ON own.user_key (id);"],
  "a unique index with included columns": ["id TEXT", "CREATE UNIQUE INDEX some_index ON own.user_key (id) INCLUDE (user_id);"],
  "a unique constraint with included columns": ["id TEXT", "ALTER TABLE own.user_key ADD UNIQUE (id) INCLUDE (user_id);"],
  "a partial unique index": ["id TEXT", "CREATE UNIQUE INDEX some_index ON own.user_key (id) WHERE id LIKE 'email:%';"],
  "a primary key with a name in upper case and quotes": ['id TEXT CONSTRAINT "The ""Key""" PRIMARY KEY', ""],
  "a deferred primary key": ["id TEXT PRIMARY KEY DEFERRABLE INITIALLY DEFERRED", ""],
  "columns that were dropped before the id": ["junk INT, id TEXT PRIMARY KEY", "ALTER TABLE own.user_key DROP COLUMN junk;"],
  "an id of a domain type": ["id own.key_id PRIMARY KEY", ""],
  "an identifier type other than text": ["id VARCHAR(64) COLLATE \"C\" PRIMARY KEY", ""],
};
for (const [kind, [id, ddl]] of Object.entries(uniqueIds)) {
  test(`the key's id is recognised under ${kind}`, () =>
    inSchema(
      `CREATE DOMAIN own.key_id AS TEXT;
       ${keyTable(`${id}, user_id TEXT REFERENCES own.auth_user, hashed_password TEXT`)} ${ddl}`,
      assertBothKeyErrors,
    ));
}

const foreignKeys = {
  "without a name of its own choosing": "user_id TEXT REFERENCES own.auth_user",
  "with an odd name": 'user_id TEXT CONSTRAINT "Odd ""name""" REFERENCES own.auth_user',
  "deferred to the end of the transaction": "user_id TEXT REFERENCES own.auth_user DEFERRABLE INITIALLY DEFERRED",
  "with cascading deletes": "user_id TEXT REFERENCES own.auth_user ON DELETE CASCADE",
};
for (const [kind, userId] of Object.entries(foreignKeys)) {
  test(`the user's id is recognised under a foreign key ${kind}`, () =>
    inSchema(
      `${keyTable(`id TEXT PRIMARY KEY, ${userId}, hashed_password TEXT`)}
       DROP TABLE own.user_session;
       CREATE TABLE own.user_session (id TEXT PRIMARY KEY, ${userId.replace("Odd", "Odder")}, active_expires INT8, idle_expires INT8);`,
      async (own) => {
        await assertBothKeyErrors(own);
        await assertInvalidUser(own.setSession({ id: "new", user_id: "nobody", ...times }));
        assert.deepEqual([...(await sql`SELECT id FROM own.user_session`)], []);
      },
    ));
}

test("foreign keys on other columns are the database's errors", () =>
  inSchema(
    `CREATE TABLE own.provider (id TEXT, user_id TEXT, PRIMARY KEY (id), UNIQUE (id, user_id));
     ${keyTable(`id TEXT PRIMARY KEY, user_id TEXT REFERENCES own.auth_user, hashed_password TEXT,
       provider TEXT CONSTRAINT provider_exists REFERENCES own.provider,
       CONSTRAINT both_exist FOREIGN KEY (provider, user_id) REFERENCES own.provider (id, user_id)`)}
     ALTER TABLE own.user_session ADD device TEXT CONSTRAINT device_exists REFERENCES own.provider;
     INSERT INTO own.provider VALUES ('email', 'nobody');`,
    async (own) => {
      await assertDatabaseError(own.setKey(newKey({ provider: "unknown" })), { code: "23503", table_name: "user_key" });
      await assertDatabaseError(own.setKey(newKey({ provider: "email" })), { code: "23503", constraint_name: "both_exist" });
      await assertDatabaseError(own.setSession({ id: "new", user_id: "alice", ...times, device: "unknown" }),
        { code: "23503", constraint_name: "device_exists" });
      await assertInvalidUser(own.setKey(newKey({ user_id: "nobody" })));
      await assertInvalidUser(own.setSession({ id: "new", user_id: "nobody", ...times }));
    },
  ));

test("violations in tables that triggers write are the database's errors, also under the same constraint names", () =>
  inSchema(
    `${plainKeyTable}
     CREATE SCHEMA elsewhere;
     CREATE TABLE elsewhere.auth_user (id TEXT PRIMARY KEY);
     CREATE TABLE elsewhere.user_key (id TEXT PRIMARY KEY, user_id TEXT REFERENCES elsewhere.auth_user);
     CREATE TABLE own.audit (id TEXT PRIMARY KEY,
       user_id TEXT CONSTRAINT user_key_user_id_fkey REFERENCES elsewhere.auth_user);
     INSERT INTO elsewhere.user_key VALUES ('taken elsewhere');
     INSERT INTO own.audit VALUES ('taken in audit');
     CREATE FUNCTION own.copy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF new.id = 'taken in audit' THEN INSERT INTO own.audit VALUES (new.id);
       ELSIF new.id = 'unknown in audit' THEN INSERT INTO own.audit VALUES (new.id, 'nobody');
       ELSIF new.id = 'taken elsewhere' THEN INSERT INTO elsewhere.user_key VALUES (new.id);
       ELSIF new.id = 'unknown elsewhere' THEN INSERT INTO elsewhere.user_key VALUES (new.id, 'nobody');
       END IF;
       RETURN new;
     END $$;
     CREATE TRIGGER copy AFTER INSERT ON own.user_key FOR EACH ROW EXECUTE FUNCTION own.copy();
     CREATE TRIGGER copy AFTER INSERT ON own.user_session FOR EACH ROW EXECUTE FUNCTION own.copy();`,
    async (own) => {
      const expected = {
        "taken in audit": { code: "23505", schema_name: "own", table_name: "audit", constraint_name: "audit_pkey" },
        "unknown in audit": { code: "23503", schema_name: "own", table_name: "audit", constraint_name: "user_key_user_id_fkey" },
        "taken elsewhere": { code: "23505", schema_name: "elsewhere", table_name: "user_key", constraint_name: "user_key_pkey" },
        "unknown elsewhere": { code: "23503", schema_name: "elsewhere", table_name: "user_key", constraint_name: "user_key_user_id_fkey" },
      };
      try {
        for (const [id, fields] of Object.entries(expected)) {
          await assertDatabaseError(own.setKey(newKey({ id })), fields);
          await assertDatabaseError(own.setUser({ id: "bob" }, newKey({ id, user_id: "bob" })), fields);
          await assertDatabaseError(own.setSession({ id, user_id: "alice", ...times }), fields);
        }
        await assertBothKeyErrors(own);
      } finally {
        await sql.unsafe("DROP SCHEMA elsewhere CASCADE");
      }
    },
  ));

test("violations that a trigger raises by hand are the database's errors, whatever their text says", () =>
  inSchema(
    `${plainKeyTable}
     CREATE FUNCTION own.complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF new.id = 'taken' THEN RAISE unique_violation USING DETAIL = 'Key (id)=(taken) already exists.';
       ELSIF new.id = 'unknown' THEN RAISE foreign_key_violation USING DETAIL = 'Key (user_id)=(x) is not present.';
       END IF;
       RETURN new;
     END $$;
     CREATE TRIGGER complain BEFORE INSERT ON own.user_key FOR EACH ROW EXECUTE FUNCTION own.complain();`,
    async (own) => {
      await assertDatabaseError(own.setKey(newKey({ id: "taken" })), { code: "23505" });
      await assertDatabaseError(own.setUser({ id: "bob" }, newKey({ id: "taken", user_id: "bob" })), { code: "23505" });
      await assertDatabaseError(own.setKey(newKey({ id: "unknown" })), { code: "23503" });
    },
  ));

test("a key that a trigger on users adds is the database's error when no key was given", () =>
  inSchema(
    `${plainKeyTable}
     CREATE FUNCTION own.add_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF new.id <> 'alice' THEN INSERT INTO own.user_key VALUES ('email:alice', new.id); END IF;
       RETURN new;
     END $$;
     CREATE TRIGGER add_key AFTER INSERT ON own.auth_user FOR EACH ROW EXECUTE FUNCTION own.add_key();`,
    (own) => assertDatabaseError(own.setUser({ id: "bob" }, null), { code: "23505", table_name: "user_key" }),
  ));

test("the errors of a partitioned key table are recognised, whatever its partitions look like", () =>
  inSchema(
    `CREATE SCHEMA own_parts;
     CREATE TABLE own.user_key (id TEXT PRIMARY KEY, user_id TEXT REFERENCES own.auth_user, hashed_password TEXT)
       PARTITION BY RANGE (id);
     CREATE TABLE own_parts.low (junk INT, hashed_password TEXT, user_id TEXT, id TEXT NOT NULL);
     ALTER TABLE own_parts.low DROP COLUMN junk;
     ALTER TABLE own.user_key ATTACH PARTITION own_parts.low FOR VALUES FROM (MINVALUE) TO ('m');
     CREATE TABLE own_parts.high PARTITION OF own.user_key FOR VALUES FROM ('m') TO (MAXVALUE) PARTITION BY HASH (id);
     CREATE TABLE own_parts.highest PARTITION OF own_parts.high FOR VALUES WITH (MODULUS 1, REMAINDER 0);`,
    async (own) => {
      try {
        await own.setKey(newKey({ id: "zoe" }));
        await assertBothKeyErrors(own);
        await assertDuplicate(own.setKey(newKey({ id: "zoe" })));
        await assertInvalidUser(own.setKey(newKey({ id: "zed", user_id: "nobody" })));
      } finally {
        await sql.unsafe("DROP SCHEMA own_parts CASCADE");
      }
    },
  ));

test("the errors of a partitioned session table are recognised", () =>
  inSchema(
    `${plainKeyTable}
     DROP TABLE own.user_session;
     CREATE TABLE own.user_session (id TEXT, user_id TEXT REFERENCES own.auth_user, active_expires INT8, idle_expires INT8)
       PARTITION BY HASH (id);
     CREATE TABLE own.user_session_0 PARTITION OF own.user_session FOR VALUES WITH (MODULUS 1, REMAINDER 0);`,
    (own) => assertInvalidUser(own.setSession({ id: "new", user_id: "nobody", ...times })),
  ));

test("the errors of tables that the search path finds are recognised", () =>
  inSchema(
    `${plainKeyTable}
     DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = missing, own, public', current_database()); END $$;`,
    async (own) => {
      try {
        await assertBothKeyErrors(own);
      } finally {
        await sql.unsafe("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET search_path', current_database()); END $$");
      }
    },
    ["auth_user", "user_key", "user_session"],
  ));

test("the errors of a key table that was dropped and created again are recognised", () =>
  inSchema(plainKeyTable, async (own) => {
    await assertBothKeyErrors(own);
    await sql.unsafe(`
      DROP TABLE own.user_key;
      ${keyTable(`user_id TEXT CONSTRAINT user_key_pkey UNIQUE REFERENCES own.auth_user, hashed_password TEXT,
        id TEXT CONSTRAINT other PRIMARY KEY`)}
      INSERT INTO own.user_key (id, user_id) VALUES ('email:alice', 'alice'), ('tom', NULL);
    `);
    await assertDatabaseError(own.setKey(newKey()), { code: "23505", constraint_name: "user_key_pkey" });
    await assertDuplicate(own.setKey(newKey({ id: "tom", user_id: null })));
  }));

test("violations are recognised where the server leaves out the detail, as it does for a role that may not read", () =>
  inSchema(plainKeyTable, async () => {
    const role = `writer_${Math.random().toString(36).slice(2)}`;
    await sql.unsafe(`
      CREATE ROLE ${role} LOGIN PASSWORD 'writer';
      GRANT USAGE ON SCHEMA own TO ${role};
      GRANT INSERT ON ALL TABLES IN SCHEMA own TO ${role};
    `);
    const writerUrl = new URL(url);
    [writerUrl.username, writerUrl.password] = [role, "writer"];
    const initialize = postgres(writerUrl.href, { user: "own.auth_user", key: "own.user_key", session: "own.user_session" });
    const writer = initialize(LuciaError);
    try {
      await assertBothKeyErrors(writer);
      await assertInvalidUser(writer.setSession({ id: "new", user_id: "nobody", ...times }));
      await assertDatabaseError(writer.setUser({ id: "alice" }, takenKey), { code: "23505", detail: undefined });
      await assertDatabaseError(writer.getUser("alice"), { code: "42501" });
    } finally {
      await initialize.end();
      await sql.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  }));

test("violations are recognised when the server speaks another language", async (t) => {
  const german = new URL(url);
  german.searchParams.set("options", "-c lc_messages=de_DE.UTF-8");
  const initialize = postgres(german.href, tableNames);
  const speaking = initialize(LuciaError);
  try {
    const { error } = await outcome(speaking.updateUser("alice", { unknown: "x" }));
    if (error.code !== "42703" || /does not exist/.test(error.message)) {
      t.skip("this server has no German messages");
      return;
    }
    await assertDuplicate(speaking.setKey(takenKey));
    await assertInvalidUser(speaking.setKey(newKey({ user_id: "nobody" })));
    const own = await assertDatabaseError(speaking.setUser({ id: "alice" }, null), { code: "23505", severity: "ERROR" });
    assert.match(own.severity_local, /FEHLER/);
  } finally {
    await initialize.end();
  }
});

test("the error class handed to the initializer is used, whatever class it is", async () => {
  class Own extends Error {
    constructor(...given) {
      super("own");
      this.given = given;
    }
  }
  function Plain(message) {
    this.message = message;
  }
  const initialize = postgres(url, tableNames);
  const [first, second] = [initialize(Own), initialize(Plain)];
  const [one, two] = await Promise.all([outcome(first.setKey(takenKey)), outcome(second.setKey(newKey({ user_id: "nobody" })))]);
  assert.ok(one.error instanceof Own);
  assert.deepEqual(one.error.given, ["AUTH_DUPLICATE_KEY_ID"]);
  assert.ok(two.error instanceof Plain);
  assert.equal(two.error.message, "AUTH_INVALID_USER_ID");
  const failing = initialize(class {
    constructor() {
      throw new RangeError("the class failed");
    }
  });
  await assert.rejects(failing.setKey(takenKey), new RangeError("the class failed"));
  assert.equal(await failing.getUser("unknown"), null);
  await initialize.end();
});

test("of many sign-ups with one key at once exactly one succeeds", async () => {
  const results = await Promise.all(Array.from({ length: 40 }, (_, n) =>
    outcome(adapter.setUser({ id: `user-${n}` }, newKey({ id: "contested", user_id: `user-${n}` })))));
  assert.equal(results.filter(({ error }) => error === undefined).length, 1);
  for (const { error } of results) assert.match(error?.message ?? "", /^(AUTH_DUPLICATE_KEY_ID)?$/);
  const winner = `user-${results.findIndex(({ error }) => error === undefined)}`;
  assert.deepEqual(await stored(), { users: ["alice", winner], keys: ["contested", "email:alice"] });
});

test("a sign-up that a trigger or a deferred check stops leaves neither half", () =>
  inSchema(
    `${keyTable("id TEXT PRIMARY KEY, user_id TEXT REFERENCES own.auth_user, hashed_password TEXT CHECK (hashed_password <> 'bad')")}
     CREATE FUNCTION own.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF new.id = 'refused' THEN RAISE EXCEPTION 'refused at the end' USING ERRCODE = 'ZZ001', HINT = 'a hint'; END IF;
       RETURN NULL;
     END $$;
     CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON own.user_key DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION own.refuse();`,
    async (own) => {
      const signUp = (fields) => own.setUser({ id: "bob" }, newKey({ user_id: "bob", ...fields }));
      await assertDatabaseError(signUp({ hashed_password: "bad" }), { code: "23514" });
      const error = await assertDatabaseError(signUp({ id: "refused" }), { code: "ZZ001", message: "refused at the end", hint: "a hint" });
      assert.match(error.where, /own\.refuse\(\)/);
      await assertDatabaseError(own.setKey(newKey({ id: "refused" })), { code: "ZZ001" });
      assert.deepEqual([...(await sql`SELECT id FROM own.auth_user`)], [{ id: "alice" }]);
      assert.deepEqual([...(await sql`SELECT id FROM own.user_key`)], [{ id: "email:alice" }]);
      await signUp({});
      assert.equal((await sql`SELECT FROM own.user_key WHERE user_id = 'bob'`).length, 1);
    },
  ));

test("a trigger on keys finds the new user of the same sign-up", () =>
  inSchema(
    `${plainKeyTable}
     CREATE FUNCTION own.find() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       new.hashed_password := (SELECT username FROM own.auth_user WHERE id = new.user_id);
       RETURN new;
     END $$;
     CREATE TRIGGER find BEFORE INSERT ON own.user_key FOR EACH ROW EXECUTE FUNCTION own.find();`,
    async (own) => {
      await own.setUser({ id: "bob", username: "Bob" }, newKey({ user_id: "bob" }));
      assert.equal((await own.getKey("new")).hashed_password, "Bob");
    },
  ));

test("a user that a trigger stores elsewhere still gets the key", () =>
  inSchema(
    `${keyTable("id TEXT PRIMARY KEY, user_id TEXT, hashed_password TEXT")}
     CREATE TABLE own.new_user () INHERITS (own.auth_user);
     CREATE FUNCTION own.redirect() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO own.new_user VALUES (new.*);
       RETURN NULL;
     END $$;
     CREATE TRIGGER redirect BEFORE INSERT ON own.auth_user FOR EACH ROW EXECUTE FUNCTION own.redirect();`,
    async (own) => {
      await own.setUser({ id: "bob", username: "Bob" }, newKey({ user_id: "bob" }));
      assert.deepEqual(await own.getUser("bob"), { id: "bob", username: "Bob" });
      assert.deepEqual(await own.getKeysByUserId("bob"), [newKey({ user_id: "bob" })]);
    },
  ));
