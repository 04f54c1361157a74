// The pages for signing up and signing in.
import { html } from "hono/html";

import { layout, message } from "./layout.mjs";

const notices = {
  needed: "Sign in to see this page.",
  "signed-out": "You are signed out.",
  "signed-out-everywhere": "You are signed out everywhere.",
};

function field({ name, label, type = "text", value = "", autocomplete, hint, problem, wrong = false, focus = false }) {
  const describedBy = [hint && `${name}-hint`, problem && `${name}-problem`, wrong && "form-problem"].filter(Boolean);
  return html`<div class="field">
    <label for="${name}">${label}</label>
    ${hint ? html`<p class="hint" id="${name}-hint">${hint}</p>` : ""}
    <input id="${name}" name="${name}" type="${type}" value="${value}" autocomplete="${autocomplete}" required
      autocapitalize="none" spellcheck="false"
      ${problem || wrong ? html`aria-invalid="true"` : ""}
      ${describedBy.length > 0 ? html`aria-describedby="${describedBy.join(" ")}"` : ""}
      ${focus ? "autofocus" : ""}>
    ${problem ? html`<p class="problem" id="${name}-problem">${problem}</p>` : ""}
  </div>`;
}

/** The browser's own checks are off (`novalidate`): the server's answers are the same everywhere, and are read out. */
function credentialsPage({ title, action, lead, username, problems, notice, hints = {}, newPassword, other }) {
  const failed = Object.keys(problems).length > 0;
  const first = problems.username ? "username" : "password";
  const summary = problems.form ?? (failed ? "That did not work yet. Have a look at what is marked below." : undefined);
  const body = html`<div class="split">
  <section class="card">
    <h1>${title}</h1>
    <p class="lead">${lead}</p>
    ${message("good", notice)}
    ${failed ? html`<div class="message bad" role="alert" id="form-problem"><p>${summary}</p></div>` : ""}
    <form method="post" action="${action}" novalidate>
      ${field({
        name: "username",
        label: "User name",
        value: username,
        autocomplete: "username",
        hint: hints.username,
        problem: problems.username,
        wrong: Boolean(problems.form),
        focus: failed && first === "username",
      })}
      ${field({
        name: "password",
        label: "Password",
        type: "password",
        autocomplete: newPassword ? "new-password" : "current-password",
        hint: hints.password,
        problem: problems.password,
        wrong: Boolean(problems.form),
        focus: failed && first === "password",
      })}
      <button class="button wide">${title}</button>
    </form>
    <p class="other">${other}</p>
  </section>
  <aside class="about" aria-label="About this example">
    <h2>Every page here asks PostgreSQL who you are.</h2>
    <ul>
      <li>One round trip answers who is signed in.</li>
      <li>A user and their password are stored together, or not at all.</li>
      <li>You see where you are signed in, and can end any session.</li>
    </ul>
  </aside>
</div>`;
  return layout({ title, failed, body });
}

export function signUpPage({ username = "", problems = {} } = {}) {
  return credentialsPage({
    title: "Sign up",
    action: "/sign-up",
    lead: "A name and a password, that is all.",
    username,
    problems,
    hints: { username: "3 to 31 letters, digits, dots, hyphens or underscores.", password: "At least 8 characters." },
    newPassword: true,
    other: html`Have an account? <a href="/sign-in">Sign in</a>`,
  });
}

export function signInPage({ username = "", problems = {}, notice } = {}) {
  return credentialsPage({
    title: "Sign in",
    action: "/sign-in",
    lead: "Good to see you again.",
    username,
    problems,
    notice: Object.hasOwn(notices, notice ?? "") ? notices[notice] : undefined,
    newPassword: false,
    other: html`New here? <a href="/sign-up">Sign up</a>`,
  });
}
