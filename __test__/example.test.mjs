// The example, as people use it: in a browser, on a desktop and on a phone.
// `SCREENSHOTS=1 node tools/test.mjs example` also renews the pictures in docs/images.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { noBrowser, openBrowser } from "./support/chromium.mjs";
import { freshDatabase } from "./support/database.mjs";
import { assertAccessible, description, press, tab } from "./support/page.mjs";
import { startProgram } from "./support/program.mjs";

const images = fileURLToPath(new URL("../docs/images/", import.meta.url));
const desktop = { viewport: { width: 1200, height: 760 } };
const phone = {
  viewport: { width: 375, height: 812 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
  userAgent: "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537",
};
const password = "correct horse battery staple";

describe("the example", { timeout: 120_000 }, () => {
  let database;
  let program;
  let address;
  let browser;

  before(async () => {
    database = await freshDatabase();
    program = startProgram(["example/server.mjs"], { DATABASE_URL: database.url, PORT: "0" });
    [, address] = await program.says(/^Open (http:\S+)$/m);
    if (!noBrowser) browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    await program.stop("SIGKILL");
    await database.drop();
  });

  async function open(device) {
    const context = await browser.newContext({ ...device, baseURL: address });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    await page.goto("/");
    return page;
  }

  async function enter(page, button, username, typed = password) {
    await page.getByLabel("User name").fill(username);
    await page.getByLabel("Password").fill(typed);
    await press(page, button);
  }

  async function follow(page, link) {
    await Promise.all([page.waitForEvent("load"), page.getByRole("link", { name: link, exact: true }).click()]);
  }

  const heading = (page) => page.getByRole("heading", { level: 1 }).textContent();
  const alert = (page) => page.getByRole("alert").textContent();
  const sessionNames = (page) => page.locator(".session h2").allTextContents();

  async function picture(page, name) {
    await page.evaluate(() => globalThis.document.activeElement?.blur());
    const image = await page.screenshot({ animations: "disabled" });
    if (!process.env.SCREENSHOTS) return;
    mkdirSync(images, { recursive: true });
    writeFileSync(`${images}${name}.png`, image);
  }

  test("it answers with a page that asks to sign in", async () => {
    const response = await fetch(address);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /<h1>Sign in<\/h1>/);
  });

  test("a visitor signs up, is greeted, and still is after a reload", { skip: noBrowser }, async () => {
    const page = await open(desktop);
    assert.equal(await heading(page), "Sign in");
    await assertAccessible(page);
    await picture(page, "example-sign-in-desktop");
    await follow(page, "Sign up");
    await assertAccessible(page);
    await enter(page, "Sign up", "Ada");
    assert.equal(await heading(page), "Hello, Ada");
    await assertAccessible(page);
    await picture(page, "example-profile-desktop");
    await page.reload();
    assert.equal(await heading(page), "Hello, Ada");

    const [cookie] = await page.context().cookies();
    assert.equal(cookie.name, "auth_session");
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, "Lax");
    assert.ok(!(await page.content()).includes(cookie.value), "the page holds the session id");
    await page.context().close();
  });

  test("what is mistyped or taken is marked and explained, and the name stays", { skip: noBrowser }, async () => {
    const page = await open(phone);
    await page.goto("/sign-up");
    await enter(page, "Sign up", "a b", "short");
    assert.match(await page.title(), /^Error: Sign up/);
    assert.match(await alert(page), /marked below/);
    assert.equal(await page.getByLabel("User name").inputValue(), "a b");
    assert.equal(await page.getByLabel("Password").inputValue(), "");
    assert.match(await description(page, "User name"), /Use 3 to 31 letters/);
    assert.match(await description(page, "Password"), /Use at least 8 characters/);
    assert.equal(await page.evaluate(() => globalThis.document.activeElement.id), "username");
    await assertAccessible(page);

    await enter(page, "Sign up", "ada");
    assert.match(await description(page, "User name"), /The name ada is taken/);
    assert.equal(await page.getByLabel("User name").getAttribute("aria-invalid"), "true");
    assert.equal(await page.getByLabel("Password").getAttribute("aria-invalid"), null);
    await assertAccessible(page);
    await picture(page, "example-taken-name-phone");
    await page.context().close();
  });

  test("a wrong password and an unknown name get the same answer", { skip: noBrowser }, async () => {
    const page = await open(phone);
    await picture(page, "example-sign-in-phone");
    await enter(page, "Sign in", "ada", "incorrect horse");
    const answer = await alert(page);
    assert.equal(answer, "The user name or the password is not right.");
    await assertAccessible(page);
    await enter(page, "Sign in", "nobody");
    assert.equal(await alert(page), answer);
    assert.deepEqual(await page.context().cookies(), []);
    await page.context().close();
  });

  test("sessions on two devices: one ends the other, then all end at once", { skip: noBrowser }, async () => {
    await database.sql`DELETE FROM lucia_example.user_session`;
    const large = await open(desktop);
    await enter(large, "Sign in", "ada");
    const small = await open(phone);
    await enter(small, "Sign in", "ada");
    await assertAccessible(small);

    await follow(small, "Sessions");
    assert.deepEqual(await sessionNames(small), ["Chrome on Android This browser", "Chrome on Linux"]);
    await assertAccessible(small);
    await picture(small, "example-sessions-phone");
    await follow(large, "Sessions");
    assert.deepEqual(await sessionNames(large), ["Chrome on Linux This browser", "Chrome on Android"]);
    await assertAccessible(large);
    await picture(large, "example-sessions-desktop");

    await press(large, "Sign out of Chrome on Android, just now");
    assert.match(await large.getByRole("status").textContent(), /That browser is signed out/);
    assert.deepEqual(await sessionNames(large), ["Chrome on Linux This browser"]);
    await small.reload();
    assert.equal(await heading(small), "Sign in");
    assert.match(await small.getByRole("status").textContent(), /Sign in to see this page/);

    await enter(small, "Sign in", "ada");
    await press(large, "Sign out everywhere");
    assert.match(await large.getByRole("status").textContent(), /signed out everywhere/);
    await small.goto("/profile");
    assert.equal(await heading(small), "Sign in");
    assert.equal((await database.sql`SELECT FROM lucia_example.user_session`).length, 0);
    await large.context().close();
    await small.context().close();
  });

  test("after signing out, the back button does not bring the profile back", { skip: noBrowser }, async () => {
    await database.sql`DELETE FROM lucia_example.user_session`;
    const page = await open(desktop);
    await enter(page, "Sign in", "ada");
    await press(page, "Sign out Ada");
    assert.match(await page.getByRole("status").textContent(), /You are signed out/);
    assert.deepEqual(await page.context().cookies(), []);
    await page.goBack();
    assert.equal(await heading(page), "Sign in");
    await page.goto("/profile");
    assert.equal(await heading(page), "Sign in");
    assert.equal((await database.sql`SELECT FROM lucia_example.user_session`).length, 0);
    await page.context().close();
  });

  test("the keyboard alone is enough, and shows where it is", { skip: noBrowser }, async () => {
    const page = await open(desktop);
    const seen = [];
    for (let stop = 0; stop < 6; stop += 1) {
      const { name, outlined } = await tab(page);
      assert.ok(outlined, `${name} shows no focus`);
      seen.push(name);
      if (name === "User name") await page.keyboard.type("ada");
      if (name === "Password") await page.keyboard.type(password);
    }
    const order = ["Skip to the content", "Lucia on PostgreSQL", "User name", "Password", "Sign in", "Sign up"];
    assert.deepEqual(seen, order);
    await page.keyboard.press("Shift+Tab");
    await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
    assert.equal(await heading(page), "Hello, Ada");
    await page.context().close();
  });

  test("it needs no JavaScript in the browser", { skip: noBrowser }, async () => {
    const page = await open({ ...desktop, javaScriptEnabled: false });
    await enter(page, "Sign in", "ada");
    await follow(page, "Sessions");
    await press(page, "Sign out everywhere");
    assert.equal(await heading(page), "Sign in");
    await page.context().close();
  });
});
