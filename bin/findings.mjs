// What the facts of a table mean for Lucia: pure functions from facts to findings.

/**
 * @typedef {"ok" | "note" | "slow" | "unsafe" | "missing" | "wrong"} Kind
 * @typedef {{ kind: Kind, text: string, remedy?: string }} Finding
 */
const ok = (text) => ({ kind: "ok", text });
const note = (text, remedy) => ({ kind: "note", text, remedy });
const slow = (text, remedy) => ({ kind: "slow", text, remedy });
const unsafe = (text, remedy) => ({ kind: "unsafe", text, remedy });
const missing = (text, remedy) => ({ kind: "missing", text, remedy });
const wrong = (text, remedy) => ({ kind: "wrong", text, remedy });

const textTypes = ["text", "character varying", "citext", "name"];

const retype = (found, name, type) => `ALTER TABLE ${found.name} ALTER COLUMN ${name} TYPE ${type};`;

/** Why a column's type does not suit an id, or nothing. */
function idFinding(found, { type, base, length }, lucias) {
  if (base === "uuid" && lucias !== null) return note(`id is uuid: every id must be given, as a UUID; Lucia's own ids are text of ${lucias} characters`);
  if (base === "character") return wrong(`id is ${type}, which PostgreSQL fills with spaces: ids come back longer than they were`);
  if (lucias === null) {
    return ["bigint", "numeric"].includes(base) ? note(`id is ${type}: user ids come back as text, as the database has them`) : undefined;
  }
  if (!textTypes.includes(base)) return wrong(`id is ${type}: Lucia's ids are text`);
  if (length !== null && length < lucias) {
    return wrong(`id is ${type}: Lucia's ids have ${lucias} characters`, retype(found, "id", "text"));
  }
  return undefined;
}

/** Why `user_id` cannot hold the ids of the user table, or nothing. */
function userIdFinding(column, userTable) {
  const id = userTable?.columns.find(({ name }) => name === "id");
  if (!id || column.base === id.base || (textTypes.includes(column.base) && textTypes.includes(id.base))) return undefined;
  return wrong(`user_id is ${column.type}, but the id of ${userTable.name} is ${id.type}`);
}

function timeFinding(found, { name, type, base }) {
  if (base === "timestamp with time zone") return undefined;
  const remedy = retype(found, name, "timestamptz");
  if (base === "timestamp without time zone") {
    return note(`${name} is ${type}: right only while the program and its database sessions are in one time zone`, remedy);
  }
  return base === "date"
    ? wrong(`${name} is date: sessions end at midnight`, remedy)
    : wrong(`${name} is ${type}, but Lucia 3 stores a time: timestamptz`);
}

function millisecondsFinding(found, { name, type, base }) {
  if (["bigint", "numeric"].includes(base)) return undefined;
  if (base === "integer" || base === "smallint") {
    return wrong(`${name} is ${type}, which is too small for milliseconds since 1970`, retype(found, name, "bigint"));
  }
  return wrong(`${name} is ${type}, but Lucia stores milliseconds since 1970: bigint`);
}

function passwordFinding(found, { name, type, base, length }) {
  if (!textTypes.includes(base)) return wrong(`${name} is ${type}: Lucia's hashes are text`);
  // "s2:", a salt of 16 characters, ":", a key of 64 bytes in hexadecimal.
  if (length !== null && length < 148) {
    return wrong(`${name} is ${type}: Lucia's hashes have 148 characters`, retype(found, name, "text"));
  }
  return undefined;
}

const isOn = (index, column) => index.isWhole && index.columns[0] === column;
const isUniqueOn = (index, column) => index.isUnique && isOn(index, column) && index.columns.length === 1;

function columnFindings(role, { idLength, columns }, found, userTable) {
  const findings = [];
  for (const [name, type] of Object.entries(columns)) {
    const column = found.columns.find((each) => each.name === name);
    if (!column) {
      const there = found.columns.map((each) => each.name).join(", ") || "none";
      findings.push(missing(`no column ${name} (there are: ${there})`, `ALTER TABLE ${found.name} ADD COLUMN ${name} ${type};`));
      continue;
    }
    const examine = {
      id: () => idFinding(found, column, idLength),
      user_id: () => userIdFinding(column, userTable),
      hashed_password: () => passwordFinding(found, column),
      expires_at: () => timeFinding(found, column),
    };
    const finding = examine[name] ? examine[name]() : millisecondsFinding(found, column);
    if (finding) findings.push(finding);
    if (name === "hashed_password" && column.isNotNull) {
      findings.push(wrong("hashed_password cannot be NULL: keys without a password have none",
        `ALTER TABLE ${found.name} ALTER COLUMN hashed_password DROP NOT NULL;`));
    }
  }
  const extra = found.columns.filter(({ name, isNotNull, hasDefault }) => !(name in columns) && isNotNull && !hasDefault);
  for (const { name } of extra) {
    findings.push(role === "key"
      ? wrong(`the column ${name} must be given a value, and Lucia gives keys none`, `ALTER TABLE ${found.name} ALTER COLUMN "${name}" DROP NOT NULL;`)
      : note(`the column ${name} must be given a value, among the attributes of every ${role}`));
  }
  return findings;
}

