// Points in time for people. The server cannot know a visitor's time zone, so dates are given in UTC.
import { html } from "hono/html";

const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" });
const minute = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const units = [
  ["day", 24 * 60 * 60 * 1000],
  ["hour", 60 * 60 * 1000],
  ["minute", 60 * 1000],
];

const time = (at, text) => html`<time datetime="${at.toISOString()}" title="${minute.format(at)} UTC">${text}</time>`;

export const date = (at) => time(at, day.format(at));

/** `just now`, `5 minutes ago`, `yesterday`. */
export function ago(at) {
  const passed = Date.now() - at.getTime();
  const [unit, length] = units.find(([, milliseconds]) => passed >= milliseconds) ?? [];
  return time(at, unit ? relative.format(-Math.floor(passed / length), unit) : "just now");
}
