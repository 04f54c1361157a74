// What a signed-in user sees and does: the profile, the active sessions, and ending one or all of them.
import { createHash } from "node:crypto";

import { profilePage, sessionsPage } from "../pages/account.mjs";

/** A session id is as good as a password, so pages name a session by its hash. */
const handleOf = ({ sessionId }) => createHash("sha256").update(sessionId).digest("base64url");

export function addAccountRoutes(app, auth) {
  /** The sessions that are not over, this browser's first, then the newest. */
  async function sessionsOf({ user, sessionId }) {
    const sessions = await auth.getAllUserSessions(user.userId);
    return sessions
      .map((session) => ({ ...session, handle: handleOf(session), isCurrent: session.sessionId === sessionId }))
      .sort((a, b) => b.isCurrent - a.isCurrent || b.createdAt - a.createdAt);
  }

  function signedOut(c, notice) {
    c.get("request").setSession(null);
    return c.redirect(`/sign-in?notice=${notice}`, 303);
  }

  for (const path of ["/profile", "/sessions", "/sessions/*", "/sign-out"]) {
    app.use(path, async (c, next) => (c.get("session") ? next() : c.redirect("/sign-in?notice=needed", 303)));
  }

  app.get("/profile", async (c) => {
    const session = c.get("session");
    return c.html(profilePage({ session, count: (await sessionsOf(session)).length }));
  });

  app.get("/sessions", async (c) => {
    const session = c.get("session");
    return c.html(sessionsPage({ session, sessions: await sessionsOf(session), notice: c.req.query("notice") }));
  });

  app.post("/sessions/end", async (c) => {
    const { handle } = await c.req.parseBody();
    const sessions = await sessionsOf(c.get("session"));
    const ended = sessions.find((session) => session.handle === handle);
    if (!ended) return c.redirect("/sessions?notice=gone", 303);
    await auth.invalidateSession(ended.sessionId);
    return ended.isCurrent ? signedOut(c, "signed-out") : c.redirect("/sessions?notice=ended", 303);
  });

  app.post("/sessions/end-all", async (c) => {
    await auth.invalidateAllUserSessions(c.get("session").user.userId);
    return signedOut(c, "signed-out-everywhere");
  });

  app.post("/sign-out", async (c) => {
    await auth.invalidateSession(c.get("session").sessionId);
    return signedOut(c, "signed-out");
  });
}
