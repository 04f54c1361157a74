// What all pages have in common. `html` escapes every value that is put into it.
import { html } from "hono/html";

/**
 * @param {object} page
 * @param {string} page.title also the heading, unless `heading` says otherwise
 * @param {string} [page.path] marks the current entry of the navigation
 * @param {import("lucia").Session | null} [page.session] of the user who is signed in
 * @param {boolean} [page.failed] whether the page tells of a mistake
 * @param {unknown} page.body
 */
export function layout({ title, path, session, failed = false, body }) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${failed ? "Error: " : ""}${title} – Lucia on PostgreSQL</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
  <div class="top-inner">
    <a class="brand" href="/"><img src="/icon.svg" alt="" width="32" height="32"><span>Lucia on PostgreSQL</span></a>
    ${session ? navigation(path, session) : ""}
  </div>
</header>
<main id="main" tabindex="-1">
${body}
</main>
<footer class="bottom">
  <p>The example of lucia-postgres-native: Lucia 2, Hono, and no JavaScript in your browser.</p>
</footer>
</body>
</html>`;
}

function navigation(path, { user }) {
  const entry = (href, text) =>
    html`<li><a href="${href}" ${href === path ? html`aria-current="page"` : ""}>${text}</a></li>`;
  return html`<nav aria-label="Account">
      <ul>${entry("/profile", "Profile")}${entry("/sessions", "Sessions")}</ul>
      <form method="post" action="/sign-out">
        <button class="button quiet">Sign out<span class="hidden"> ${user.username}</span></button>
      </form>
    </nav>`;
}

/** Told at the top of a page; `role` makes screen readers say it. */
export function message(kind, text) {
  if (!text) return "";
  return html`<div class="message ${kind}" role="${kind === "bad" ? "alert" : "status"}"><p>${text}</p></div>`;
}
