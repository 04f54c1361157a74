// What an application asks of its adapter, once for every contender. `prepare` returns two functions of a call's
// number: `begin` starts the call, `check` throws unless the answer is the right one. What the calls wrote, `verify`
// counts in the database, so that nobody can be quick by not waiting for the server. A scenario of another version of Lucia
// has tables of its own, which `setUp` makes, and `openers` of those contenders that have such an adapter.
import { hashedPassword, insertSessions, isSession, keyId, ownerOf, sessionId, sessionsOfAUser, userId,
  username } from "./database.mjs";
import { lucia3 } from "./lucia-3.mjs";

/** Numbers chosen anew for every measurement, before its clock starts. */
const choices = 1 << 15;
const choose = (below) => Int32Array.from({ length: choices }, () => Math.random() * below);

function wrong(answer) {
  throw new Error(`not the right answer: ${JSON.stringify(answer)}`);
}

function allWritten(count, finished) {
  if (count !== finished) throw new Error(`${finished} calls were answered, the database has the writes of ${count}`);
}

export const scenarios = {
  validate: {
    title: "validate a session",
    prepare(adapter, { sessions }) {
      const chosen = choose(sessions);
      const ids = Array.from(chosen, sessionId);
      return {
        begin: (n) => adapter.getSessionAndUser(ids[n % choices]),
        check([session, user], n) {
          const i = chosen[n % choices];
          const right = session !== null && isSession(session, ids[n % choices], i, sessions)
            && user.id === session.user_id && user.username === username(ownerOf(i, sessions));
          if (!right) wrong([session, user]);
        },
      };
    },
  },

  "sign-up": {
    title: "sign up: a user and a key",
    prepare(adapter, { label }) {
      return {
        begin(n) {
          const id = `${label}${n}`;
          const key = { id: `username:${id}`, user_id: id, hashed_password: hashedPassword };
          return adapter.setUser({ id, username: id }, key);
        },
        check: (answer) => answer === undefined || wrong(answer),
      };
    },
    async verify(sql, { label }, finished) {
      const [{ count }] = await sql`
        SELECT count(*)::int FROM auth_user JOIN user_key ON user_key.user_id = auth_user.id
        WHERE starts_with(auth_user.id, ${label})`;
      allWritten(count, finished);
    },
  },

  "sign-in": {
    title: "sign in: look up the key, store a session",
    prepare(adapter, { sessions, label }) {
      const chosen = choose(sessions / sessionsOfAUser);
      return {
        async begin(n) {
          const key = await adapter.getKey(keyId(chosen[n % choices]));
          const expiry = 1_900_000_000_000 + n;
          await adapter.setSession({
            id: `${label}${n}`, user_id: key.user_id, active_expires: expiry, idle_expires: expiry, country: "DE",
          });
          return key;
        },
        check(key, n) {
          const owner = chosen[n % choices];
          const right = key.id === keyId(owner) && key.user_id === userId(owner)
            && key.hashed_password === hashedPassword;
          if (!right) wrong(key);
        },
      };
    },
    async verify(sql, { label }, finished) {
      const [{ count }] = await sql`SELECT count(*)::int FROM user_session WHERE starts_with(id, ${label})`;
      allWritten(count, finished);
    },
  },

  "sign-out": {
    title: "sign out everywhere: list and delete a user's sessions",
    prepare(adapter, { sessions }) {
      const users = sessions / sessionsOfAUser;
      return {
        async begin(n) {
          if (n >= users) throw new Error("every user's sessions have been deleted: measure for a shorter time");
          const rows = await adapter.getSessionsByUserId(userId(n));
          await adapter.deleteSessionsByUserId(userId(n));
          return rows;
        },
        check(rows, n) {
          const own = Array.from({ length: sessionsOfAUser }, (_, k) => n + k * users);
          const found = own.filter((i) => rows.some((row) => isSession(row, sessionId(i), i, sessions)));
          if (rows.length !== own.length || found.length !== own.length) wrong(rows);
        },
      };
    },
    async verify(sql, { sessions }, finished) {
      const { count: restored } = await sql.unsafe(insertSessions(finished, sessions));
      allWritten(restored / sessionsOfAUser, finished);
    },
  },

  ...lucia3,
};
