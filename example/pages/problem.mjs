// The page for a request that cannot be answered.
import { html } from "hono/html";

import { layout } from "./layout.mjs";

const problems = {
  403: ["This form came from elsewhere", "Only forms of this site are accepted. Please go back and try again."],
  404: ["There is nothing here", "The address may be mistyped, or the page has moved."],
  413: ["That is too much", "What was sent is larger than any form of this site."],
  500: ["Something went wrong", "It is our fault, not yours. Please try again in a moment."],
  503: ["The database does not answer", "Nobody can be signed in just now. Please try again in a moment."],
};

export function problemPage(status, session) {
  const [title, text] = problems[status];
  const body = html`<div class="empty">
  <p class="status">${status}</p>
  <h1>${title}</h1>
  <p class="lead" role="alert">${text}</p>
  <p><a class="button" href="/">Back to the start</a></p>
</div>`;
  return layout({ title, session, failed: true, body });
}
