// The life of a user, step by step. Lucia acts through the adapter; `sql` is a second pair of eyes that looks into the
// tables directly.
import assert from "node:assert/strict";

const password = "correct horse battery staple";
const day = 24 * 60 * 60 * 1000;

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {() => Promise<void>} [prepare] what has to be so before; not timed
 * @property {() => Promise<unknown>} act what Lucia is asked to do; timed
 * @property {string} [refused] the Lucia error that `act` must end in
 * @property {(result: any) => Promise<string>} check throws when the outcome is not as expected, else says what it was
 */

/**
 * @param {import("lucia").Auth} auth
 * @param {import("postgres").Sql} sql
 * @param {{ user: string, key: string, session: string }} tables
 * @returns {Step[]}
 */
export function journey(auth, sql, tables) {
  let user;
  let session;
  const [users, keys, sessions] = [sql(tables.user), sql(tables.key), sql(tables.session)];

  async function countRows() {
    const [counts] = await sql`
      SELECT
        (SELECT count(*)::int FROM ${users}) AS users,
        (SELECT count(*)::int FROM ${keys}) AS keys,
        (SELECT count(*)::int FROM ${sessions}) AS sessions`;
    return { ...counts };
  }
  const expectRows = async (expected) => assert.deepEqual(await countRows(), expected, "the rows in the tables");

  const signUp = () =>
    auth.createUser({
      key: { providerId: "username", providerUserId: "ada", password },
      attributes: { username: "ada" },
    });
  async function signIn(userAgent) {
    const { userId } = await auth.useKey("username", "ada", password);
    return auth.createSession({ userId, attributes: { user_agent: userAgent } });
  }

  return [
    {
      name: "sign-up",
      act: signUp,
      async check(created) {
        user = created;
        assert.equal(user.username, "ada");
        await expectRows({ users: 1, keys: 1, sessions: 0 });
        return "a user and a key, written together";
      },
    },
    {
      name: "sign-in",
      act: () => signIn("the first browser"),
      async check(created) {
        session = created;
        assert.equal(session.user.userId, user.userId, "the session's user");
        await expectRows({ users: 1, keys: 1, sessions: 1 });
        return "the password fits, a session begins";
      },
    },
    {
      name: "wrong password",
      act: () => auth.useKey("username", "ada", "incorrect horse"),
      refused: "AUTH_INVALID_PASSWORD",
      async check() {
        await expectRows({ users: 1, keys: 1, sessions: 1 });
        return "refused";
      },
    },
    {
      name: "taken name",
      act: signUp,
      refused: "AUTH_DUPLICATE_KEY_ID",
      async check() {
        await expectRows({ users: 1, keys: 1, sessions: 1 });
        return "refused, and no half of a user is left behind";
      },
    },
    {
      name: "validation",
      act: () => auth.validateSession(session.sessionId),
      async check(validated) {
        assert.equal(validated.user.username, "ada");
        assert.equal(validated.userAgent, "the first browser");
        assert.equal(validated.state, "active");
        assert.equal(validated.fresh, false, "whether an active session was renewed");
        return "the session is active, its user is ada";
      },
    },
    {
      name: "renewal of an idle session",
      async prepare() {
        await sql`UPDATE ${sessions} SET active_expires = ${Date.now() - day} WHERE id = ${session.sessionId}`;
      },
      act: () => auth.validateSession(session.sessionId),
      async check(renewed) {
        assert.equal(renewed.fresh, true, "whether an idle session was renewed");
        const [row] = await sql`SELECT * FROM ${sessions} WHERE id = ${session.sessionId}`;
        assert.equal(Number(row.active_expires), renewed.activePeriodExpiresAt.getTime(), "active_expires");
        assert.equal(Number(row.idle_expires), renewed.idlePeriodExpiresAt.getTime(), "idle_expires");
        assert.ok(row.active_expires > Date.now(), "the session must be active again");
        return "active for another day";
      },
    },
    {
      name: "second session",
      act: () => signIn("the second browser"),
      async check() {
        const found = await auth.getAllUserSessions(user.userId);
        assert.deepEqual(found.map(({ userAgent }) => userAgent).sort(), ["the first browser", "the second browser"]);
        return "ada is signed in on two browsers";
      },
    },
    {
      name: "sign-out everywhere",
      act: () => auth.invalidateAllUserSessions(user.userId),
      async check() {
        await expectRows({ users: 1, keys: 1, sessions: 0 });
        await assert.rejects(auth.validateSession(session.sessionId), { message: "AUTH_INVALID_SESSION_ID" });
        return "both sessions have ended";
      },
    },
    {
      name: "deletion of the user",
      async prepare() {
        await signIn("the third browser");
        await expectRows({ users: 1, keys: 1, sessions: 1 });
      },
      act: () => auth.deleteUser(user.userId),
      async check() {
        await expectRows({ users: 0, keys: 0, sessions: 0 });
        await assert.rejects(auth.getUser(user.userId), { message: "AUTH_INVALID_USER_ID" });
        return "the session, the key and the user are gone";
      },
    },
  ];
}
