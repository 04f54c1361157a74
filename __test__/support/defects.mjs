// Tables that are good but for one thing, and what `check` must say of them.

/**
 * By title: what is changed in good tables called `user`, `key` and `session`; the line that tells of it; the name of the exit
 * code. `check` tells what to do, which must heal it, unless `heals` is false.
 */
export const defects = {
  "a missing table": ["DROP TABLE session", /missing +there is no table \w+\.session in the search path/, "wrong", { heals: false }],
  "a missing column": ["ALTER TABLE key DROP COLUMN hashed_password",
    /missing +no column hashed_password \(there are: id, user_id\)/, "wrong"],
  "an id without an index": ["ALTER TABLE session DROP CONSTRAINT session_pkey", /missing +id is no primary key/, "wrong"],
  "keys whose id may repeat": ["ALTER TABLE key DROP CONSTRAINT key_pkey; CREATE INDEX ON key (id)", /missing .*two users can have one key/, "wrong"],
  "no foreign key": ["ALTER TABLE key DROP CONSTRAINT key_user_id_fkey", /missing +no foreign key from user_id/, "wrong"],
  "a foreign key to another table": [`CREATE TABLE other (id text PRIMARY KEY); ALTER TABLE key DROP CONSTRAINT key_user_id_fkey;
    ALTER TABLE key ADD FOREIGN KEY (user_id) REFERENCES other`, /wrong +user_id refers to \w+\.other \(id\)/, "wrong", { heals: false }],
  "a foreign key that was never checked": [`ALTER TABLE key DROP CONSTRAINT key_user_id_fkey;
    ALTER TABLE key ADD CONSTRAINT "of user" FOREIGN KEY (user_id) REFERENCES "user" NOT VALID`, /note +the foreign key of user was never checked/, "well"],
  "keys without an index on user_id": ["DROP INDEX key_user_id_idx", /slow +no index on user_id: to find the keys/, "slow"],
  "sessions without an index on user_id": ["DROP INDEX session_user_id_idx", /slow +no index on user_id: to find the sessions/, "slow"],
  "an index on user_id for some rows only": ["DROP INDEX session_user_id_idx; CREATE INDEX ON session (user_id) WHERE idle_expires > 5",
    /slow +no index on user_id/, "slow"],
  "an index where user_id comes second": ["DROP INDEX session_user_id_idx; CREATE INDEX ON session (idle_expires, user_id)", /slow +no index/, "slow"],
  "an index on an expression of user_id": ["DROP INDEX session_user_id_idx; CREATE INDEX ON session (lower(user_id))", /slow +no index/, "slow"],
  "times that are too small": ["ALTER TABLE session ALTER active_expires TYPE integer", /wrong +active_expires is integer, .* too small/, "wrong"],
  "times as timestamps": [`ALTER TABLE session ALTER idle_expires TYPE timestamptz USING to_timestamp(idle_expires)`,
    /wrong +idle_expires is timestamp with time zone/, "wrong", { heals: false }],
  "a session id that is too short": ["ALTER TABLE session ALTER id TYPE varchar(32)", /wrong +id is character varying\(32\): .* 40 characters/, "wrong"],
  "an id that is filled with spaces": ["ALTER TABLE session ALTER id TYPE char(60)", /wrong +id is character\(60\)/, "wrong", { heals: false }],
  "a numeric session id": ["ALTER TABLE session ALTER id TYPE bigint USING 1", /wrong +id is bigint: Lucia's ids are text/, "wrong", { heals: false }],
  "a user_id of another type": [`ALTER TABLE key DROP CONSTRAINT key_user_id_fkey; ALTER TABLE key ALTER user_id TYPE uuid USING NULL`,
    /wrong +user_id is uuid, but the id of \w+\."user" is text/, "wrong", { heals: false }],
  "a password column that is too short": ["ALTER TABLE key ALTER hashed_password TYPE varchar(60)", /wrong +hashed_password is .* 148 characters/, "wrong"],
  "a password column that must be filled": ["ALTER TABLE key ALTER hashed_password SET NOT NULL", /wrong +hashed_password cannot be NULL/, "wrong"],
  "a column of keys that Lucia cannot fill": ['ALTER TABLE key ADD "Tenant" int NOT NULL', /wrong +the column Tenant must be given a value/, "wrong"],
  "a column of users that the application must fill": ["ALTER TABLE \"user\" ADD name text NOT NULL", /note +the column name must be given a value/, "well", { heals: false }],
  "columns with a default": ["ALTER TABLE key ADD at timestamptz NOT NULL DEFAULT now(), ADD n int GENERATED ALWAYS AS IDENTITY", /ok +has what Lucia needs/, "well", { heals: false }],
  "ids as uuid": [`ALTER TABLE key DROP CONSTRAINT key_user_id_fkey; ALTER TABLE session DROP CONSTRAINT session_user_id_fkey;
    ALTER TABLE "user" ALTER id TYPE uuid USING NULL; ALTER TABLE key ALTER user_id TYPE uuid USING NULL;
    ALTER TABLE session ALTER user_id TYPE uuid USING NULL; ALTER TABLE key ADD FOREIGN KEY (user_id) REFERENCES "user";
    ALTER TABLE session ADD FOREIGN KEY (user_id) REFERENCES "user"`, /note +id is uuid/, "well", { heals: false }],
  "a primary key that includes another column": [`ALTER TABLE key DROP CONSTRAINT key_pkey;
    ALTER TABLE key ADD PRIMARY KEY (id) INCLUDE (user_id)`, /keys: \w+\.key\n {2}ok +has what Lucia needs/, "well", { heals: false }],
  "a domain over text": [`CREATE DOMAIN short AS varchar(100); ALTER TABLE session ALTER id TYPE short`, /ok +has what Lucia needs/, "well", { heals: false }],
  "a view": [`ALTER TABLE "user" RENAME TO person; CREATE VIEW "user" AS SELECT * FROM person`, /note +it is a view/, "wrong", { heals: false }],
  "a partitioned table without an index on user_id": [`DROP TABLE session; CREATE TABLE session (id text PRIMARY KEY, user_id text REFERENCES "user",
    active_expires bigint, idle_expires bigint) PARTITION BY HASH (id); CREATE TABLE part PARTITION OF session FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
  /slow +no index on user_id/, "slow"],
};
