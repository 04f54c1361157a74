// Signing up and signing in: from what was typed to a session.
import { LuciaError } from "lucia";

import { keyOf, missing, readCredentials, unsuitable } from "../credentials.mjs";
import { signInPage, signUpPage } from "../pages/credentials.mjs";

const isRefusal = (error, ...codes) => error instanceof LuciaError && codes.includes(error.message);
const isEmpty = (problems) => Object.keys(problems).length === 0;

export function addCredentialRoutes(app, auth) {
  async function beginSession(c, userId) {
    const userAgent = (c.req.header("User-Agent") ?? "").slice(0, 255);
    const session = await auth.createSession({ userId, attributes: { user_agent: userAgent } });
    c.get("request").setSession(session);
    return c.redirect("/profile", 303);
  }

  for (const path of ["/sign-up", "/sign-in"]) {
    app.use(path, async (c, next) => (c.get("session") ? c.redirect("/profile", 303) : next()));
  }

  app.get("/sign-up", (c) => c.html(signUpPage()));

  app.post("/sign-up", async (c) => {
    const { username, password } = readCredentials(await c.req.parseBody());
    const problems = unsuitable({ username, password });
    if (!isEmpty(problems)) return c.html(signUpPage({ username, problems }), 400);
    let user;
    try {
      user = await auth.createUser({ key: { ...keyOf(username), password }, attributes: { username } });
    } catch (error) {
      if (!isRefusal(error, "AUTH_DUPLICATE_KEY_ID")) throw error;
      const taken = { username: `The name ${username} is taken. Choose another one.` };
      return c.html(signUpPage({ username, problems: taken }), 409);
    }
    return beginSession(c, user.userId);
  });

  app.get("/sign-in", (c) => c.html(signInPage({ notice: c.req.query("notice") })));

  app.post("/sign-in", async (c) => {
    const { username, password } = readCredentials(await c.req.parseBody());
    const problems = missing({ username, password });
    if (!isEmpty(problems)) return c.html(signInPage({ username, problems }), 400);
    const { providerId, providerUserId } = keyOf(username);
    let key;
    try {
      key = await auth.useKey(providerId, providerUserId, password);
    } catch (error) {
      if (!isRefusal(error, "AUTH_INVALID_KEY_ID", "AUTH_INVALID_PASSWORD")) throw error;
      // One answer for both, so that it does not tell which names exist.
      const wrong = { form: "The user name or the password is not right." };
      return c.html(signInPage({ username, problems: wrong }), 400);
    }
    return beginSession(c, key.userId);
  });
}