/** What is done without an index on the column. */
const purposes = { user_id: (role) => `to find the ${role}s of a user`, expires_at: () => "to delete the sessions that have expired" };

function indexFindings(role, { indexed }, found) {
  const isThere = (column) => found.columns.some(({ name }) => name === column);
  return indexed.filter((column) => isThere(column) && !found.indexes.some((index) => isOn(index, column)))
    .map((column) => slow(`no index on ${column}: ${purposes[column](role)} reads the whole table`,
      `CREATE INDEX${found.kind === "p" ? "" : " CONCURRENTLY"} ON ${found.name} (${column});`));
}

function userIdLinks(role, found, userTable) {
  const column = found.columns.find(({ name }) => name === "user_id");
  if (!column) return [];
  const findings = [];
  const key = found.foreignKeys.find(({ columns }) => columns.length === 1 && columns[0] === "user_id");
  if (!userTable) return findings;
  const remedy = userIdFinding(column, userTable) ? undefined : `ALTER TABLE ${found.name} ADD FOREIGN KEY (user_id) REFERENCES ${userTable.name} (id);`;
  if (!key) {
    findings.push(missing(`no foreign key from user_id to ${userTable.name}: a ${role} of nobody is stored, and Lucia not told`, remedy));
  } else if (key.target !== userTable.name || key.targetColumns[0] !== "id") {
    findings.push(wrong(`user_id refers to ${key.target} (${key.targetColumns}), not to ${userTable.name} (id)`, remedy));
  } else if (!key.isValid) {
    findings.push(note(`the foreign key ${key.name} was never checked for the rows that were there before it`,
      `ALTER TABLE ${found.name} VALIDATE CONSTRAINT "${key.name}";`));
  }
  return findings;
}

/** @returns {Finding[]} */
export function tableFindings(role, { command, needs }, { given }, { found, elsewhere }, userTable, searchPath) {
  if (!found) {
    const places = elsewhere.length > 0 ? `, but there is ${elsewhere.join(" and ")}: give its schema too, as in --${role} ${elsewhere[0]}` : "";
    return [missing(`there is no table ${given} in the search path (${searchPath})${places}`,
      places ? undefined : command)];
  }
  if (!["r", "p", "f", "v"].includes(found.kind)) return [wrong(`${found.name} is not a table`)];
  const findings = columnFindings(role, needs[role], found, userTable);
  if (found.kind === "v") findings.push(note("it is a view: what its table has is not examined"));
  else {
    if (found.columns.some(({ name }) => name === "id") && !found.indexes.some((index) => isUniqueOn(index, "id"))) {
      const consequence = role === "key" ? "two users can have one key" : `the id of a ${role} can be given twice, and every lookup reads the whole table`;
      findings.push(missing(`id is no primary key: ${consequence}`, `ALTER TABLE ${found.name} ADD PRIMARY KEY (id);`));
    }
    findings.push(...indexFindings(role, needs[role], found), ...userIdLinks(role, found, userTable));
  }
  if (found.denied.length > 0) {
    findings.push(wrong(`this user may not ${found.denied.join(", ")}`, `GRANT ${found.denied.join(", ")} ON ${found.name} TO ...;`));
  }
  if (found.rowSecurity) findings.push(note("row security is on: rows that its policies hide are not found"));
  return findings.length > 0 ? findings : [ok("has what Lucia needs")];
}

const encryption = {
  none: unsafe("the connection is not encrypted: passwords and sessions can be read on the way", "add sslmode=verify-full to the URL"),
  encrypted: unsafe("the connection is encrypted, but another server could answer: its certificate is not verified",
    "set sslmode=verify-full in the URL"),
  verified: ok("the connection is encrypted, and the server's certificate is verified"),
};

/** @returns {Finding[]} */
export function serverFindings({ number, isReadOnly, isStandby, isEncrypted }, { isPooled, isLocal, tls }) {
  const findings = [];
  // Of the connection to a pooler the server knows nothing.
  const chosen = isEncrypted && !isPooled ? "encrypted" : "none";
  if (isReadOnly) findings.push(wrong(isStandby ? "this is a standby, which takes no changes" : "transactions are read-only here"));
  if (number < 130000) findings.push(note("this version is older than those that are tested, 13 and later"));
  if (isPooled) findings.push(note("there is a pooler before the server: nothing is prepared under a name (docs/poolers.md)"));
  if (isLocal && tls !== "verified") findings.push(ok("the connection does not leave this machine"));
  else findings.push(encryption[tls === "optional" ? chosen : tls]);
  return findings;
}
