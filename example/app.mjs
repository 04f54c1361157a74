// The application: what guards every request, who is asking, and what happens when something goes wrong.
import { readFileSync } from "node:fs";

import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { csrf } from "hono/csrf";
import { secureHeaders } from "hono/secure-headers";

import { problemPage } from "./pages/problem.mjs";
import { addAccountRoutes } from "./routes/account.mjs";
import { addCredentialRoutes } from "./routes/credentials.mjs";

const file = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const style = file("style.css");
const icon = file("icon.svg");

const hostOf = (url) => (URL.canParse(url) ? new URL(url).host : undefined);

/** The codes of an error that means: the database is not there, or not able to answer now. */
const unavailable = /^(E[A-Z]+|CONNECT_TIMEOUT|CONNECTION_[A-Z]+|08...|53300|57P0.)$/;

/** @param {import("lucia").Auth} auth */
export function createApp(auth) {
  const app = new Hono();

  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
      referrerPolicy: "same-origin", // with `no-referrer`, browsers would hide the origin that the check below needs
      strictTransportSecurity: false, // for whatever serves this over https to decide
    }),
  );
  app.get("/style.css", (c) => c.body(style, 200, { "Content-Type": "text/css; charset=utf-8" }));
  app.get("/icon.svg", (c) => c.body(icon, 200, { "Content-Type": "image/svg+xml" }));

  // Lucia reads no session from a form that another site has sent. The two forms that need no session (a stranger could
  // sign you in under a name of theirs) are refused as well, by the same rule: the origin's host is ours.
  app.use(csrf({ origin: (origin, c) => hostOf(origin) === hostOf(c.req.url) }));
  app.use(bodyLimit({ maxSize: 16 * 1024, onError: (c) => c.html(problemPage(413), 413) }));

  app.use(async (c, next) => {
    // Lucia's own `hono()` middleware is for Hono 3, whose requests had `headers`; this is what it would hand over.
    const request = auth.handleRequest({
      request: c.req.raw,
      setCookie: (cookie) => c.header("Set-Cookie", cookie.serialize(), { append: true }),
    });
    c.header("Cache-Control", "no-store");
    const session = await request.validate();
    // Lucia renews an idle session, but not its cookie when the id stays the same: it would still expire as first set.
    if (session?.fresh) c.header("Set-Cookie", auth.createSessionCookie(session).serialize(), { append: true });
    c.set("request", request);
    c.set("session", session);
    await next();
  });

  app.get("/", (c) => c.redirect(c.get("session") ? "/profile" : "/sign-in", 303));
  addCredentialRoutes(app, auth);
  addAccountRoutes(app, auth);

  app.notFound((c) => c.html(problemPage(404, c.get("session")), 404));

  app.onError((error, c) => {
    if (error.status === 403) return c.html(problemPage(403), 403);
    console.error(error);
    const status = unavailable.test(error.code) ? 503 : 500;
    return c.html(problemPage(status, c.get("session")), status);
  });

  return app;
}
