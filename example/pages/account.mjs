// The pages of a user who is signed in.
import { html } from "hono/html";

import { describeUserAgent } from "../user-agent.mjs";
import { layout, message } from "./layout.mjs";
import { ago, date } from "./time.mjs";

const notices = {
  ended: "The session has ended. That browser is signed out.",
  gone: "That session had already ended.",
};

const phone = html`<rect x="7" y="2.5" width="10" height="19" rx="2.5"/><path d="M11 18.5h2"/>`;
const computer = html`<rect x="3" y="4" width="18" height="12" rx="2"/><path d="M8.5 20h7M12 16v4"/>`;

export function profilePage({ session, count }) {
  const { user } = session;
  const browser = describeUserAgent(session.userAgent).name;
  const body = html`<div class="person">
  <span class="initial" aria-hidden="true">${user.username.slice(0, 1)}</span>
  <div>
    <h1>Hello, ${user.username}</h1>
    <p class="lead">You are signed in with ${browser}.</p>
  </div>
</div>
<section class="card" aria-labelledby="account">
  <h2 id="account">Your account</h2>
  <dl>
    <div><dt>User name</dt><dd>${user.username}</dd></div>
    <div><dt>User id</dt><dd><code>${user.userId}</code></dd></div>
    <div><dt>Member since</dt><dd>${date(user.createdAt)}</dd></div>
  </dl>
</section>
<section class="card" aria-labelledby="session">
  <h2 id="session">This session</h2>
  <dl>
    <div><dt>Signed in</dt><dd>${ago(session.createdAt)}</dd></div>
    <div><dt>Renewed when used after</dt><dd>${date(session.activePeriodExpiresAt)}</dd></div>
    <div><dt>Ends when unused until</dt><dd>${date(session.idlePeriodExpiresAt)}</dd></div>
  </dl>
  <p class="more"><a href="/sessions">${count === 1 ? "See your session" : `See your ${count} sessions`}</a></p>
</section>`;
  return layout({ title: "Profile", path: "/profile", session, body });
}

function sessionItem({ userAgent, createdAt, idlePeriodExpiresAt, state, handle, isCurrent }) {
  const { name, handheld } = describeUserAgent(userAgent);
  return html`<li class="session">
    <span class="device" aria-hidden="true">
      <svg viewBox="0 0 24 24" width="24" height="24">${handheld ? phone : computer}</svg>
    </span>
    <div class="session-text">
      <h2>${name}${isCurrent ? html` <span class="badge">This browser</span>` : ""}</h2>
      <p>Signed in ${ago(createdAt)}${state === "idle" ? ", not used lately" : ""}</p>
      <p>Valid until ${date(idlePeriodExpiresAt)}</p>
    </div>
    <form method="post" action="/sessions/end">
      <input type="hidden" name="handle" value="${handle}">
      <button class="button quiet">Sign out<span class="hidden"> of ${name}, ${ago(createdAt)}</span></button>
    </form>
  </li>`;
}

export function sessionsPage({ session, sessions, notice }) {
  const body = html`<h1>Sessions</h1>
<p class="lead">Where you are signed in. If you do not recognise one, sign it out.</p>
${message("good", Object.hasOwn(notices, notice ?? "") ? notices[notice] : undefined)}
<ul class="sessions">
  ${sessions.map(sessionItem)}
</ul>
<section class="card apart" aria-labelledby="everywhere">
  <div>
    <h2 id="everywhere">Sign out everywhere</h2>
    <p>Ends every session, this one too.</p>
  </div>
  <form method="post" action="/sessions/end-all"><button class="button danger">Sign out everywhere</button></form>
</section>`;
  return layout({ title: "Sessions", path: "/sessions", session, body });
}
