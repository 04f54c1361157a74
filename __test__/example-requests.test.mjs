// What the example owes to requests that no well-behaved browser sends, and to a database that is not there.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { freshDatabase } from "./support/database.mjs";
import { startProgram } from "./support/program.mjs";
import { startProxy } from "./support/proxy.mjs";

describe("the example", { timeout: 120_000 }, () => {
  let database;
  let proxy;
  let program;
  let address;

  before(async () => {
    database = await freshDatabase();
    proxy = await startProxy(database.url);
    program = startProgram(["example/server.mjs"], { DATABASE_URL: proxy.url(database.url), PORT: "0" });
    [, address] = await program.says(/^Open (http:\S+)$/m);
  });
  after(async () => {
    await program.stop("SIGKILL");
    await proxy.stop();
    await database.drop();
  });

  function visit(path, { cookie, ...init } = {}) {
    const headers = { ...init.headers, ...(cookie && { Cookie: cookie }) };
    return fetch(new URL(path, address), { redirect: "manual", ...init, headers });
  }

  /** Sends a form, as a page of the example would, or of another origin. */
  function submit(path, fields, { origin = address, cookie } = {}) {
    const headers = origin ? { Origin: origin } : {};
    return visit(path, { method: "POST", body: new URLSearchParams(fields), headers, cookie });
  }

  /** Signs up and returns the session's cookie as a `Cookie` header. */
  async function signUp(username) {
    const response = await submit("/sign-up", { username, password: "correct horse" });
    assert.equal(response.status, 303);
    assert.equal(response.headers.get("Location"), "/profile");
    const [set] = response.headers.getSetCookie();
    return set.split(";")[0];
  }
  const idOf = (cookie) => cookie.split("=")[1];
  const sessionOf = async (cookie) =>
    (await database.sql`SELECT * FROM lucia_example.user_session WHERE id = ${idOf(cookie)}`).at(0);

  test("the session's cookie is HttpOnly, SameSite=Lax and valid for the whole site", async () => {
    const response = await submit("/sign-up", { username: "cookie", password: "correct horse" });
    const [set] = response.headers.getSetCookie();
    assert.match(set, /^auth_session=[a-z0-9]{40}; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/);
  });

  test("a form sent from another site changes nothing, signed in or not", async () => {
    const cookie = await signUp("guarded");
    for (const origin of ["https://elsewhere.example", `${address}.elsewhere.example`, "null", undefined]) {
      const ending = await submit("/sessions/end-all", {}, { origin: origin ?? "", cookie });
      assert.equal(ending.status, 403, `from ${origin}`);
      assert.match(await ending.text(), /This form came from elsewhere/);
      const planted = { username: "planted", password: "correct horse" };
      const signingUp = await submit("/sign-up", planted, { origin: origin ?? "" });
      assert.equal(signingUp.status, 403, `from ${origin}`);
      assert.deepEqual(signingUp.headers.getSetCookie(), []);
    }
    assert.ok(await sessionOf(cookie), "the session has ended");
    assert.equal((await database.sql`SELECT FROM lucia_example.auth_user WHERE username = 'planted'`).length, 0);
  });

  test("pages may run no script, be shown in no frame and be stored nowhere", async () => {
    const { headers } = await visit("/sign-in");
    assert.match(headers.get("Content-Security-Policy"), /default-src 'none'/);
    assert.match(headers.get("Content-Security-Policy"), /frame-ancestors 'none'/);
    assert.equal(headers.get("X-Content-Type-Options"), "nosniff");
    assert.equal(headers.get("Cache-Control"), "no-store");
  });

  test("what is typed comes back as text, never as markup", async () => {
    const response = await submit("/sign-up", { username: `"><script>alert(1)</script>`, password: "correct horse" });
    assert.equal(response.status, 400);
    const page = await response.text();
    assert.ok(!page.includes("<script"));
    assert.ok(page.includes("&quot;&gt;&lt;script&gt;"));
  });

  test("a user agent is shown as text, and cut to a sensible length", async () => {
    const cookie = await signUp("agent");
    await database.sql`
      UPDATE lucia_example.user_session SET user_agent = '<b>odd</b>' WHERE id = ${idOf(cookie)}`;
    const page = await (await visit("/sessions", { cookie })).text();
    assert.ok(!page.includes("<b>odd"));
    const long = await visit("/sign-in", {
      method: "POST",
      body: new URLSearchParams({ username: "agent", password: "correct horse" }),
      headers: { Origin: address, "User-Agent": "a".repeat(5000) },
    });
    const { user_agent: kept } = await sessionOf(long.headers.getSetCookie()[0].split(";")[0]);
    assert.equal(kept, "a".repeat(255));
  });

  test("names differ by more than their case, and sign in whatever the case", async () => {
    await signUp("Grace");
    const taken = await submit("/sign-up", { username: "gRACE", password: "correct horse" });
    assert.equal(taken.status, 409);
    const signedIn = await submit("/sign-in", { username: " GRACE ", password: "correct horse" });
    assert.equal(signedIn.status, 303);
  });

  test("of two sign-ups for one name at the same time one wins, and the other is told", async () => {
    const both = await Promise.all(
      [1, 2].map(() => submit("/sign-up", { username: "twin", password: "correct horse" })),
    );
    assert.deepEqual(both.map(({ status }) => status).sort(), [303, 409]);
    assert.equal((await database.sql`SELECT FROM lucia_example.auth_user WHERE username = 'twin'`).length, 1);
  });

  test("an idle session is renewed by the next visit, in the table and in the cookie", async () => {
    const cookie = await signUp("idle");
    const before = await sessionOf(cookie);
    await database.sql`UPDATE lucia_example.user_session SET active_expires = 1 WHERE id = ${idOf(cookie)}`;
    const response = await visit("/profile", { cookie });
    assert.equal(response.status, 200);
    const renewed = await sessionOf(cookie);
    assert.ok(Number(renewed.active_expires) >= Number(before.active_expires));
    assert.ok(Number(renewed.idle_expires) >= Number(before.idle_expires));
    const [set] = response.headers.getSetCookie();
    assert.ok(set.startsWith(`${cookie}; `), set);
    const expires = Date.parse(/Expires=([^;]+)/.exec(set)[1]);
    assert.equal(expires, Math.floor(Number(renewed.idle_expires) / 1000) * 1000, "until when the cookie lives");
  });

  test("a session that is over, or never was, leads to the sign-in page and clears the cookie", async () => {
    const cookie = await signUp("over");
    await database.sql`
      UPDATE lucia_example.user_session SET active_expires = 1, idle_expires = 2 WHERE id = ${idOf(cookie)}`;
    for (const stale of [cookie, "auth_session=invented"]) {
      const response = await visit("/profile", { cookie: stale });
      assert.equal(response.status, 303);
      assert.equal(response.headers.get("Location"), "/sign-in?notice=needed");
      assert.match(response.headers.getSetCookie()[0], /^auth_session=; .*Expires=Thu, 01 Jan 1970/);
    }
  });

  test("nobody can end a session of somebody else", async () => {
    const [mine, theirs] = [await signUp("mine"), await signUp("theirs")];
    const page = await (await visit("/sessions", { cookie: theirs })).text();
    const [, handle] = /name="handle" value="([^"]+)"/.exec(page);
    const response = await submit("/sessions/end", { handle }, { cookie: mine });
    assert.equal(response.headers.get("Location"), "/sessions?notice=gone");
    assert.ok(await sessionOf(theirs), "the other user's session has ended");
    assert.ok(!page.includes(idOf(theirs)), "the page holds the session id");
  });

  test("an unknown address and a body that is too large are answered with a page", async () => {
    const nowhere = await visit("/nowhere");
    assert.equal(nowhere.status, 404);
    assert.match(await nowhere.text(), /There is nothing here/);
    const large = await submit("/sign-in", { username: "a".repeat(100_000), password: "x" });
    assert.equal(large.status, 413);
    assert.match(await large.text(), /That is too much/);
  });

  test("without its database it says so, and works again when the database is back", async () => {
    const cookie = await signUp("patient");
    await proxy.refuse();
    const response = await visit("/profile", { cookie });
    assert.equal(response.status, 503);
    const page = await response.text();
    assert.match(page, /The database does not answer/);
    assert.doesNotMatch(page, /ECONN|postgres:/);
    await proxy.accept();
    const again = await visit("/profile", { cookie });
    assert.equal(again.status, 200);
  });
});
